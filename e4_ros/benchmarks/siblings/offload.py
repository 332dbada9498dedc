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

"""`e4 bench siblings --part offload`: a real robot and a real edge server, and all that goes wrong.

The robot's process has a fifth of a core, the link between it and the server is shaped. Images come
at 40 a second, as from a camera; nothing is driven faster. What every policy costs is worked out on
simulated links by `offload_policies`, on the same costs.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from e4_ros import console, extras
from e4_ros.benchmarks.siblings import offload_policies
from e4_ros.benchmarks.siblings.lab import CpuShare, Room, cpu_share, open_room
from e4_ros.benchmarks.siblings.lab.certificates import EXPIRED, ROBOT, make_certificates
from e4_ros.benchmarks.siblings.lab.driving import Robot, options_for
from e4_ros.benchmarks.siblings.lab.film import Film, Footage, labelled_footage
from e4_ros.benchmarks.siblings.lab.other_bundle import other_bundle
from e4_ros.benchmarks.siblings.lab.rooms import free_port
from e4_ros.benchmarks.siblings.lab.server import Server
from e4_ros.benchmarks.siblings.offload_faults import Site, campaign
from e4_ros.benchmarks.siblings.offload_live import added, beside, live_teacher
from e4_ros.offload.request import FOLLOW, FRAME, NETWORK

FRAMES, QUICK_FRAMES = 10_000, 300
RATE_HZ = 40.0
SHARE = 0.2
DEADLINE_S = 0.2
"""Twice what the robot's own network takes at its share of a core: a frame can always be answered
by the robot alone, and whatever is late has waited."""

MODEL = 'pedestrian_ssdlite'
ASKS_FOR = {
    'service': NETWORK, 'form': FRAME, 'quality': 60, 'meanwhile': FOLLOW, 'deadline_s': DEADLINE_S,
}  # fmt: skip
_DIFFERENT = 300  # frames of the film
_PATIENCE_S = 60.0


def measure(quick: bool) -> dict[str, Any]:
    """Measure it.

    Args:
        quick: whether a minute has to be enough.
    """
    extras.require('edge', '`e4 bench siblings --part offload`')
    with console.Phases(keep=True) as phases:
        found = _faults(QUICK_FRAMES if quick else FRAMES, phases)
        footage = labelled_footage() or [Footage('bikes')]
        found['added'] = added(footage[0], quick, phases)
        found['added_p50_ms'] = min(row['added_p50_ms'] for row in found['added'])
        found['beside'] = beside(footage[0], quick, phases)
        found['teacher'] = live_teacher(footage[:1] if quick else footage, quick, phases)
    found['policies'] = _policies(quick)
    return dict(_finite(found))


def _finite(value: Any) -> Any:
    """The same with None for what is no number, as JSON has it."""
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _policies(quick: bool) -> list[dict[str, Any]]:
    """What each policy costs on simulated links, beside the exact optimum."""
    return offload_policies.measure(quick)


def _faults(frames: int, phases: console.Phases) -> dict[str, Any]:
    footage = (labelled_footage() or [Footage('bikes')])[0]
    with ExitStack() as stack:
        film = stack.enter_context(_closing(Film(footage, _DIFFERENT, phases)))
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix='e4-offload-')))
        other = other_bundle(MODEL, scratch / 'other')
        room = stack.enter_context(open_room())
        slow = stack.enter_context(cpu_share(SHARE))
        port = free_port(room.server)
        server = Server(room, port, ['--model', MODEL])
        stack.callback(server.end)
        server.start()
        options = options_for(film, model=MODEL, endpoint=server.endpoint, offload=ASKS_FOR)
        robot = stack.enter_context(Robot(room.robot, options))
        robot.wait_for('ready')
        slow.add(robot.pid)
        server.wait_until_it_listens()
        robot.wait_for('connected', _PATIENCE_S)
        robot.warm_up()
        doubting, said = _doubting(room, film, scratch, slow, stack)
        site = Site(
            room, server, robot, ['--model', str(other)], options.server_name, port, doubting
        )
        found = campaign(site, frames, RATE_HZ, DEADLINE_S, phases)
    return {**found, 'share': SHARE, 'rate_hz': RATE_HZ, 'how': [*room.means, slow.means, *said]}


def _doubting(
    room: Room, film: Film, scratch: Path, slow: CpuShare, stack: ExitStack
) -> tuple[Robot | None, list[str]]:
    """A robot whose server shows a certificate that has expired, and what stood in the way."""
    port = free_port(room.server) + 1
    endpoint = Server(room, port, kind='tls').endpoint
    hosts = {where.rpartition(':')[0] for where in (room.listen(port), endpoint.partition('/')[2])}
    try:
        files = make_certificates(scratch, sorted(hosts))
    except OSError as error:
        return None, [f'no phase with an expired certificate: {error}']
    own = files[EXPIRED]
    words = ['--tls-ca', str(own.ca), '--tls-certificate', str(own.certificate)]
    server = Server(room, port, ['--model', MODEL, *words, '--tls-key', str(own.key)], kind='tls')
    stack.callback(server.end)
    server.start()
    theirs = {name: str(path) for name, path in asdict(files[ROBOT]).items()}
    options = options_for(film, model=MODEL, endpoint=endpoint, offload=ASKS_FOR, tls=theirs)
    robot = stack.enter_context(Robot(room.robot, options))
    robot.wait_for('ready')
    slow.add(robot.pid)
    robot.warm_up()
    return robot, []


@contextmanager
def _closing(film: Film) -> Iterator[Film]:
    try:
        yield film
    finally:
        film.close()


def show(found: dict[str, Any]) -> None:
    """Print what was measured, and how far it is from what it should be."""
    out = console.stdout()
    out.print(_bars(found))
    out.print(_phases(found))
    out.print(_rows('added by sending, robot at full speed, link as fast as it is', found['added']))
    if found['beside']:
        out.print(_rows('on real processes, 5 Mbit/s', found['beside']))
    if found['teacher']:
        out.print(_rows('with the live teacher, 1 Mbit/s', found['teacher']))
    offload_policies.show(found['policies'])
    for sentence in found['how']:
        console.note(sentence)


def _bars(found: dict[str, Any]) -> Table:
    table = Table('', 'measured', 'wanted', box=None)
    table.add_row(
        f'frames later than {found["deadline_ms"]:.0f} + 5 ms, of {found["frames"]}',
        str(found['late']), '0',
    )  # fmt: skip
    table.add_row(
        f'back on the server, slowest of {found["recoveries"]}',
        _number(found['recovery_s'], '.2f', ' s'), '≤ 3 s',
    )  # fmt: skip
    table.add_row(
        'added by sending, fast link, p50 of the quickest form',
        _number(found['added_p50_ms'], '.2f', ' ms'),
        '≤ 1 ms',
    )
    return table


def _phases(found: dict[str, Any]) -> Table:
    table = Table(
        'phase', 'answered', 'dropped', 'late', 'p50 ms', 'p99 ms', 'max ms', 'requests',
        'in time', box=None,
    )  # fmt: skip
    for row in found['phases']:
        table.add_row(
            *(
                _cell(row[name])
                for name in (
                    'phase', 'answered', 'dropped', 'late', 'p50_ms', 'p99_ms', 'max_ms',
                    'requests', 'in_time',
                )
            )
        )  # fmt: skip
    return table


_SHOWN = (
    'way', 'stream', 'f1', 'late', 'p50_ms', 'p95_ms', 'board_mj', 'radio_mj', 'requests',
    'added_p50_ms', 'encode_ms', 'send_ms', 'return_ms', 'kb',
)  # fmt: skip


def _rows(title: str, rows: list[dict[str, Any]]) -> Table:
    table = Table(title=title, title_justify='left', box=None)
    names = [name for name in _SHOWN if name in rows[0]]
    for name in names:
        text = name in ('way', 'stream')
        table.add_column(name.replace('_', ' '), justify='left' if text else 'right', no_wrap=True)
    for row in rows:
        table.add_row(*(_cell(row[name]) for name in names))
    return table


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f'{value:.3f}' if value < 1 else f'{value:.1f}'
    return '–' if value is None else str(value)


def _number(value: float | None, kind: str, unit: str) -> str:
    return 'not seen' if value is None else f'{value:{kind}}{unit}'
