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

"""Latency and power of a board from its description, for where nothing can be measured.

Latency is a roofline (Williams et al., CACM 2009) per segment, plus the host's time to start its
layers, which Jetsons at batch 1 do not hide::

    t = max(macs / (macs_per_cycle * f_engine), bytes / (bytes_per_cycle * f_emc))
        + (layers * launch_cycles + host_factor * host_cycles) / f_cpu

Power is the sum over domains of ``static + dynamic * (f / f_top) ** exponent * activity``, where
activity follows the share of the time in which the domain is busy, plus constant loads. Everything
that comes from here is *modelled*.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from e4_ros.energy.boards import Board, DomainSpec

Floats = NDArray[np.float64]
Hertz = NDArray[np.int64]

HOST_DEVICES = frozenset({'cpu', 'openvino'})
"""Devices that compute on the board's CPU; every other one has an engine of its own."""


@dataclass(frozen=True, slots=True)
class SegmentWork:
    """What a segment asks of the machine.

    Attributes:
        name: name of the segment.
        macs: multiply-adds.
        bytes_moved: bytes read and written, weights included.
        layers: kernels or operator calls that the host starts one after the other.
        device: device that runs the segment (``cpu``, ``openvino``, ``cuda``, ``tensorrt`` …); it
            decides which clock of the board the segment's time hangs on.
        host_cycles: cycles of one core of a desktop CPU for what is no layer: resizing, tracks,
            box decoding.
    """

    name: str
    macs: float
    bytes_moved: float
    layers: int = 8
    device: str = 'cuda'
    host_cycles: float = 0.0

    @property
    def runs_on(self) -> Literal['engine', 'cpu']:
        """``cpu``, or ``engine``: the board's GPU, or its CPU where it has none."""
        return 'cpu' if self.device in HOST_DEVICES else 'engine'


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds and joules (of the whole board) of one segment at one operating point."""

    latency_s: float
    energy_j: float


class _Segment(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def macs(self) -> float: ...
    @property
    def bytes_moved(self) -> float: ...
    @property
    def layers(self) -> int: ...
    @property
    def device(self) -> str: ...
    @property
    def host_task(self) -> str: ...
    @property
    def host_values(self) -> int: ...


# Cycles of one core for what a segment does that is no layer: for a frame, and for each of the
# segment's `host_values`. From times that were measured on one core. Resizing and normalising a
# 768x576 frame to inputs from 160x160 to 960x960: 1.2 to 1.6 ns a value of the input, on a Xeon at
# 2.6 GHz. Decoding: .04 to .08 ms for a handful of boxes and 0.26 ns for each value that is read,
# there, from DETR's 8,400 values to the 705,600 of 80 classes in 8,400 cells. Clip mode, there: 9.4
# µs for a frame that is not looked at, 0.92 ms to resize and normalise one of 640x480 for a 224x224
# input, 50 µs to copy a window's state in and out, all taken as at 3.5 GHz.
_HOST_CYCLES = {
    '': (0.0, 0.0),
    'track': (2_500_000.0, 0.0),
    'prepare': (0.0, 3.7),
    'decode': (240_000.0, 0.9),
    'clip_window': (33_000.0, 0.0),
    'clip_prepare': (3_200_000.0, 0.0),
    'clip_state': (175_000.0, 0.0),
}

# Assumed: a core of an embedded CPU (narrower vectors, smaller caches) needs so many cycles for one
# of a desktop core's.
_HOST_FACTOR = 2.0


def works_of(segments: Iterable[_Segment]) -> list[SegmentWork]:
    """What an engine's segments ask for, each on the device that its session runs on."""
    return [
        SegmentWork(
            s.name,
            float(s.macs),
            float(s.bytes_moved),
            s.layers,
            s.device,
            _host_cycles(s),
        )
        for s in segments
    ]


def _host_cycles(segment: _Segment) -> float:
    for_a_frame, for_a_value = _HOST_CYCLES[segment.host_task]
    return for_a_frame + for_a_value * segment.host_values


def works_as_if_on(device: str, works: Iterable[SegmentWork]) -> list[SegmentWork]:
    """The same works as another machine would run them, for a board that is only modelled.

    Args:
        device: device that this other machine computes the network on.
        works: works of the segments in order; what follows the tracks, prepares the frame and asks
            the temporal exit does so on the CPU, whatever computes the network.
    """
    given = list(works)
    host = 2 if given and given[0].name == 'track' else 1
    return [*given[:host], *(replace(work, device=device) for work in given[host:])]


class BoardModel:
    """Roofline latency and CMOS power of one board.

    Operating points are ``{domain: hertz}``; a domain that a point leaves out runs at
    :meth:`default_point`. Any positive frequency is accepted, in the table or not.
    """

    def __init__(self, board: Board) -> None:
        self.board = board
        self.domains = tuple(board.domains)
        specs = board.domains.values()
        self._column = {name: i for i, name in enumerate(self.domains)}
        self._top_hz = np.array([s.frequencies_hz[-1] for s in specs], float)
        share = np.array([spec.share for spec in specs])
        self._static_w = _column(specs, 'static_w') * share
        self._dynamic_w = _column(specs, 'dynamic_w') * share
        self._exponent = _column(specs, 'exponent')
        self._idle_share = _column(specs, 'idle_share')
        self._other_w = sum(w.value for w in board.other_loads_w.values())
        self._default = {n: s.limits_hz[1] for n, s in board.domains.items()}

    # -- operating points ---------------------------------------------------------------------

    def default_point(self) -> dict[str, int]:
        """What the stock system runs an inference at: the top clock that its power mode allows.

        The assumption: load-driven governors see a pipeline that keeps the engine busy, and go to
        the top. For slow streams they do not; `profiling.governors` plays them over time.
        """
        return dict(self._default)

    def idle_point(self) -> dict[str, int]:
        """The lowest allowed clock of every domain, where governors end up without load."""
        return {name: spec.limits_hz[0] for name, spec in self.board.domains.items()}

    def points(self, domains: Sequence[str]) -> list[dict[str, int]]:
        """Every allowed combination of the tables of ``domains``, the last domain fastest."""
        tables = [self.board.domains[name].allowed_hz for name in domains]
        return [dict(zip(domains, hz, strict=True)) for hz in itertools.product(*tables)]

    def hertz(self, points: Sequence[Mapping[str, int]]) -> Hertz:
        """Points as an array ``(P, D)`` over all of the board's domains.

        Raises:
            ValueError: a point names a domain that the board lacks, or a clock below 1 Hz.
        """
        for point in points:
            if unknown := set(point) - set(self.domains):
                raise ValueError(
                    f'{self.board.name} has no domain {", ".join(sorted(unknown))}; '
                    f'it has {", ".join(self.domains)}'
                )
        rows = [[p.get(n, self._default[n]) for n in self.domains] for p in points]
        table = np.array(rows, np.int64).reshape(len(rows), len(self.domains))
        if (table <= 0).any():
            raise ValueError('clocks must be positive')
        return table

    # -- cost ---------------------------------------------------------------------------------

    def segment_cost(self, work: SegmentWork, point: Mapping[str, int]) -> Cost:
        """Latency and energy of one segment at one point."""
        latency_s, energy_j = self.costs([work], [point])
        return Cost(float(latency_s[0, 0]), float(energy_j[0, 0]))

    def costs(
        self, works: Sequence[SegmentWork], points: Sequence[Mapping[str, int]]
    ) -> tuple[Floats, Floats]:
        """Latency (s) and energy (J) of every segment at every point, both ``(S, P)``."""
        hz = self.hertz(points)
        latency_s, busy = self._latency(works, hz)
        power_w = self._power(hz[None], busy).sum(-1) + self._other_w
        return latency_s, latency_s * power_w

    def busy_shares(
        self, works: Sequence[SegmentWork], points: Sequence[Mapping[str, int]]
    ) -> Floats:
        """Share of a segment's time in which each domain works, ``(S, P, D)``."""
        return self._latency(works, self.hertz(points))[1]

    def _latency(self, works: Sequence[SegmentWork], hz: Hertz) -> tuple[Floats, Floats]:
        """Seconds ``(S, P)``, and the share of them each domain is busy ``(S, P, D)``."""
        board, clocks = self.board, hz.astype(float)
        cpu, cpu_hz = board.domains['cpu'], clocks[:, self._column['cpu']]
        seconds = np.empty((len(works), len(hz)))
        busy = np.zeros((*seconds.shape, len(self.domains)))
        for row, work in enumerate(works):
            name = board.engine if work.runs_on == 'engine' else 'cpu'
            compute = board.domains[name].compute
            assert compute is not None  # the board's validation saw to it
            engine_hz = clocks[:, self._column[name]]
            compute_s = work.macs / (board.domains[name].macs_per_cycle * engine_hz)
            memory_s = work.bytes_moved / self._bytes_per_s(clocks)
            launch_cycles = work.layers * compute.launch_cycles.value
            host_s = (launch_cycles + _HOST_FACTOR * work.host_cycles) / cpu_hz
            roof_s = np.maximum(compute_s, memory_s)
            total = np.maximum(roof_s + host_s, 1e-12)
            seconds[row] = total
            busy[row, :, self._column[name]] = roof_s / total
            # One core is always at it: on the host's work, or spinning while the engine computes.
            share = 1.0 if name != 'cpu' else host_s / total
            busy[row, :, self._column['cpu']] += share / cpu.cores
            if 'emc' in self._column:
                busy[row, :, self._column['emc']] = memory_s / total
        return seconds, busy

    def _bytes_per_s(self, clocks: Floats) -> Floats | float:
        memory = self.board.memory
        if 'emc' in self._column and memory.bytes_per_cycle is not None:
            return memory.bytes_per_cycle.value * clocks[:, self._column['emc']]
        assert memory.bytes_per_s is not None
        return memory.bytes_per_s.value

    def _power(self, hz: NDArray[np.generic], busy: Floats) -> Floats:
        """Watts of each domain, same shape as ``busy``; the last axis is domains."""
        activity = self._idle_share + (1 - self._idle_share) * busy
        scale = (hz / self._top_hz) ** self._exponent
        return self._static_w + self._dynamic_w * scale * activity

    # -- power at a point, for virtual rails and for the time between frames --------------------

    def power_w(
        self, point: Mapping[str, int], load: Mapping[str, float] | None = None
    ) -> dict[str, float]:
        """Watts of every load (domains and constant loads) at a point.

        Args:
            point: domain → Hz; a domain left out runs at its default clock.
            load: domain → busy share 0 to 1; a domain left out is idle.
        """
        busy = np.array([(load or {}).get(name, 0.0) for name in self.domains])
        watts = self._power(self.hertz([point])[0], np.clip(busy, 0.0, 1.0))
        powers = {name: float(w) for name, w in zip(self.domains, watts, strict=True)}
        return powers | {name: w.value for name, w in self.board.other_loads_w.items()}

    def rail_power_w(
        self, point: Mapping[str, int], load: Mapping[str, float] | None = None
    ) -> dict[str, float]:
        """Watts of every rail at a point, by label; a rail marked ``all`` carries the total."""
        powers = self.power_w(point, load)
        return {
            rail.label: sum(
                powers[name] for name in (powers if 'all' in rail.loads else rail.loads)
            )
            for rail in self.board.rails
        }

    def total_w(self, point: Mapping[str, int], load: Mapping[str, float] | None = None) -> float:
        """Watts of the whole board at a point."""
        return sum(self.power_w(point, load).values())

    # -- the waiting board ----------------------------------------------------------------------

    @property
    def wait_lengths_s(self) -> list[float]:
        """From which lengths of a wait on the board draws less, in seconds; the first is 0."""
        return [0.0, *sorted({s.min_residency_s.value for s in self.board.idle_states})]

    def idle_w(self, point: Mapping[str, int] | None = None, wait_s: float = 0.0) -> float:
        """Watts of the waiting board.

        Args:
            point: the clocks; :meth:`idle_point` unless given.
            wait_s: seconds that nobody disturbs it. Where they are enough for an idle state, the
                deepest that they are enough for saves its share, as the kernel's governor, which
                guesses waits from those before, lets a steady stream have it.
        """
        at = self.idle_point() if point is None else point
        return float(self.waiting_w([at], wait_s)[0])

    def waiting_w(self, points: Sequence[Mapping[str, int]], wait_s: float) -> Floats:
        """The same at several points, ``(P,)``."""
        saves = self._saves(wait_s)
        hz = self.hertz(points)
        watts = self._power(hz, np.zeros(hz.shape))
        kept = np.array([1 - saves.get(name, 0.0) for name in self.domains])
        loads = self.board.other_loads_w.items()
        others = sum(w.value * (1 - saves.get(name, 0.0)) for name, w in loads)
        return watts @ kept + others

    def _saves(self, wait_s: float) -> dict[str, float]:
        """Load → share of its power that the deepest idle state saves in such a wait."""
        deep = [s for s in self.board.idle_states if 0 < s.min_residency_s.value <= wait_s]
        if not deep:
            return {}
        deepest = max(deep, key=lambda state: state.min_residency_s.value)
        return {load: share.value for load, share in deepest.saves.items()}


def _column(
    specs: Iterable[DomainSpec], field: Literal['static_w', 'dynamic_w', 'exponent', 'idle_share']
) -> Floats:
    powers = [spec.power for spec in specs]
    return np.array([getattr(power, field).value for power in powers])
