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

"""What this machine has for the package, what it lacks, and what to do about that."""

from __future__ import annotations

import grp
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from e4_ros import paths
from e4_ros.evaluation.doctor.check import Check
from e4_ros.evaluation.doctor.devices import devices
from e4_ros.evaluation.doctor.software import software
from e4_ros.perception.palette import hertz


def check_all(root: Path = Path('/')) -> list[Check]:
    """Check everything.

    Args:
        root: Folder that holds ``sys`` and ``proc``; that of a virtual board may be checked, too.
    """
    parts: tuple[Callable[[], Iterator[Check]], ...] = (
        software,
        devices,
        lambda: _board(root),
        lambda: _clocks(root),
        lambda: _brakes(root),
        lambda: _energy(root),
        _access,
    )
    return [check for part in parts for check in part()]


def _board(root: Path) -> Iterator[Check]:
    """Which board this is, and the power mode that it is in."""
    from e4_ros.energy.identify import machine_board
    from e4_ros.energy.power_mode import OPEN_HZ, read_power_mode

    board, mode = machine_board(root), read_power_mode(root)
    if board.generic:
        yield Check(
            'clocks', 'board', 'optional',
            f'{board.name}: not described, its speed and power are guesses',
            '`e4 profile --board here` measures a cost table that replaces them',
        )  # fmt: skip
    else:
        cores = f'{board.domains["cpu"].cores} CPUs on'
        yield Check('clocks', 'board', 'ok', f'{board.name}: {board.title}, {cores}')
    if mode is None:
        return
    limits = ', '.join(
        f'{name} at most {hertz(high)}'
        for name, (_, high) in mode.limits_hz.items()
        if high < OPEN_HZ
    )
    name = mode.name or 'not named in /etc/nvpmodel.conf'
    yield Check('clocks', 'power mode', 'ok', f'{mode.id}, {name}' + (limits and f': {limits}'))


def _clocks(root: Path) -> Iterator[Check]:
    from e4_ros.energy.domains.discovery import discover

    domains = discover(root)
    for domain in domains:
        low, high = domain.limits_hz
        found = f'{domain.kind}, {len(domain.allowed_hz)} points, {hertz(low)} to {hertz(high)}'
        closed = domain.unwritable()
        yield Check(
            'clocks', domain.name, 'optional' if closed else 'ok',
            f'{found}, {"not writable" if closed else "writable"}',
            _how_to_write(closed) if closed else '',
        )  # fmt: skip
    if not domains:
        yield Check(
            'clocks', 'domains', 'optional', 'none found: exits work, clocks stay as they are',
            'virtual machines and containers show none; on a robot, run this on the host',
        )  # fmt: skip


def _brakes(root: Path) -> Iterator[Check]:
    """What holds the clocks down, or may soon."""
    from e4_ros.energy.meters.slowdowns import gated_tpcs, slowdowns
    from e4_ros.energy.meters.thermal import nearest_to_limit

    if (zone := nearest_to_limit(root)) is not None:
        hot = zone.temperature_c >= zone.limit_c
        yield Check(
            'clocks', 'heat', 'optional' if hot else 'ok',
            f'{zone.kind} {zone.temperature_c:.0f} °C, limit {zone.limit_c:g} °C',
            'the daemon lends no clocks until the board is cooler' if hot else '',
        )  # fmt: skip
    if slow := slowdowns(root):
        yield Check(
            'clocks', 'slowed down', 'optional', '; '.join(slow),
            'cool the board better, give it a stronger supply, or choose a lower power mode',
        )  # fmt: skip
    if gated := gated_tpcs(root):
        yield Check('clocks', 'GPU cores', 'ok', f'{gated} TPCs are off (tpc_pg_mask)')


def _how_to_write(files: list[Path]) -> str:
    first = files[0]
    try:
        status = first.stat()
        group = grp.getgrgid(status.st_gid).gr_name
    except (OSError, KeyError):
        return f'{first} cannot be looked at by this user'
    if status.st_mode & stat.S_IWGRP and group != 'root':
        return f'join the group: `sudo usermod -aG {group} $USER`, then log in again ({first})'
    return f'only {group} may write {first}; the DVFS daemon needs that right, perception does not'


def _energy(root: Path) -> Iterator[Check]:
    from e4_ros.energy.errors import DomainError
    from e4_ros.energy.meters import meters
    from e4_ros.energy.meters.rapl import find_zones

    meter = meters.open_meter(root)
    if meter is not None:
        with meter:
            reading = meter.read(parts=True)
        found = f'{reading.source} by {meter.name}: {" + ".join(meter.counted)}'
        if parts := [label for label in reading.rails_j if label not in meter.counted]:
            found += f'; parts of it, read only where asked for: {", ".join(parts)}'
        yield Check('energy', 'rails', 'ok', found)
        return
    try:
        find_zones(root)
    except DomainError as error:
        yield Check(
            'energy', 'rails', 'optional', f'there are counters, but: {error}',
            'root may read them; the daemon can run as root or get CAP_DAC_READ_SEARCH',
        )  # fmt: skip
        return
    yield Check(
        'energy', 'rails', 'optional', 'no sensor: joules are modelled, and say so',
        'INA3221 and INA238 (Jetson), RAPL (x86), NVML and jtop are understood',
    )  # fmt: skip


def _access() -> Iterator[Check]:
    yield _daemon()
    groups = sorted(filter(None, map(_group_name, {os.getegid(), *os.getgroups()})))
    yield Check('access', 'groups', 'ok', ', '.join(groups) or 'none with a name')
    yield from _cameras()
    yield from _folders()


def _daemon() -> Check:
    from e4_ros.energy.client.client import DaemonError, DvfsClient

    client = DvfsClient(timeout_s=1.0)
    try:
        status = client.status()
    except (DaemonError, ValueError) as error:
        text = getattr(error, 'strerror', None) or str(error)
        found, _, advice = text.partition('; ')
        return Check('access', 'DVFS daemon', 'optional', found, advice)
    board = status.get('board', 'unknown')
    return Check('access', 'DVFS daemon', 'ok', f'answers on {client.socket_path}, board {board}')


def _cameras() -> Iterator[Check]:
    cameras = sorted(Path('/dev').glob('video*'))
    closed = [str(path) for path in cameras if not os.access(path, os.R_OK | os.W_OK)]
    if closed:
        yield Check(
            'access', 'cameras', 'optional', f'no permission for {", ".join(closed)}',
            '`sudo usermod -aG video $USER`, then log in again',
        )  # fmt: skip
    elif cameras:
        yield Check('access', 'cameras', 'ok', ', '.join(map(str, cameras)))
    else:
        yield Check('access', 'cameras', 'optional', 'no /dev/video*', 'a video or a bag will do')


def _folders() -> Iterator[Check]:
    for variable, (path, stays) in paths.writable_folders().items():
        yield Check(
            'access', variable, 'ok' if stays else 'optional',
            str(path) if stays else 'cannot be written: a temporary folder is used each time',
            '' if stays else f'set {variable} to a folder that can be kept',
        )  # fmt: skip


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return ''
