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
from collections.abc import Iterator
from pathlib import Path

from e4_ros.energy.boards import Board, BoardError, DomainSpec, load_board

MARK = 'etc/e4-virtual-board'
"""File of a virtual board's tree that holds the board's name."""

_KHZ = 1000
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
    texts = {MARK: board.name}
    if board.model:
        texts['proc/device-tree/model'] = board.model + '\0'
    for spec in board.domains.values():
        texts.update(_KINDS[spec.kind](spec))
    for index, zone in enumerate(board.thermal.zones):
        folder = f'sys/class/thermal/thermal_zone{index}'
        texts[f'{folder}/type'] = zone.type
        texts[f'{folder}/temp'] = str(_NOMINAL_C * 1000)
    return {path: text if text.endswith('\0') else f'{text}\n' for path, text in texts.items()}


def links(board: Board) -> dict[str, str]:
    """Path below the root → target of a symbolic link."""
    targets = {}
    for spec in board.domains.values():
        if spec.kind == 'devfreq':
            device = devfreq_folder(spec)
            targets[f'{device}/device'] = '../..'
            name = Path(device).name
            targets[f'sys/class/devfreq/{name}'] = os.path.relpath(device, 'sys/class/devfreq')
        for folder, cpus in policies(spec):
            for cpu in cpus:
                targets[f'sys/devices/system/cpu/cpu{cpu}/cpufreq'] = os.path.relpath(
                    folder, f'sys/devices/system/cpu/cpu{cpu}'
                )
    return targets


def policies(spec: DomainSpec) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Folder (below the root) and CPU numbers of each cpufreq policy."""
    for cpus in spec.policies:
        yield f'{spec.path}/policy{cpus[0]}', cpus


def devfreq_folder(spec: DomainSpec) -> str:
    """Folder (below the root) of a devfreq device's attributes."""
    return f'{spec.path}/devfreq/{Path(spec.path).name}'


def _clock_links(board: Board) -> dict[str, str]:
    targets = {}
    for spec in board.domains.values():
        for folder, _ in policies(spec):
            targets[f'{folder}/scaling_cur_freq'] = 'scaling_max_freq'
        if spec.kind == 'devfreq':
            targets[f'{devfreq_folder(spec)}/cur_freq'] = 'max_freq'
    return targets


def _cpufreq(spec: DomainSpec) -> dict[str, str]:
    table, (low, high) = spec.frequencies_hz, spec.limits_hz
    texts = {}
    for folder, cpus in policies(spec):
        governors = [governor for governor in spec.governors if governor != 'userspace']
        attributes = {
            'affected_cpus': ' '.join(map(str, cpus)),
            'cpuinfo_max_freq': table[-1] // _KHZ,
            'cpuinfo_min_freq': table[0] // _KHZ,
            'cpuinfo_transition_latency': 300_000,
            'related_cpus': ' '.join(map(str, cpus)),
            'scaling_available_governors': ' '.join(governors),
            'scaling_driver': spec.driver,
            'scaling_governor': spec.governor,
            'scaling_max_freq': high // _KHZ,
            'scaling_min_freq': low // _KHZ,
            'scaling_setspeed': '<unsupported>',
        }
        if 'pstate' not in spec.driver:
            attributes['scaling_available_frequencies'] = ' '.join(str(hz // _KHZ) for hz in table)
        texts.update({f'{folder}/{name}': str(text) for name, text in attributes.items()})
    return texts


def _devfreq(spec: DomainSpec) -> dict[str, str]:
    folder, (low, high) = devfreq_folder(spec), spec.limits_hz
    attributes = {
        'available_frequencies': ' '.join(map(str, spec.frequencies_hz)),
        'available_governors': ' '.join(spec.governors),
        'governor': spec.governor,
        'max_freq': high,
        'min_freq': low,
        'name': Path(folder).name,
    }
    texts = {f'{folder}/{name}': str(text) for name, text in attributes.items()}
    return texts | {f'{spec.path}/of_node/name': spec.of_node + '\0'}


def _bpmp(spec: DomainSpec) -> dict[str, str]:
    table, (_, high) = spec.frequencies_hz, spec.limits_hz
    return {
        f'{spec.path}/max_rate': str(table[-1]),
        f'{spec.path}/min_rate': str(table[0]),
        f'{spec.path}/mrq_rate_locked': '0',
        f'{spec.path}/rate': str(high),
        'sys/kernel/debug/emc/available_rates': ' '.join(map(str, table)),
        'sys/kernel/nvpmodel_clk_cap/emc': str(high),
    }


_KINDS = {'cpufreq': _cpufreq, 'devfreq': _devfreq, 'bpmp': _bpmp}
