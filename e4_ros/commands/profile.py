"""`e4 profile`: search the clocks for a model on a board."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from e4_ros.profiling.profile import Profile


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command('profile')(profile)


def profile(
    board: Annotated[
        str, typer.Option(help='A simulated board (`config/boards`), or the path of a board file.')
    ] = 'jetson_orin_nano',
    model: Annotated[str, typer.Option(help='Network to plan for.')] = 'pedestrian_ssdlite',
    exits: Annotated[
        Path | None,
        typer.Option(
            help='How often frames stop where: a summary.json or detections.jsonl of `e4 run`, or '
            'YAML like "temporal: 0.7". Without it every exit counts the same.'
        ),
    ] = None,
    deadline_ms: Annotated[
        float,
        typer.Option(
            min=0, help='Bound for the slowest path; 0: three times the fastest possible.'
        ),
    ] = 0,
    domains: Annotated[
        str, typer.Option(help='Clocks to plan, like cpu,gpu,emc; empty: cpu and gpu.')
    ] = '',
    out: Annotated[Path, typer.Option(help='Folder for plan.yaml, profile.json, profile.html.')] = (
        Path('out/profile')
    ),
    yardstick: Annotated[
        bool, typer.Option(help='Also find the exact optimum, to say how far the plan is from it.')
    ] = True,
) -> None:
    """Find the clocks that cost the least expected energy within a deadline.

    Writes a plan for the DVFS helper, a JSON of everything tried, and a page with pictures.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from e4_ros.profiling.exit_shares import read_exit_shares
    from e4_ros.profiling.job import profile_model
    from e4_ros.profiling.page import write_page

    console = Console()
    columns = (TextColumn('{task.description:24}'), BarColumn(), TimeElapsedColumn())
    try:
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task('loading the model', total=1.0)

            def tell(phase: str, share: float, energy_j: float) -> None:
                progress.update(task, description=phase, completed=share)

            names = [d.strip() for d in domains.split(',') if d.strip()]
            shares = read_exit_shares(exits) if exits is not None else None
            found = profile_model(
                board,
                model,
                shares,
                deadline_ms / 1e3,
                names,
                yardstick=yardstick,
                on_progress=tell,
            )
            out.mkdir(parents=True, exist_ok=True)
            found.plan().save(out / 'plan.yaml')
            (out / 'profile.json').write_text(json.dumps(found.as_dict(), indent=1))
            write_page(found, out / 'profile.html')
    except (ValueError, OSError) as error:
        console.print(f'[red]error:[/] {error}', soft_wrap=True, highlight=False)
        raise typer.Exit(2) from error
    console.print(_summary(found))
    console.print(f'wrote {out}/plan.yaml, profile.json and profile.html', highlight=False)


def _summary(found: Profile) -> object:
    from rich.table import Table

    table = Table(title=f'{found.problem.table.model} on {found.problem.table.board}')
    for heading in ('plan', 'slowest path', 'expected energy', 'to default'):
        table.add_column(heading, justify='left' if heading == 'plan' else 'right')
    rows = [
        ('default clocks', *found.default),
        ('best fixed point', found.fixed.latency_s, found.fixed.energy_j),
        ('coordinate descent', found.descent.latency_s, found.descent.energy_j),
    ]
    if found.exact is not None:
        rows.append(('exact optimum', found.exact.best.latency_s, found.exact.best.energy_j))
    rows.append(('if switching cost nothing', found.ideal.latency_s, found.ideal.energy_j))
    for name, latency_s, energy_j in rows:
        table.add_row(
            name,
            f'{1e3 * latency_s:.2f} ms',
            f'{1e3 * energy_j:.3f} mJ',
            f'{100 * (energy_j / found.default[1] - 1):+.1f} %',
        )
    table.caption = (
        f'{found.problem.table.source}; deadline {1e3 * found.problem.deadline_s:.1f} ms; '
        f'{100 * found.descent.cells_share:.0f} % of the cells looked at; '
        f'planned in {1e3 * found.plan_s:.0f} ms'
    )
    return table
