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

"""nvpmodel of a virtual board: its two files, and the writes with which it sets a power mode.

Sources: the shape of `/etc/nvpmodel.conf` on JetPack 4 to 6 and of `/var/lib/nvpmodel/status`. A
mode takes CPUs offline, writes limits of clocks and switches TPCs of the GPU off.
"""

from __future__ import annotations

from collections.abc import Iterator

from e4_ros.energy.boards import Board, DomainSpec
from e4_ros.energy.power_mode import CONF, STATUS
from e4_ros.energy.virtual.clock_files import CPUS, devfreq_folder, online, policies

TPC_MASK = 'sys/devices/gpu.0/tpc_pg_mask'

_HZ_PER_KHZ = 1000
_OPEN = -1


def files(board: Board) -> dict[str, str]:
    """Path below the root → text, of nvpmodel's files; none where the board has no modes."""
    if not board.power_modes:
        return {}
    mode = board.power_modes[board.mode]
    texts = {STATUS: f'pmode:{mode.id:04d} fmode:quiet', CONF: _configuration(board)}
    if _tpcs(board):
        texts[TPC_MASK] = str(_mask(board, board.mode))
    return texts


def writes(board: Board) -> Iterator[tuple[str, str]]:
    """Path and text of each write that brings a machine into the mode of `board`, in order.

    A lower limit is opened before the upper one comes down, as old kernels refuse min above max.
    """
    for cpu, on in online(board).items():
        yield f'{CPUS}/cpu{cpu}/online', str(int(on))
    for spec in board.domains.values():
        for low, high, unit in _limit_files(spec):
            lowest, highest = (hz // unit for hz in spec.written_hz)
            if low:
                yield low, str(spec.frequencies_hz[0] // unit)
            yield high, str(highest)
            if low:
                yield low, str(lowest)
    texts = files(board)
    for path in (TPC_MASK, STATUS):
        if path in texts:
            yield path, texts[path]


def _limit_files(spec: DomainSpec) -> Iterator[tuple[str, str, int]]:
    """Files of the lower (empty: none) and the upper limit, and hertz per unit."""
    for folder, cpus in policies(spec):
        if any(cpu in spec.cpus for cpu in cpus):
            yield f'{folder}/scaling_min_freq', f'{folder}/scaling_max_freq', _HZ_PER_KHZ
    if spec.kind == 'devfreq':
        folder = devfreq_folder(spec)
        yield f'{folder}/min_freq', f'{folder}/max_freq', 1
    elif spec.cap:
        yield '', spec.cap, 1


def _tpcs(board: Board) -> int:
    gpu = board.domains.get('gpu')
    return gpu.compute.units if gpu is not None and gpu.compute is not None else 0


def _mask(board: Board, mode: str) -> int:
    """Bits of the TPCs that are off, the last ones first."""
    every = _tpcs(board)
    on = board.power_modes[mode].gpu_tpcs or every
    return (1 << every) - (1 << on)


def _configuration(board: Board) -> str:
    lines = ['< PARAM TYPE=FILE NAME=CPU_ONLINE >']
    lines += [f'CORE_{cpu} /{CPUS}/cpu{cpu}/online' for cpu in online(board)]
    if _tpcs(board):
        lines += ['', '< PARAM TYPE=FILE NAME=TPC_POWER_GATING >', f'TPC_PG_MASK /{TPC_MASK}']
    whole = {
        name: (spec.model_copy(update={'cpus_online': None}), parameter)
        for name, spec in board.domains.items()
        for parameter in [name.upper()]
    }
    for spec, parameter in whole.values():
        for index, (low, high, _) in enumerate(_limit_files(spec)):
            kind = 'CLOCK' if low else 'FILE'
            lines += ['', f'< PARAM TYPE={kind} NAME={_numbered(spec, parameter, index)} >']
            lines += [f'MAX_FREQ /{high}', *([f'MIN_FREQ /{low}'] if low else [])]
    for name, mode in board.power_modes.items():
        inside = board.in_mode(name)
        lines += ['', f'< POWER_MODEL ID={mode.id} NAME={name} >']
        lines += [f'CPU_ONLINE CORE_{cpu} {int(on)}' for cpu, on in online(inside).items()]
        if _tpcs(board):
            lines += [f'TPC_POWER_GATING TPC_PG_MASK {_mask(board, name)}']
        for domain, (spec, parameter) in whole.items():
            floor, cap = mode.limits_mhz.get(domain, (None, None))
            for index, (low, _, unit) in enumerate(_limit_files(spec)):
                word = _numbered(spec, parameter, index)
                if low:
                    lines.append(f'{word} MIN_FREQ {_units(floor, unit, 0)}')
                lines.append(f'{word} MAX_FREQ {_units(cap, unit, _OPEN if low else 0)}')
    lines += ['', f'< PM_CONFIG DEFAULT={board.power_modes[board.shipped_mode].id} >']
    return '\n'.join(lines)


def _numbered(spec: DomainSpec, parameter: str, index: int) -> str:
    return f'{parameter}_{index}' if spec.policies else parameter


def _units(mhz: float | None, unit: int, otherwise: int) -> int:
    return otherwise if mhz is None else round(mhz * 1_000_000) // unit
