"""`e4 precision`: the network in fewer bits, where that pays on this machine."""

from __future__ import annotations

from enum import Enum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from e4_ros import console

if TYPE_CHECKING:
    from e4_ros.evaluation.precision import Trial


class Reduced(str, Enum):
    """Fewer bits than fp32."""

    INT8 = 'int8'
    FP16 = 'fp16'


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command('precision')(precision)


def precision(
    source: Annotated[str, typer.Argument(help='Footage of the camera: a video, folder, bag, …')],
    model: Annotated[str, typer.Option(help='A network of the zoo.')] = 'pedestrian_ssdlite',
    exits: Annotated[
        Path | None,
        typer.Option(help='Exits from `e4 fit`, whose cuts count; by default those that ship.'),
    ] = None,
    only: Annotated[
        list[Reduced] | None, typer.Option(help='Try this one alone. [default: int8, then fp16]')
    ] = None,
    least: Annotated[
        float, typer.Option(min=0, max=1, help='Least agreement with fp32 that is kept.')
    ] = 0.9,
    frames: Annotated[int, typer.Option(min=1, help='Use the first frames only.')] = 300,
    threads: Annotated[
        int | None, typer.Option(min=1, help='Threads of the network; default: one per core.')
    ] = None,
) -> None:
    """Make the network in int8 and fp16, measure both here, and keep what pays.

    \b
        e4 precision tuesday.mcap
        e4 precision tuesday.mcap --exits street.safetensors --only int8

    int8 takes the range of each layer from the first two thirds of the footage; both are tried on
    the rest, in turns with fp32. What is not faster, or says something else, is not kept, and says
    why. Where the network is cut for exits its stages are made, too. Exits themselves stay fp32.

    What is kept lies in the cache of this machine: run this on the robot. Then `e4 run --precision
    int8`, `e4 calibrate --precision int8`, or perception's parameter `precision`.
    """  # noqa: D301
    from e4_ros.evaluation.precision import check_frames, try_precision
    from e4_ros.evaluation.sources import open_source
    from e4_ros.vision.exit_checkpoint import default_path, load
    from e4_ros.vision.models import load_model

    table = Table('stages', 'precision', 'fp32', 'this', 'speed-up', 'agreement', '', box=None)
    network = load_model(model)
    found = exits or default_path(model)
    cuts = [e.cut for e in load(found, network).exits] if exits or found.is_file() else []
    shown = [frame for _, frame in islice(open_source(source), frames)]
    check_frames(len(shown))
    with console.Phases() as phases:
        for chain in ([], cuts) if cuts else ([],):
            stages = f'{len(chain) + 1} stage{"s" if chain else ""}'

            def told(phase: str, done: int, total: int, stages: str = stages) -> None:
                phases(f'{phase}, {stages}', done, total)

            for tried in only or list(Reduced):
                trial = try_precision(network, chain, tried.value, shown, least, threads, told)
                _add(table, len(chain) + 1, trial)
    console.stdout().print(table)


def _add(table: Table, stages: int, trial: Trial) -> None:
    table.add_row(
        str(stages),
        trial.precision,
        f'{trial.full_ms:.2f} ms',
        f'{trial.ms:.2f} ms',
        f'{trial.speedup:.2f} ×',
        f'{trial.agreement:.3f}',
        f'[yellow]not kept: {trial.refused}[/]' if trial.refused else '[green]kept[/]',
    )
