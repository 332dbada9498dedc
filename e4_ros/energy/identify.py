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

"""Which board a machine is, and what is known of it: described, or discovered and generic.

Order of the evidence: a virtual board says its own name; then a ``compatible`` string of the device
tree that one board alone has, so that a third-party carrier is known by the module on it; then the
text of ``model``, which carriers change and kits give to several modules; then the SoC.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from e4_ros import paths
from e4_ros.energy.board_parts import HZ_PER_MHZ, ClockTable, DomainSpec
from e4_ros.energy.boards import Board, board_names, load_board
from e4_ros.energy.domains.discovery import discover
from e4_ros.energy.domains.domain import Domain
from e4_ros.energy.power_mode import SeenMode, read_power_mode
from e4_ros.energy.virtual.board import board_of

_DEVICE_TREE = 'proc/device-tree'
_ONLINE, _PRESENT = (f'sys/devices/system/cpu/{name}' for name in ('online', 'present'))
_UNKNOWN = 'pc'


def identify(root: str | Path = '/') -> str:
    """Name of the machine's board: one that is described, else one made of its model's text.

    A machine without a device tree (a PC, a container) is ``pc``. Where several boards have the SoC
    that is all that is known, it is the one with as many CPUs.
    """
    if (name := board_of(root)) is not None:
        return name
    model = ' '.join(_strings(root, 'model'))
    known = {name: load_board(name) for name in board_names()}
    found = [
        [name for name, board in known.items() if seen in board.compatible]
        for seen in _modules(_strings(root, 'compatible'))
    ]
    for alike in found:
        if len(alike) == 1:
            return alike[0]
    for name, board in known.items():
        if model and board.model == model:
            return name
    for alike in filter(None, found):
        cpus = len(_cpu_list(Path(root) / _PRESENT))
        return next((name for name in alike if _cpus(known[name]) == cpus), alike[0])
    return re.sub(r'[^a-z0-9]+', '_', model.lower()).strip('_') or _UNKNOWN


def machine_board(root: str | Path = '/') -> Board:
    """What is known of the machine below ``root``; never nothing.

    A described board comes in the power mode that the machine is in, with the tables and limits
    that were discovered in the place of its file's. An unknown machine gets its discovered tables
    and a generic model of speed and power, which ``generic`` marks: `e4 profile --board here`
    measures a table that replaces the guesses.
    """
    name, seen, found = identify(root), read_power_mode(root), discover(root)
    if name not in board_names():
        return _generic(name, Path(root), found)
    board = load_board(name)
    if seen is not None and (mode := _mode_of(board, seen)):
        board = board.in_mode(mode)
    if online := _cpu_list(Path(root) / _ONLINE):
        board = board.with_cpus(online)
    return board.with_clocks({d.name: (d.frequencies_hz, d.limits_hz) for d in found})


def known_board(name: str, root: str | Path = '/') -> Board:
    """What is known of a board by its name: where that is the machine's own, of the machine itself.

    Raises:
        BoardError: neither this machine's name nor that of a board that ships.
    """
    return machine_board(root) if name == identify(root) else load_board(name)


def _strings(root: str | Path, name: str) -> list[str]:
    """Texts of a device tree property, which end with a zero byte each."""
    try:
        raw = (Path(root) / _DEVICE_TREE / name).read_bytes()
    except OSError:
        return []
    return [text for part in raw.split(b'\0') if (text := part.decode(errors='replace').strip())]


def _modules(compatible: list[str]) -> Iterator[str]:
    """Each string, and the module that one names behind its carrier.

    A Jetson's `nvidia,p3768-0000+p3767-0005-super` is the module `nvidia,p3767-0005`.
    """
    for text in compatible:
        yield text
        if '+' in text:
            yield 'nvidia,' + text.rpartition('+')[2].removesuffix('-super')


def _cpu_list(path: Path) -> list[int]:
    """CPU numbers from a list like `0-3,6`; empty where it cannot be read."""
    try:
        spans = [tuple(map(int, part.split('-'))) for part in path.read_text().split(',')]
    except (OSError, ValueError):
        return []
    return [cpu for span in spans for cpu in range(span[0], span[-1] + 1)]


def _cpus(board: Board) -> int:
    return sum(len(cpus) for spec in board.domains.values() for cpus in spec.policies)


def _mode_of(board: Board, seen: SeenMode) -> str:
    """The described mode that was seen, by name or else by number; empty if there is none."""
    if seen.name in board.power_modes:
        return seen.name
    by_number = {mode.id: name for name, mode in board.power_modes.items()}
    return '' if seen.name else by_number.get(seen.id, '')


def _generic(name: str, root: Path, found: list[Domain]) -> Board:
    """A board of guesses around discovered clocks; one CPU clock is assumed where none is found."""
    text = (paths.config_dir() / 'generic_board.yaml').read_text()
    guess = Board.model_validate(yaml.safe_load(text))
    domains = {'cpu': guess.domains['cpu']}
    for domain in found:
        like = guess.domains.get(domain.name.rstrip('0123456789'))
        if like is not None:
            domains[domain.name] = _discovered(like, domain, root)
    return guess.model_copy(
        update={'name': name, 'title': f'{name}, not described', 'domains': domains}
    )


def _discovered(like: DomainSpec, domain: Domain, root: Path) -> DomainSpec:
    mhz = tuple(hz / HZ_PER_MHZ for hz in domain.frequencies_hz)
    spec = like.model_copy(
        update={
            'kind': domain.kind,
            'table': ClockTable(mhz=mhz, source='discovered'),
            'limits_mhz': tuple(hz / HZ_PER_MHZ for hz in domain.limits_hz),
        }
    )
    policies = tuple(_cpus_of(policy) for policy in getattr(domain, 'policies', ()))
    if not any(policies):
        return spec
    return spec.model_copy(
        update={'policies': policies} | _for_cores(spec, sum(map(len, policies)))
    )


def _for_cores(one: DomainSpec, cores: int) -> dict[str, object]:
    """Speed and power of so many cores, from those of one."""
    assert one.compute is not None  # the generic board's file has it
    power, speed = one.power, one.compute.macs_per_cycle
    return {
        'compute': one.compute.model_copy(update={'macs_per_cycle': speed.times(cores)}),
        'power': power.model_copy(
            update={
                'static_w': power.static_w.times(cores),
                'dynamic_w': power.dynamic_w.times(cores),
            }
        ),
    }


def _cpus_of(policy: Path) -> tuple[int, ...]:
    try:
        return tuple(map(int, (policy / 'affected_cpus').read_text().split()))
    except (OSError, ValueError):
        return ()
