# Copyright 2026 e4_ros maintainers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""Latency and energy of every segment at every operating point: the input of all searches."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from e4_ros.energy.board_model import BoardModel, SegmentWork
from e4_ros.files import write_whole
from e4_ros.profiling.planning.identity import Identity

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


class CostTableError(ValueError):
    """The table has holes, values that make no sense, or belongs to another board or model."""


@dataclass(frozen=True, eq=False)
class CostTable:
    """Costs over the grid of operating points that the axes span.

    Attributes:
        board: name of the board.
        model: name of the network.
        segments: names of the segments, in the order in which they run.
        devices: device that runs each segment, in the same order.
        domains: names of the domains.
        axes_hz: ascending frequencies in hertz of each domain.
        latency_s, energy_j: costs ``(S, P)`` of a segment in seconds and joules; point ``p`` is the
            p-th of ``itertools.product(*axes_hz)``.
        source: whether the costs are ``measured`` or ``modelled``.
        error_percent: mean error of the cells that a fit filled in; NaN if it filled in none.
        power_mode, bundle: see :class:`Identity`; empty where nothing was measured.
    """

    board: str
    model: str
    segments: tuple[str, ...]
    devices: tuple[str, ...]
    domains: tuple[str, ...]
    axes_hz: tuple[tuple[int, ...], ...]
    latency_s: Floats
    energy_j: Floats
    source: Literal['measured', 'modelled'] = 'modelled'
    error_percent: float = field(default=math.nan)
    power_mode: str = ''
    bundle: str = ''

    def __post_init__(self) -> None:
        if not self.segments or not self.domains or len(self.domains) != len(self.axes_hz):
            raise CostTableError('a cost table needs segments, domains and one axis a domain')
        if len(self.devices) != len(self.segments):
            raise CostTableError(
                f'{len(self.segments)} segments but {len(self.devices)} devices: one a segment'
            )
        if any(list(axis) != sorted(set(axis)) or not axis for axis in self.axes_hz):
            raise CostTableError('the axes of a cost table must be ascending and not empty')
        shape = (len(self.segments), math.prod(len(axis) for axis in self.axes_hz))
        for name in ('latency_s', 'energy_j'):
            cells = getattr(self, name)
            if cells.shape != shape:
                raise CostTableError(f'{name} has shape {cells.shape}, the axes want {shape}')
            if holes := int((~np.isfinite(cells)).sum()):
                raise CostTableError(
                    f'{name} has {holes} holes among {cells.size} cells; measure them or fill them '
                    'with `cost_surface.complete`'
                )
            if (cells <= 0).any():
                raise CostTableError(f'{name} must be positive everywhere')

    @classmethod
    def from_board(
        cls,
        board_model: BoardModel,
        works: Sequence[SegmentWork],
        model: str,
        domains: Sequence[str] | None = None,
        clocks_hz: Mapping[str, Sequence[int]] | None = None,
    ) -> CostTable:
        """The modelled table of a board.

        Args:
            board_model: model of the board.
            works: work of each segment, in the order in which they run.
            model: name of the network.
            domains: names of the domains to clock (default: ``cpu`` and, where there is one,
                ``gpu``); the others stay at the board's default point.
            clocks_hz: domain → ascending frequencies of the real machine; a missing domain has
                those of the board's description.

        Raises:
            CostTableError: there are no works, or the board lacks a domain.
        """
        board = board_model.board
        names = tuple(domains or (n for n in ('cpu', 'gpu') if n in board.domains))
        if unknown := [n for n in names if n not in board.domains]:
            raise CostTableError(
                f'{board.name} has no domain {", ".join(unknown)}, only {", ".join(board.domains)}'
            )
        if not works:
            raise CostTableError('no segments to cost')
        described = {name: board.domains[name].allowed_hz for name in names}
        axes = tuple(tuple((clocks_hz or {}).get(name, described[name])) for name in names)
        grid = [dict(zip(names, hz, strict=True)) for hz in itertools.product(*axes)]
        latency_s, energy_j = board_model.costs(works, grid)
        segments = tuple(work.name for work in works)
        devices = tuple(work.device for work in works)
        return cls(board.name, model, segments, devices, names, axes, latency_s, energy_j)

    def scaled(self, factors: Floats) -> CostTable:
        """The table with each segment so many times as long, ``(S,)``, at the same power."""
        times = np.asarray(factors, float)[:, None]
        return replace(self, latency_s=self.latency_s * times, energy_j=self.energy_j * times)

    # -- points ---------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of frequencies of each domain, ``(D,)``."""
        return tuple(len(axis) for axis in self.axes_hz)

    @cached_property
    def coordinates(self) -> Indices:
        """Index along every axis of every point, ``(P, D)``."""
        grid = list(itertools.product(*(range(n) for n in self.shape)))
        return np.array(grid, np.intp)

    @cached_property
    def strides(self) -> Indices:
        """Difference of the point index for one step along each axis, ``(D,)``."""
        return np.array([math.prod(self.shape[d + 1 :]) for d in range(len(self.shape))], np.intp)

    def point(self, index: int) -> dict[str, int]:
        """Operating point number ``index``."""
        where = self.coordinates[index]
        return {n: a[i] for n, a, i in zip(self.domains, self.axes_hz, where, strict=True)}

    def index(self, point: Mapping[str, int]) -> int:
        """Number of an operating point (domains that the table lacks are ignored).

        Raises:
            CostTableError: the table has no such point.
        """
        try:
            where = [a.index(point[n]) for n, a in zip(self.domains, self.axes_hz, strict=True)]
        except (KeyError, ValueError):
            raise CostTableError(f'{dict(point)} is not a point of this table') from None
        return int(np.dot(where, self.strides))

    # -- files ----------------------------------------------------------------------------------

    def check_for(self, model: str, segments: Sequence[str], devices: Sequence[str]) -> None:
        """Raise :class:`CostTableError` unless the table is of this model, cut and run like this.

        Args:
            model: name of the network.
            segments: names of its segments, in the order in which they run.
            devices: device that runs each segment, in the same order.
        """
        if self.model != model or list(segments) != list(self.segments):
            raise CostTableError(
                f'the cost table is of {self.model!r} cut into {len(self.segments)} segments, '
                f'not of {model!r} cut into {len(segments)}; measure it again'
            )
        if list(devices) != list(self.devices):
            raise CostTableError(
                f'the cost table is of segments on {", ".join(self.devices)}, here they run on '
                f'{", ".join(devices)}; measure it again, or choose the device with --device'
            )

    @property
    def identity(self) -> Identity:
        """Where the costs hold."""
        return Identity(self.board, self.power_mode, self.bundle)

    def check_here(self, here: Identity) -> None:
        """Raise :class:`CostTableError` unless the table was measured for what is here.

        The message says which command measures the right one.
        """
        if other := self.identity.differs(here):
            raise CostTableError(
                f'the cost table was measured for {other}; `e4 profile --board here` on this '
                f'machine, with the model that runs ({self.model}), measures the right one: its '
                'table.json'
            )

    def check_clocks(self, tables: Mapping[str, Sequence[int]]) -> None:
        """Raise :class:`CostTableError` where a board does not offer the table's clocks.

        Args:
            tables: domain → the clocks that it may have now, ascending hertz; those of the table
                outside of these limits do not count.
        """
        for name, axis in zip(self.domains, self.axes_hz, strict=True):
            offered = tables.get(name, ())
            inside = [hz for hz in axis if len(offered) and offered[0] <= hz <= offered[-1]]
            if not inside or set(inside) - set(offered):
                raise CostTableError(
                    f'the cost table has clocks of {name} that the board does not offer now; '
                    '`e4 profile --board here` measures those that it has'
                )

    def as_dict(self) -> dict[str, object]:
        """Plain values, for JSON."""
        return {
            'board': self.board,
            'model': self.model,
            'source': self.source,
            'power_mode': self.power_mode,
            'bundle': self.bundle,
            'error_percent': None if math.isnan(self.error_percent) else self.error_percent,
            'segments': list(self.segments),
            'devices': list(self.devices),
            'domains': list(self.domains),
            'axes_hz': [list(axis) for axis in self.axes_hz],
            'latency_s': self.latency_s.tolist(),
            'energy_j': self.energy_j.tolist(),
        }

    def save(self, path: str | Path) -> None:
        """Write the table as JSON."""
        write_whole(path, json.dumps(self.as_dict()))

    @classmethod
    def load(cls, path: str | Path) -> CostTable:
        """Read what :meth:`save` wrote.

        Raises:
            CostTableError: the file does not hold a cost table.
            OSError: the file cannot be read.
        """
        try:
            data = json.loads(Path(path).read_text())
            return cls(
                board=data['board'],
                model=data['model'],
                segments=tuple(data['segments']),
                devices=tuple(data['devices']),
                domains=tuple(data['domains']),
                axes_hz=tuple(tuple(int(f) for f in axis) for axis in data['axes_hz']),
                latency_s=np.array(data['latency_s'], float),
                energy_j=np.array(data['energy_j'], float),
                source=data['source'],
                error_percent=math.nan if (e := data['error_percent']) is None else e,
                power_mode=data.get('power_mode', ''),
                bundle=data.get('bundle', ''),
            )
        except CostTableError as error:
            raise CostTableError(f'{path}: {error}') from None
        except (KeyError, TypeError, ValueError) as error:
            raise CostTableError(f'{path}: not a cost table: {error}') from error
