"""`e4 calibrate`: how boldly may the exits answer, with a promise."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

_console = Console(stderr=True)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command('calibrate')(calibrate)


def calibrate(
    source: Annotated[
        str, typer.Argument(help='Footage of the camera that `e4 fit` has not seen.')
    ],
    exits: Annotated[
        Path, typer.Option(help='Exits from `e4 fit`; their thresholds are replaced.')
    ] = Path('exits.safetensors'),
    model: Annotated[str, typer.Option(help='The network they belong to.')] = 'pedestrian_ssdlite',
    risk: Annotated[float, typer.Option(help='Mean F1 a frame may lose, 0 to 1.')] = 0.05,
    confidence: Annotated[float, typer.Option(help='Probability that this holds.')] = 0.95,
    against: Annotated[
        str, typer.Option(help='teacher: judged by the offline teacher; full: by the full network.')
    ] = 'teacher',
    skip: Annotated[int, typer.Option(min=0, help='Leave out the first frames.')] = 0,
    frames: Annotated[int, typer.Option(min=0, help='Use so many frames; 0: all.')] = 0,
) -> None:
    """Set the thresholds so that early answers cost no more than you allow.

    Learn-then-Test: thresholds are lowered step by step along a path that was fixed beforehand,
    until the loss can no longer be certified on blocks of the footage in time order. That nothing
    can be certified is a normal outcome: the exits are then off.
    """
    from e4_ros.evaluation.sources import SourceError, open_source
    from e4_ros.vision.calibrate import Promise
    from e4_ros.vision.calibrate import calibrate as calibrate_exits
    from e4_ros.vision.checkpoint import CheckpointError, load
    from e4_ros.vision.model import ModelError
    from e4_ros.vision.risk import RiskError
    from e4_ros.vision.teacher import OfflineTeacher
    from e4_ros.vision.zoo import load_model

    if against not in ('teacher', 'full'):
        raise typer.BadParameter('teacher or full', param_hint='--against')
    try:
        network = load_model(model)
        checkpoint = load(exits, network)
        clip = list(islice(open_source(source), skip, skip + frames if frames else None))
        with Progress(console=_console) as bars:
            promise = Promise(risk, confidence, against_full=against == 'full')
            reference = []
            if not promise.against_full:
                task = bars.add_task('teacher', total=len(clip))
                reference = OfflineTeacher(network).teach(
                    clip, lambda done: bars.update(task, completed=done)
                )
            walk = bars.add_task('thresholds', total=None)
            result = calibrate_exits(
                network,
                checkpoint,
                clip,
                reference,
                promise,
                lambda done, total: bars.update(walk, completed=done, total=total),
            )
        result.checkpoint.save(exits)
    except (CheckpointError, ModelError, RiskError, SourceError, OSError) as error:
        _console.print(str(error), style='red', markup=False)
        raise typer.Exit(1) from error
    if not result.checkpoint.thresholds:
        typer.echo(
            f'nothing can be certified at a risk of {risk:g} on {result.certificate.blocks} blocks '
            'of footage: every exit is off. More footage or a higher risk may change that'
        )
        return
    loss = result.checkpoint.notes['mean_loss']
    typer.echo(
        f'certified: with {confidence:.0%} confidence early answers lose at most {risk:g} of F1 on '
        f'footage like this (they lost {loss:.3f} here, and {result.early_share:.0%} of the frames '
        f'were answered early); thresholds saved in {exits}'
    )
