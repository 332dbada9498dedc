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

"""One machine tried: what is found there is held against the listing, then a lease is taken.

Nothing is raised: whatever differs or fails is one line of the answer.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from e4_ros.benchmarks.boards import tree
from e4_ros.benchmarks.boards.listing import Expected, Found, Listing
from e4_ros.energy.board_model import SegmentWork
from e4_ros.energy.client import ClientState, DaemonError, DvfsClient
from e4_ros.energy.daemon import Daemon, DaemonConfig
from e4_ros.energy.domains import Domain, discover
from e4_ros.energy.errors import DomainError
from e4_ros.energy.identify import identify, machine_board
from e4_ros.energy.meters import open_meter
from e4_ros.energy.plan import FrequencyPlan, PlanPath
from e4_ros.energy.power_mode import read_power_mode
from e4_ros.profiling.planning import plan

_WATTS = 0.002  # rounding of millivolts and milliamperes
_TAKES_S = 2.0
_WORKS = (
    SegmentWork('front', 2e8, 4e6, 20, 'cpu'),
    SegmentWork('back', 6e8, 8e6, 40, 'cpu'),
)
"""A small detector's, for a plan."""

_PLANNED = ('cpu', 'gpu')
"""Domains that plans clock where nobody says which."""
REFUSED = 'no lease: '
"""How a line begins that says why no lease was given, or why it was taken away."""

_SPEED = 'scaling_setspeed'
"""Under any governor but `userspace` it reads `<unsupported>`; plain files have no kernel that
would make it so again."""


def problems(listing: Listing) -> list[str]:
    """Everything that is not as it should be on the machine of a listing, one line each."""
    with tempfile.TemporaryDirectory(prefix='e4-listing-') as folder:
        root = Path(folder) / 'root'
        tree.write(listing, root)
        try:
            return [
                *_looked_up(root, listing.expect),
                *_metered(root, listing.expect),
                *leased(root, Path(folder) / 'state', listing.expect.domains),
            ]
        except Exception as error:
            return [f'{type(error).__name__}: {error}']


def _looked_up(root: Path, expect: Expected) -> Iterator[str]:
    if (board := identify(root)) != expect.board:
        yield f'the board is {board!r}, listed {expect.board!r}'
    mode = read_power_mode(root)
    if (key := mode.key if mode else '') != expect.mode:
        yield f'the power mode is {key!r}, listed {expect.mode!r}'
    domains = {domain.name: domain for domain in discover(root)}
    yield from _described(root, domains)
    if set(domains) != set(expect.domains):
        yield f'domains {", ".join(sorted(domains))}, listed {", ".join(sorted(expect.domains))}'
    for name, found in expect.domains.items():
        if name in domains:
            yield from _compared(domains[name], found)


def _described(root: Path, domains: dict[str, Domain]) -> Iterator[str]:
    """What the machine's description says otherwise than the machine itself."""
    board = machine_board(root)
    for name, domain in domains.items():
        if (spec := board.domains.get(name)) is None:
            if name in _PLANNED:
                yield f'its description has no {name}'
        elif spec.allowed_hz != domain.allowed_hz:
            yield f'its description allows {name} {spec.allowed_hz} Hz, it does {domain.allowed_hz}'


def _compared(domain: Domain, found: Found) -> Iterator[str]:
    table, allowed = domain.frequencies_hz, domain.allowed_hz
    for what, seen, listed in (
        ('is of kind', domain.kind, found.kind),
        ('has points', len(table), found.points),
        ('has the table', _ends_mhz(table), found.table),
        ('has points within the limits', len(allowed), found.allowed_points),
        ('is limited to', _ends_mhz(allowed), found.allowed),
    ):
        if seen != listed:
            yield f'{domain.name} {what} {seen}, listed {listed}'


def _ends_mhz(table: tuple[int, ...]) -> tuple[float, float]:
    return table[0] / 1e6, table[-1] / 1e6


def _metered(root: Path, expect: Expected) -> Iterator[str]:
    meter = open_meter(root, None, start=False)
    if meter is None:
        if expect.total:
            yield f'no meter, listed {", ".join(expect.total)}'
        return
    with meter:
        counted, watts = set(meter.counted), meter.read().power_w
    if counted != set(expect.total):
        yield f'counts {", ".join(sorted(counted))}, listed {", ".join(sorted(expect.total))}'
    if abs(watts - expect.watts) > _WATTS:
        yield f'the board takes {watts:.3f} W, listed {expect.watts:.3f} W'


def leased(root: Path, state: Path, listed: dict[str, Found]) -> list[str]:
    """Take the clocks of a machine, step them to both ends of their limits, give them back.

    Args:
        root: root of the machine's tree.
        state: folder for the daemon's state.
        listed: domain → what a listing says of it; empty: nothing is known.

    Returns:
        One line for everything that is wrong.
    """
    before = _texts(root)
    try:
        wrong = _stepped(root, state, listed)
    except (DomainError, DaemonError) as error:
        wrong = [f'{REFUSED}{error}']
    after = _texts(root)
    return wrong + [
        f'{name} reads {after.get(name)!r}, it was {text!r}'
        for name, text in before.items()
        if after.get(name) != text and not (name.endswith(_SPEED) and not text.isdigit())
    ]


def _stepped(root: Path, state: Path, listed: dict[str, Found]) -> list[str]:
    wrong: list[str] = []
    planned = _planned(root) if listed else None
    config = DaemonConfig(root=root, state_dir=state, socket_path=state / 'socket', priority=0)
    with Daemon(config) as daemon, DvfsClient(config.socket_path) as client:
        client.acquire('bench')
        ends = _ends_plan(client.board, client.frequencies_hz)
        client.set_plan(ends)
        for segment in (0, 1, 0):
            client.step(0, segment)
            wrong += _pinned(daemon, ends.point('full', segment) or {})
            if client.state is ClientState.LOST:
                raise DaemonError(client.lost_because)
        if planned is not None:
            client.set_plan(planned)
            client.step(0, 0)
            wrong += _pinned(daemon, planned.point(planned.exits[0], 0) or {})
        domains = daemon.core.domains
        for name, found in listed.items():
            if name in domains:
                allowed = client.frequencies_hz[name]
                writes = len(domains[name].transition_writes(allowed[0], allowed[-1]))
                if len(allowed) > 1 and writes > found.writes:
                    wrong.append(f'a step of {name} takes {writes} writes, listed {found.writes}')
    return wrong


def _planned(root: Path) -> FrequencyPlan:
    """What perception would clock here: planned on what is known of the machine, or guessed."""
    return plan(
        machine_board(root), _WORKS, {'early': [0], 'full': [0, 1]}, {'early': 0.6, 'full': 0.4}
    )


def _ends_plan(board: str, tables_hz: dict[str, tuple[int, ...]]) -> FrequencyPlan:
    """A plan with two segments: at the lowest and at the highest clocks."""
    points = [{name: table[end] for name, table in tables_hz.items()} for end in (0, -1)]
    path = PlanPath(segments=[0, 1], points=points, expected_latency_s=0.1, expected_energy_j=0.1)
    return FrequencyPlan(
        name='ends',
        board=board,
        model='bench',
        segments=['low', 'high'],
        devices=['cpu', 'cpu'],
        paths={'full': path},
        source='modelled',
    )


def _pinned(daemon: Daemon, point: dict[str, int]) -> list[str]:
    """One line for each domain whose files do not soon read as a step wants them."""
    until = time.monotonic() + _TAKES_S
    while True:
        pins = {name: _read_back(daemon.core.domains[name], hz) for name, hz in point.items()}
        if pins == point or time.monotonic() > until:
            break
        time.sleep(0.001)
    return [
        f'{n} reads {pins[n]} Hz after a step to {hz}' for n, hz in point.items() if pins[n] != hz
    ]


def _read_back(domain: Domain, hz: int) -> int:
    try:
        return domain.read_back(hz)
    except DomainError:  # before the first step a plain file still reads `<unsupported>`
        return 0


def _texts(root: Path) -> dict[str, str]:
    found = (path for path in root.rglob('*') if path.is_file() and not path.is_symlink())
    return {path.relative_to(root).as_posix(): path.read_text().strip('\0\n ') for path in found}
