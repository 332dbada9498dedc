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

"""`e4 bench boards`: whether clocks, limits and joules are right on boards as they really are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from e4_ros.benchmarks.parts import known, measure_parts

PARTS = {
    'idle': 'idle',
    'listings': 'public_listings',
    'holes': 'holes',
    'two_daemons': 'two_daemons',
    'wrong_table': 'wrong_table',
    'levers': 'levers',
    'compare': 'comparisons',
    'power_mode': 'power_mode',
    'offline': 'offline',
}
"""Part, which is its key in the JSON file, → module of this folder; see `benchmarks.parts`."""


def register(group: typer.Typer) -> None:
    """Add the benchmark."""
    group.command('boards')(boards)


def boards(
    out: Annotated[Path, typer.Option('--json', help='File for the figures.')] = Path(
        'out/bench/boards.json'
    ),
    parts: Annotated[
        list[str] | None,
        typer.Option(
            '--part',
            help=f'What to measure, of {", ".join(PARTS)}; everything.',
            callback=known(PARTS),
        ),
    ] = None,
    quick: Annotated[bool, typer.Option(help='Fewer trials.')] = False,
) -> None:
    """Try daemon, meters and plans on boards as public listings show them, and on virtual boards.

    \b
        e4 bench boards --json out/bench/boards.json
        e4 bench boards --part listings

    Idle: how often a daemon wakes a core, all its threads together, without a lease and with one.

    Listings: each is a tree of plain files that shows what one machine's sysfs and procfs were
    published to hold. Its clocks, limits and joules must be found as listed, a lease must be given
    and clock steps taken, and every file must read as before in the end.

    Two daemons: daemons with different folders want the same board while they and their clients
    are killed at random moments. No two may serve it at once, and no clock may stay pinned.

    Wrong table: boards that are half and twice as fast as their files say are played with the
    controller `e4`; frames until it is late in fewer than 2 % of the next hundred.

    Levers: what waits between frames cost on boards whose idle states are described, with images
    answered in pairs, half of them, the memory's clock planned as well, or two CPUs online.

    Power mode: another mode is set at random moments of leases. No clock may be written above a new
    limit later than 50 ms after it, or restored above it. Offline: CPU clusters go offline and come
    back at random moments. No lease may be lost or refused, and everything must be back in the end.

    The file is written anew after each part.
    """  # noqa: D301
    import logging

    logging.disable(logging.WARNING)  # broken devices and daemons that end are the point here
    measure_parts(__name__, PARTS, parts, quick, out)
