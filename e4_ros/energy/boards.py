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

"""Board descriptions: clock tables, power modes, rails, power and speed, each with its source.

A board file (``config/boards/NAME.yaml``) describes a machine that can be simulated. A number is
written ``[value, source]``; a guess says ``assumed``. Real machines are discovered, not looked up.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from e4_ros import paths
from e4_ros.energy.board_parts import (
    HZ_PER_MHZ,
    ClockTable,
    Compute,
    DomainSpec,
    IdleState,
    Memory,
    PowerMode,
    PowerModel,
    PowerMonitor,
    Rail,
    Sourced,
    Strict,
    SwitchCost,
    Thermal,
    Trip,
    Zone,
)

__all__ = [
    'PAPER_BOARDS',
    'Board',
    'BoardError',
    'ClockTable',
    'Compute',
    'DomainSpec',
    'IdleState',
    'Memory',
    'PowerMode',
    'PowerModel',
    'PowerMonitor',
    'Rail',
    'Sourced',
    'SwitchCost',
    'Thermal',
    'Trip',
    'Zone',
    'board_names',
    'load_board',
]


PAPER_BOARDS = (
    'jetson_agx_orin',
    'jetson_nano',
    'jetson_orin_nano',
    'jetson_tx2',
    'jetson_xavier_nx',
)
"""The boards of E4's paper (arXiv 2503.04865), on which its figures are played."""


class BoardError(ValueError):
    """A board is unknown or its file is wrong; the message says where."""


class Board(Strict):
    """A machine as ``config/boards/NAME.yaml`` describes it.

    Attributes:
        name: name of the board in plans and commands; also that of its file.
        title: name of the board for people.
        model: text of ``/proc/device-tree/model`` (empty on a PC).
        compatible: strings of ``/proc/device-tree/compatible`` that mean this board, module before
            SoC.
        generic: whether speed and power are guesses for a machine that nobody described.
        kernel: ``old`` (4.9, refuses min above max) or ``new`` (5.10 and later, PM QoS).
        domains: domain name → domain.
        power_modes: name → power mode (``nvpmodel``); empty where the board has none.
        shipped_mode: name of the mode that the board ships in.
        mode: name of the mode that limits, cores and speed of the domains stand for, empty for the
            whole board; :meth:`in_mode` sets it.
        other_loads_w: name → watts of a constant load that no clock changes.
        memory: speed of the memory.
        monitors: name → power monitor.
        rails: channels of the power monitors.
        thermal: heating of the board.
        cooling: types of the cooling devices.
        over_current: folder (below the root) of the counters of over-current events.
        idle_states: states that the waiting board can fall into.
    """

    name: str
    title: str
    model: str = ''
    compatible: tuple[str, ...] = ()
    generic: bool = False
    kernel: Literal['old', 'new']
    domains: dict[str, DomainSpec]
    power_modes: dict[str, PowerMode] = Field(default_factory=dict)
    shipped_mode: str = ''
    mode: str = ''
    other_loads_w: dict[str, Sourced]
    memory: Memory
    monitors: dict[str, PowerMonitor] = Field(default_factory=dict)
    rails: tuple[Rail, ...] = ()
    thermal: Thermal
    cooling: tuple[str, ...] = ()
    over_current: str = ''
    idle_states: tuple[IdleState, ...] = ()

    @model_validator(mode='after')
    def _consistent(self) -> Board:
        loads = {*self.domains, *self.other_loads_w}
        for rail in self.rails:
            if unknown := set(rail.loads) - {'all', *loads}:
                raise ValueError(f'rail {rail.label}: unknown loads {sorted(unknown)}')
            if rail.device not in self.monitors:
                raise ValueError(f'rail {rail.label}: no monitor {rail.device!r}')
        if 'cpu' not in self.domains or self.domains['cpu'].compute is None:
            raise ValueError('a board needs a cpu domain that computes')
        needed = 'bytes_per_cycle' if 'emc' in self.domains else 'bytes_per_s'
        if getattr(self.memory, needed) is None:
            raise ValueError(f'memory.{needed} is missing')
        if (self.shipped_mode or self.power_modes) and self.shipped_mode not in self.power_modes:
            raise ValueError(f'shipped_mode: there is no power mode {self.shipped_mode!r}')
        for name, mode in self.power_modes.items():
            self._check_mode(name, mode)
        for state in self.idle_states:
            if unknown := set(state.saves) - loads:
                raise ValueError(f'idle state {state.name}: unknown loads {sorted(unknown)}')
        return self

    def _check_mode(self, name: str, mode: PowerMode) -> None:
        if unknown := set(mode.limits_mhz) - set(self.domains):
            raise ValueError(f'power mode {name}: unknown domains {sorted(unknown)}')
        for domain, (low, high) in mode.limits_mhz.items():
            if low is not None and high is not None and low > high:
                raise ValueError(f'power mode {name}: {domain} has its lowest clock above its top')
        cpus = {cpu for spec in self.domains.values() for group in spec.policies for cpu in group}
        if missing := set(mode.cpus_online or ()) - cpus:
            raise ValueError(f'power mode {name}: unknown CPUs {sorted(missing)}')
        tpcs = _tpcs(self.domains)
        if (mode.gpu_tpcs or 0) > tpcs:
            raise ValueError(
                f'power mode {name}: {mode.gpu_tpcs} TPCs of {tpcs}; '
                'domains.gpu.compute.units says how many there are'
            )

    @property
    def engine(self) -> str:
        """The domain that computes the network: the GPU where there is one."""
        gpu = self.domains.get('gpu')
        return 'gpu' if gpu is not None and gpu.compute is not None else 'cpu'

    def in_mode(self, name: str) -> Board:
        """The board in one of its power modes: limits, cores that are on, speed and power.

        Cores and TPCs that a mode switches off neither compute nor draw power.

        Raises:
            BoardError: the board has no such mode.
        """
        if name not in self.power_modes:
            known = ', '.join(self.power_modes) or 'none'
            raise BoardError(f'{self.name} has no power mode {name!r}; it has {known}')
        mode = self.power_modes[name]
        domains = {}
        for domain, spec in self.domains.items():
            low, high = mode.limits_mhz.get(domain, (None, None))
            domains[domain] = spec.model_copy(
                update={
                    'limits_mhz': (low or spec.table.mhz[0], high or spec.table.mhz[-1]),
                    'cpus_online': mode.cpus_online if spec.policies else None,
                    'units_online': mode.gpu_tpcs if domain == 'gpu' else None,
                }
            )
        return self.model_copy(update={'domains': domains, 'mode': name})

    def with_cpus(self, online: Collection[int]) -> Board:
        """The board with these of its CPUs online."""
        cpus = tuple(sorted(online))
        domains = {
            name: spec.model_copy(update={'cpus_online': cpus}) if spec.policies else spec
            for name, spec in self.domains.items()
        }
        return self.model_copy(update={'domains': domains})

    def with_clocks(self, clocks: Mapping[str, tuple[tuple[int, ...], tuple[int, int]]]) -> Board:
        """The board with the tables and limits that a machine was found to have.

        Args:
            clocks: domain → ascending frequencies, and lowest and highest allowed, all in hertz; a
                domain that is missing stays as described, and one that the board lacks is ignored.
        """
        domains = dict(self.domains)
        for name in domains.keys() & clocks.keys():
            spec, (table_hz, limits_hz) = domains[name], clocks[name]
            mhz = tuple(hz / HZ_PER_MHZ for hz in table_hz)
            domains[name] = spec.model_copy(
                update={
                    'table': ClockTable(mhz=mhz, source='discovered'),
                    'limits_mhz': tuple(hz / HZ_PER_MHZ for hz in limits_hz),
                    'power': spec.power.at_top(mhz[-1] / spec.table.mhz[-1]),
                }
            )
        return self.model_copy(update={'domains': domains})


def _tpcs(domains: Mapping[str, DomainSpec]) -> int:
    gpu = domains.get('gpu')
    return gpu.compute.units if gpu is not None and gpu.compute is not None else 0


def load_board(name: str) -> Board:
    """Read ``config/boards/NAME.yaml``; the board is in the power mode that it ships in.

    Args:
        name: name of the board, or path of such a file (ending in ``.yaml``).

    Raises:
        BoardError: there is no such board, or its file does not describe one.
    """
    path = Path(name) if name.endswith('.yaml') else _boards_dir() / f'{name}.yaml'
    if not path.is_file():
        raise BoardError(f'unknown board {name!r}; known boards: {", ".join(board_names())}')
    return _read(path, path.stat().st_mtime_ns)


def board_names() -> list[str]:
    """Names of the boards that ship, sorted."""
    return sorted(p.stem for p in _boards_dir().glob('*.yaml'))


def _boards_dir() -> Path:
    return paths.config_dir() / 'boards'


@lru_cache(maxsize=32)
def _read(path: Path, _mtime_ns: int) -> Board:
    try:
        text: Any = yaml.safe_load(path.read_text())
        board = Board.model_validate(text)
    except (ValidationError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise BoardError(f'{path}: not a board description: {error}') from error
    return board.in_mode(board.shipped_mode) if board.shipped_mode else board
