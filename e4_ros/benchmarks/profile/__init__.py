"""How near to the optimum the planner comes, from how little, and how fast."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer


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
    """Gap of coordinate descent to the exact optimum, cells looked at, planning time."""
    from rich.console import Console
    from rich.progress import track

    from e4_ros.benchmarks.profile.measured import measured_row
    from e4_ros.benchmarks.profile.searches import (
        MIXES,
        MODELS,
        model_works,
        planning_ms,
        search_row,
    )
    from e4_ros.energy.boards import board_names

    boards = [name for name in board_names() if name.startswith('jetson')]
    boards = boards[:2] if quick else boards
    tasks = [
        (board, model, domains, mix)
        for model in MODELS
        for board in boards
        for domains in (('cpu', 'gpu'), ('cpu', 'gpu', 'emc'))
        for mix in MIXES
    ]
    works = {model: model_works(model) for model in MODELS}
    console = Console(width=None if sys.stdout.isatty() else 120)
    rows = [
        search_row(board, model, works[model], domains, mix)
        for board, model, domains, mix in track(tasks, 'searching', console=console, transient=True)
    ]
    result: dict[str, Any] = {
        'searches': rows,
        'plan_ms': {
            'cpu_gpu': planning_ms(('cpu', 'gpu')),
            'cpu_gpu_emc': planning_ms(('cpu', 'gpu', 'emc')),
        },
    }
    if not quick:
        with console.status('measuring a virtual board'):
            result['measured'] = measured_row(works[MODELS[0]])
    if everywhere:
        result['measured_everywhere'] = [
            measured_row(works[MODELS[0]], board, kernel)
            for board in track(board_names(), 'measuring', console=console, transient=True)
            for kernel in ('old', 'new')
        ]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=1))
    _print(console, result)


def _print(console: Any, result: dict[str, Any]) -> None:
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
    console.print(table)
    times = result['plan_ms']
    console.print(
        f'32 segments: cpu+gpu {times["cpu_gpu"]:.0f} ms, '
        f'cpu+gpu+emc {times["cpu_gpu_emc"]:.0f} ms (table and search)'
    )
    measured = [result['measured']] if 'measured' in result else []
    for row in measured + result.get('measured_everywhere', []):
        if row['gap_percent'] is None:
            console.print(f'not measured on a virtual board: {row["why_not"]}')
            continue
        console.print(
            f'measured on a virtual {row["board"]}, {row["kernel"]} kernel: '
            f'{row["gap_percent"]:.2f} % above the optimum after {row["seconds"]:.0f} s'
        )
