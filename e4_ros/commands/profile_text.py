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

"""What `e4 profile` says on the terminal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from e4_ros.profiling.measuring.this_machine import HostProfile
    from e4_ros.profiling.profile import Profile


def show(console: Console, found: Profile | HostProfile) -> None:
    """Print what was found: segments as measured, plans compared, and what to know about them."""
    from e4_ros.profiling.profile import Profile

    if not isinstance(found, Profile):
        _show_segments(console, found)
        if found.profile is None:
            console.print(
                f'[yellow]no plan:[/] {escape(found.why_no_plan)}', soft_wrap=True, highlight=False
            )
            return
        found = found.profile
    _show_plans(console, found)


def _show_segments(console: Console, here: HostProfile) -> None:
    found = here.baseline
    clocks = ', '.join(f'{name} {hz / 1e6:.0f} MHz' for name, hz in found.clocks_hz.items())
    _heading(console, f'{here.model} on {here.board}, as it was found ({clocks or "no clocks"})')
    table = _table('segment', 'latency', 'energy')
    for name, seconds, joules in zip(found.segments, found.latency_s, found.energy_j, strict=True):
        table.add_row(name, f'{1e3 * seconds:.2f} ms', _millijoules(joules))
    table.add_section()
    for name, path in here.exit_paths.items():
        rows = list(path)
        seconds, joules = found.latency_s[rows].sum(), found.energy_j[rows].sum()
        table.add_row(f'up to exit {name}', f'{1e3 * seconds:.2f} ms', _millijoules(joules))
    console.print(table)


def _show_plans(console: Console, found: Profile) -> None:
    costs = found.problem.table
    _heading(console, f'{costs.model} on {costs.board}: what a frame costs')
    table = _table('', 'slowest path', 'expected energy', 'change')
    for name, latency_s, energy_j in found.comparison():
        table.add_row(
            name,
            f'{1e3 * latency_s:.2f} ms',
            _millijoules(energy_j),
            f'{100 * (energy_j / found.default[1] - 1):+.1f} %',
        )
    console.print(table)
    lines = [
        f'Energy is {costs.source}; the deadline is {1e3 * found.problem.deadline_s:.1f} ms. '
        f'Planned in {1e3 * found.plan_s:.0f} ms from '
        f'{100 * found.descent.cells_share:.0f} % of the cells.',
        *found.notes,
    ]
    for line in lines:
        console.print(f'• {escape(line)}', soft_wrap=True, highlight=False)


def _heading(console: Console, text: str) -> None:
    console.print(f'\n[bold]{escape(text)}[/]', highlight=False)


def _table(*headings: str) -> Table:
    table = Table()
    for number, heading in enumerate(headings):
        table.add_column(heading, justify='right' if number else 'left', no_wrap=True)
    return table


def _millijoules(joules: float) -> str:
    return '?' if math.isnan(joules) else f'{1e3 * joules:.2f} mJ'
