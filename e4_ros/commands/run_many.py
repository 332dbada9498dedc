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

"""`e4 run` with several sources: spread over processes or a Ray cluster, and merged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer
from rich.table import Table

from e4_ros import console

if TYPE_CHECKING:
    from e4_ros.evaluation.spread.bag_task import Bag
    from e4_ros.evaluation.spread.merged import MergedSummary
    from e4_ros.evaluation.spread.workers import Workers

PANEL = 'Several sources, several cores, several machines'
PLACES = ('here', 'ray')


def _place(value: str) -> str:
    if value not in PLACES:
        raise typer.BadParameter(f'there is {" and ".join(PLACES)}')
    return value


On = Annotated[
    str,
    typer.Option(
        '--on',
        metavar='|'.join(PLACES),
        callback=_place,
        rich_help_panel=PANEL,
        help='Where sources run: this machine, or a Ray cluster (extra `cluster`).',
    ),
]
WorkerCount = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option(
        '--workers',
        min=1,
        rich_help_panel=PANEL,
        help='Sources that run at a time, each with one thread. [default: one, with all threads; '
        'on Ray one a core]',
    ),
]
Address = Annotated[
    str,
    typer.Option(
        rich_help_panel=PANEL,
        help='Head of the Ray cluster, HOST:PORT. `auto`: the one that this machine belongs to, or '
        'else one of this machine alone; `local`: the latter.',
    ),
]
Ship = Annotated[
    bool,
    typer.Option(
        '--ship',
        rich_help_panel=PANEL,
        help='Send sources of this machine to the workers, which otherwise read them under the '
        'same path.',
    ),
]


@dataclass(frozen=True)
class Spread:
    """Where several sources run.

    Attributes:
        on: A name of `PLACES`.
        workers: How many run at a time; None for the place's own number.
        address: Of a Ray cluster.
        ship: Whether sources are sent.
    """

    on: str
    workers: int | None
    address: str
    ship: bool

    def open(self, device: str) -> Workers:
        """The workers."""
        if self.on == 'ray':
            from e4_ros.evaluation.spread.ray_workers import RayWorkers

            return RayWorkers(self.address, self.workers, float(device not in ('auto', 'cpu')))
        from e4_ros.evaluation.spread.workers import Processes

        return Processes(self.workers or 1)

    @property
    def words(self) -> str:
        """The place, for people."""
        count = self.workers or 1
        return f'this machine, {count} process{"es" if count != 1 else ""}'


def run_many(bags: Sequence[Bag], out: Path, spread: Spread) -> MergedSummary:
    """Run all bags that are not complete yet, and merge; see `many.run_bags`."""
    from e4_ros.evaluation.spread.many import run_bags

    device = bags[0].options.device
    with console.Phases(keep=True) as phases:
        return run_bags(
            bags, out, lambda: spread.open(device), spread.words, ship=spread.ship, told=phases,
            warn=console.warn, note=console.note,
        )  # fmt: skip


def many_table(merged: MergedSummary, out: Path) -> Table:
    """What many bags came to."""
    table = Table(
        title=f'{merged.model} on {len(merged.bags)} sources', title_justify='left', box=None
    )
    for name in ('source', '', 'frames', 'dropped', 'ms', 'speed-up', 'agreement'):
        table.add_column(name, justify='left' if name in ('source', '') else 'right')
    for row in merged.bags:
        summary = row.summary
        if summary is None:
            table.add_row(row.name, row.status)
            continue
        speed, alike = summary.speedup_vs_full, summary.f1_vs_full
        table.add_row(
            row.name, row.status, str(summary.frames_processed), str(summary.frames_dropped),
            f'{summary.latency_ms.mean:.1f}', '' if speed is None else f'{speed:.2f} ×',
            '' if alike is None else f'{alike:.3f}',
        )  # fmt: skip
    speed, alike = merged.speedup_vs_full, merged.f1_vs_full
    table.add_row(
        'all', '', str(merged.frames_processed), str(merged.frames_dropped),
        f'{merged.latency_ms.mean:.1f}' if merged.latency_ms else '',
        '' if speed is None else f'{speed:.2f} ×', '' if alike is None else f'{alike:.3f}',
        style='bold', end_section=True,
    )  # fmt: skip
    table.add_row('written', str(out / 'report.html'), style='dim')
    return table
