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

"""`e4 doctor`: what is here, what is not, and what to do about it, on one screen."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from e4_ros import console
from e4_ros.commands import options

if TYPE_CHECKING:
    from e4_ros.evaluation.doctor.check import Check

_MARKS = {'ok': '[green]✓[/]', 'optional': '[yellow]○[/]', 'missing': '[red]✗[/]'}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command('doctor')(doctor)


def doctor(
    as_json: Annotated[bool, typer.Option('--json', help='Print JSON instead.')] = False,
    power: Annotated[
        bool, typer.Option('--power', help='Say instead what could sleep and does not.')
    ] = False,
    sysfs_root: options.SysfsRoot = Path('/'),
) -> None:
    """Say what this machine has for the package, and what to do about what it lacks.

    \b
        e4 doctor
        e4 doctor --json
        e4 doctor --power

    ✓ is here, ○ is absent and things work without it, ✗ is absent and something fails (the exit
    status is then 1). With --power ✓ sleeps where it can, and ○ could sleep and does not.
    """  # noqa: D301
    from e4_ros.evaluation.doctor.checkup import check_all
    from e4_ros.evaluation.doctor.power import check_power

    with console.STDERR.status('looking around'):
        checks = check_power(sysfs_root) if power else check_all(sysfs_root)
    if as_json:
        typer.echo(json.dumps([asdict(check) for check in checks], indent=2, ensure_ascii=False))
    else:
        console.stdout().print(_table(checks))
    if any(check.state == 'missing' for check in checks):
        raise typer.Exit(1)


def _table(checks: list[Check]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style='bold')
    table.add_column()
    table.add_column(style='bold', no_wrap=True)
    table.add_column()
    group = ''
    for check in checks:
        advice = f'\n[dim]→ {escape(check.advice)}[/]' if check.advice else ''
        if group and check.group != group:
            table.add_row()
        title = check.group if check.group != group else ''
        group = check.group
        table.add_row(title, _MARKS[check.state], check.name, f'{escape(check.found)}{advice}')
    return table
