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

"""A virtual board as a tree of plain files, laid out as a kernel would show them.

`write_tree` makes ordinary files: no root, no FUSE. Discovery, daemon and command line accept the
folder as a machine's root. There is no kernel behind ordinary files, so the tree holds nothing
that only a kernel could keep up to date: no `userspace` governor (clocks are pinned by min = max,
and the current clock is a link to the maximum) and no rails (the meter is the board model, and says
so).
`e4 virtual-board` serves the same layout as a file system with the kernel's rules.
"""

from __future__ import annotations

import os
from pathlib import Path

from e4_ros.energy.boards import Board, BoardError, Zone, load_board
from e4_ros.energy.virtual import nvpmodel
from e4_ros.energy.virtual.clock_files import (
    CPUS,
    clock_files,
    cpu_files,
    devfreq_folder,
    policies,
)

MARK = 'etc/e4-virtual-board'
"""File of a virtual board's tree that holds the board's name."""

THERMAL = 'sys/class/thermal'
HWMON = 'sys/class/hwmon'
OVER_CURRENT = ('oc1', 'oc2', 'oc3')
"""Inputs of a Jetson's `soctherm_oc`: under-voltage, average and instantaneous over-current."""

_NOMINAL_C = 45


def write_tree(board: Board | str, folder: str | Path) -> Path:
    """Write the tree of a board below `folder` (made if missing) and return it.

    Args:
        board: the board, or its name.
        folder: an empty folder or a tree of the same board, which is then reset.

    Raises:
        BoardError: the folder holds other files, or there is no such board.
    """
    board = load_board(board) if isinstance(board, str) else board
    root = Path(folder)
    if root.exists() and any(root.iterdir()) and board_of(root) != board.name:
        raise BoardError(
            f'{root} is not empty and not a tree of {board.name}; choose another folder'
        )
    for name, text in files(board).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for name, target in (links(board) | _clock_links(board)).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_symlink():
            path.symlink_to(target)
    return root


def board_of(root: str | Path) -> str | None:
    """Name of the virtual board whose tree `root` is, or None for a real machine."""
    try:
        return (Path(root) / MARK).read_text().strip()
    except OSError:
        return None


def files(board: Board) -> dict[str, str]:
    """Path below the root → text, of the files that a plain tree and a mounted one share."""
    texts = {MARK: board.name} | nvpmodel.files(board) | cpu_files(board)
    if board.model:
        texts['proc/device-tree/model'] = board.model + '\0'
    if board.compatible:
        texts['proc/device-tree/compatible'] = ''.join(f'{name}\0' for name in board.compatible)
    for spec in board.domains.values():
        texts.update(clock_files(spec))
    for index, zone in enumerate(board.thermal.zones):
        texts.update(_zone(f'{THERMAL}/thermal_zone{index}', zone))
    for index, kind in enumerate(board.cooling):
        folder = f'{THERMAL}/cooling_device{index}'
        texts |= {f'{folder}/type': kind, f'{folder}/max_state': '10', f'{folder}/cur_state': '0'}
    if board.over_current:
        texts[f'{board.over_current}/name'] = 'soctherm_oc'
        for event in OVER_CURRENT:
            texts[f'{board.over_current}/{event}_event_cnt'] = '0'
            texts[f'{board.over_current}/{event}_throt_en'] = '1'
    return {path: text if text.endswith('\0') else f'{text}\n' for path, text in texts.items()}


def links(board: Board) -> dict[str, str]:
    """Path below the root → target of a symbolic link; CPUs that are off have theirs as well."""
    targets = {}
    for spec in board.domains.values():
        if spec.kind == 'devfreq':
            device = devfreq_folder(spec)
            targets[f'{device}/device'] = '../..'
            name = Path(device).name
            targets[f'sys/class/devfreq/{name}'] = os.path.relpath(device, 'sys/class/devfreq')
        for folder, cpus in policies(spec):
            for cpu in cpus:
                targets[f'{CPUS}/cpu{cpu}/cpufreq'] = os.path.relpath(folder, f'{CPUS}/cpu{cpu}')
    if board.over_current:
        name = Path(board.over_current).name
        targets[f'{HWMON}/{name}'] = os.path.relpath(board.over_current, HWMON)
    return targets


def _zone(folder: str, zone: Zone) -> dict[str, str]:
    celsius = _NOMINAL_C if zone.constant_c is None else zone.constant_c
    texts = {f'{folder}/type': zone.type, f'{folder}/temp': str(round(celsius * 1000))}
    for index, trip in enumerate(zone.trips):
        texts[f'{folder}/trip_point_{index}_type'] = trip.kind
        texts[f'{folder}/trip_point_{index}_temp'] = str(round(trip.c * 1000))
    return texts


def _clock_links(board: Board) -> dict[str, str]:
    targets = {}
    for spec in board.domains.values():
        for folder, _ in policies(spec):
            targets[f'{folder}/scaling_cur_freq'] = 'scaling_max_freq'
        if spec.kind == 'devfreq':
            targets[f'{devfreq_folder(spec)}/cur_freq'] = 'max_freq'
        if spec.kind == 'tegra210':
            targets[f'{spec.path}/clk_rate'] = 'clk_update_rate'
    return targets
