"""`e4 fit`: exits for your own camera, from footage without labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_console = Console(stderr=True)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command('fit')(fit)


def fit(
    sources: Annotated[
        list[str],
        typer.Argument(help='Footage of the camera: videos, folders, bags, `vtest`, `bikes`.'),
    ],
    model: Annotated[str, typer.Option(help='A detector of the zoo.')] = 'pedestrian_ssdlite',
    out: Annotated[Path, typer.Option(help='The file to write.')] = Path('exits.safetensors'),
    frames: Annotated[
        int, typer.Option(min=0, help='Use only the first frames of each source; 0: all.')
    ] = 0,
    every: Annotated[
        int, typer.Option(min=1, help='Use every n-th frame; long footage needs memory.')
    ] = 1,
    steps: Annotated[int, typer.Option(min=1, help='Training steps of the temporal exit.')] = 1000,
    epochs: Annotated[int, typer.Option(min=1, help='Epochs of the mid-network exit.')] = 10,
    seed: Annotated[int, typer.Option(help='Same seed, same exits.')] = 0,
    attention: Annotated[
        bool, typer.Option(help='Weigh places and remembered frames, or take plain means.')
    ] = True,
    memory: Annotated[
        bool, typer.Option(help='Let the temporal exit remember, or see the thumbnail alone.')
    ] = True,
) -> None:
    """Teach exits to answer early, without labels.

    The network itself is the teacher, asked slowly: over tiles of every frame, with the frames
    before and after. Two exits learn from it: a small temporal one that looks at a thumbnail and at
    what it remembers, and one half-way through the network. The last fifth of each source is held
    out, and sets their thresholds. Use the result with `e4 run --exits FILE`.
    """
    from e4_ros.evaluation.sources import SourceError
    from e4_ros.vision.fit import FitError, FitSettings
    from e4_ros.vision.fit import fit as fit_exits
    from e4_ros.vision.model import ModelError
    from e4_ros.vision.zoo import load_model

    settings = FitSettings(
        seed=seed, steps=steps, epochs=epochs, attention=attention, memory=memory
    )
    try:
        network = load_model(model)
        clips = [_clip(source, frames, every) for source in sources]
        with _bars() as bars:
            checkpoint = fit_exits(network, clips, settings, _Phases(bars))
        checkpoint.notes['sources'] = sources
        out.parent.mkdir(parents=True, exist_ok=True)
        checkpoint.save(out)
    except (FitError, ModelError, SourceError, OSError) as error:
        _console.print(str(error), style='red', markup=False)
        raise typer.Exit(1) from error
    typer.echo(f'wrote {out}')


class _Phases:
    """One bar for each phase, added when it begins."""

    def __init__(self, bars: Progress):
        self._bars = bars
        self._tasks: dict[str, int] = {}

    def __call__(self, phase: str, done: int, total: int) -> None:
        if phase not in self._tasks:
            self._tasks[phase] = self._bars.add_task(phase, total=total)
        self._bars.update(self._tasks[phase], completed=done, total=total)  # type: ignore[arg-type]


def _clip(source: str, most: int, every: int) -> list:
    from itertools import islice

    from e4_ros.evaluation.sources import open_source

    return list(islice(open_source(source), 0, most * every or None, every))


def _bars() -> Progress:
    return Progress(
        TextColumn('{task.description}'),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=_console,
    )
