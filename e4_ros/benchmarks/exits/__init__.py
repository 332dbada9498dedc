"""`e4 bench exits`: what early exits buy, what they cost, and whether their promise is kept."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from e4_ros import console, extras


class Part(str, Enum):
    """What can be measured alone."""

    CURVES = 'curves'
    RISK = 'risk'
    MEMORY = 'memory'
    CLIPS = 'clips'


def register(group: typer.Typer) -> None:
    """Add the benchmark."""
    group.command('exits')(exits)


def exits(
    out: Annotated[Path, typer.Option('--json', help='File for the figures; a page beside it.')] = (
        Path('out/bench/exits.json')
    ),
    quick: Annotated[
        bool, typer.Option(help='60 frames, one pass, curves and promises only: says little.')
    ] = False,
    threads: Annotated[int, typer.Option(min=1, help='Threads within an operation.')] = 1,
    fitted: Annotated[
        Path | None,
        typer.Option(
            help='Exits from `e4 fit` to measure; by default fitted here, once, to frames 0-299 of '
            'vtest, and once more without each of their parts.'
        ),
    ] = None,
    refit: Annotated[bool, typer.Option(help='Fit again what was fitted before.')] = False,
    parts: Annotated[
        list[Part] | None, typer.Option('--part', help='Measure only this; may be repeated.')
    ] = None,
) -> None:
    """Speed and quality of early exits on footage that they have not seen.

    \b
        e4 bench exits --json out/bench/exits.json
        e4 bench exits --part risk --fitted street

    Exits learn from frames 0-299 of vtest and are calibrated on 300-449; frames 500-794 are
    measured, in turns with the full network in ONNX Runtime, which is the peer. Quality is F1
    against the offline teacher, and beside it against the full network. The figures are saved after
    each part.
    """  # noqa: D301
    extras.require('train', '`e4 bench exits`')
    from e4_ros.benchmarks.exits import experiment, tables

    wanted = parts or ([Part.CURVES, Part.RISK] if quick else list(Part))
    plan = experiment.Plan([part.value for part in wanted], quick, threads, fitted, refit)
    tables.show(experiment.run(plan, out), console.stdout())
    typer.echo(f'wrote {out} and {out.with_suffix(".html")}')
