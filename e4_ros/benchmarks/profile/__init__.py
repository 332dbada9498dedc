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

"""How near to the optimum the planner comes, from how little, and how fast."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from e4_ros import console, extras
from e4_ros.benchmarks.figures import save_figures

if TYPE_CHECKING:
    from rich.console import Console


def register(group: typer.Typer) -> None:
    """Add the benchmark."""
    group.command('profile')(profile)


def profile(
    out: Annotated[Path, typer.Option('--json', help='File for the figures.')],
    quick: Annotated[bool, typer.Option(help='Two boards, no measured path.')] = False,
    everywhere: Annotated[
        bool,
        typer.Option(help='Measure every virtual board with both generations of kernels (12 min).'),
    ] = False,
) -> None:
    """Gap of coordinate descent to the exact optimum, cells looked at, planning time.

    \b
        e4 bench profile --json out/bench/profile.json
    """  # noqa: D301
    extras.require('train', '`e4 bench profile`')
    from e4_ros.benchmarks.profile.measured import measured_row
    from e4_ros.benchmarks.profile.searches import (
        MIXES,
        MODELS,
        model_works,
        planning_ms,
        search_row,
    )
    from e4_ros.energy.boards import PAPER_BOARDS, board_names

    boards = PAPER_BOARDS[:2] if quick else PAPER_BOARDS
    tasks = [
        (board, model, domains, mix)
        for model in MODELS
        for board in boards
        for domains in (('cpu', 'gpu'), ('cpu', 'gpu', 'emc'))
        for mix in MIXES
    ]
    works = {model: model_works(model) for model in MODELS}
    rows = []
    with console.Phases() as phases:
        for number, (board, model, domains, mix) in enumerate(tasks):
            phases('searches', number, len(tasks), f'{model} on {board}')
            rows.append(search_row(board, model, works[model], domains, mix))
    result: dict[str, Any] = {
        'searches': rows,
        'plan_ms': {
            'cpu_gpu': planning_ms(('cpu', 'gpu')),
            'cpu_gpu_emc': planning_ms(('cpu', 'gpu', 'emc')),
        },
    }
    if not quick:
        with console.STDERR.status('measuring a virtual board'):
            result['measured'] = measured_row(works[MODELS[0]])
    if everywhere:
        kernels: tuple[Literal['old', 'new'], ...] = ('old', 'new')
        everything = [(board, kernel) for board in board_names() for kernel in kernels]
        result['measured_everywhere'] = []
        with console.Phases() as phases:
            for number, (board, kernel) in enumerate(everything):
                phases('boards', number, len(everything), f'{board}, {kernel} kernel')
                row = measured_row(works[MODELS[0]], board, kernel)
                result['measured_everywhere'].append(row)
    save_figures(result, out)
    _print(console.stdout(), result)


def _print(shown: Console, result: dict[str, Any]) -> None:
    from rich.table import Table

    table = Table(title='coordinate descent against the exact optimum')
    for name in ('board', 'model', 'domains', 'exits'):
        table.add_column(name)
    for name in ('gap', 'cells', 'time'):
        table.add_column(name, justify='right')
    for row in result['searches']:
        table.add_row(
            row['board'],
            row['model'],
            '+'.join(row['domains']),
            row['exits'],
            f'{row["gap_percent"]:.3f} %' + ('' if row['proven'] else ' ?'),
            f'{100 * row["cells_share"]:.0f} %',
            f'{row["plan_ms"]:.1f} ms',
        )
    shown.print(table)
    times = result['plan_ms']
    shown.print(
        f'32 segments: cpu+gpu {times["cpu_gpu"]:.0f} ms, '
        f'cpu+gpu+emc {times["cpu_gpu_emc"]:.0f} ms (table and search)'
    )
    measured = [result['measured']] if 'measured' in result else []
    for row in measured + result.get('measured_everywhere', []):
        if row['gap_percent'] is None:
            shown.print(f'not measured on a virtual board: {row["why_not"]}')
            continue
        shown.print(
            f'measured on a virtual {row["board"]}, {row["kernel"]} kernel: '
            f'{row["gap_percent"]:.2f} % above the optimum after {row["seconds"]:.0f} s'
        )
