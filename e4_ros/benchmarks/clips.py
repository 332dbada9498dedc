"""Clip mode on the generated action set: accuracy and GFLOPs of every way to stop."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from e4_ros.vision.clips.policies import ClipPoint

Progress = Callable[[str, int, int], None]
MODEL = 'efficientnet_lite0'


def register(group: typer.Typer) -> None:
    """Add the benchmark."""
    group.command('clips')(clips)


def clips(
    out: Annotated[Path, typer.Option('--json', help='File for the figures.')] = Path(
        'out/bench/clips.json'
    ),
    model: Annotated[str, typer.Option(help='Network of the zoo that sees the frames.')] = MODEL,
    quick: Annotated[bool, typer.Option(help='A tenth of the clips; says little.')] = False,
) -> None:
    """Accuracy and GFLOPs a clip: cascade, FrameExit, max-softmax, fixed exits, full."""
    from rich.console import Console
    from rich.progress import Progress as Bars

    from e4_ros.evaluation.clip_page import policy_table

    console = Console()
    with Bars(console=console, transient=True) as bars:
        tasks: dict[str, Any] = {}

        def tell(phase: str, done: int, total: int) -> None:
            if phase not in tasks:
                tasks[phase] = bars.add_task(phase, total=total)
            bars.update(tasks[phase], completed=done)

        points = _measure(tell, model, quick)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({'model': model, 'clips': [p.as_dict() for p in points]}, indent=1))
    console.print(policy_table(points, f'generated actions, {model}'))


def measure_clips(
    progress: Progress = lambda phase, done, total: None, model: str = MODEL, quick: bool = False
) -> list[dict[str, Any]]:
    """Generate the set, train on it, and measure every policy on its validation clips.

    Clips, features and finished epochs are kept in the cache: a second call is quick.

    Args:
        progress: called with the phase, what is done and how much there is.
        model: network of the zoo whose frozen features are used.
        quick: a tenth of the clips.

    Returns:
        For each policy and threshold ``policy``, ``accuracy``, ``gflops``, and also ``threshold``,
        ``frames`` and ``chosen``: whether held-out training clips chose that threshold.
    """
    return [point.as_dict() for point in _measure(progress, model, quick)]


def _measure(progress: Progress, model: str, quick: bool) -> list[ClipPoint]:
    from e4_ros.evaluation.datasets.readers import open_dataset
    from e4_ros.evaluation.datasets.synth.writer import SynthSettings, write_synth
    from e4_ros.paths import cache_dir
    from e4_ros.vision.clips.backbone import ClipBackbone
    from e4_ros.vision.clips.distributed import Group
    from e4_ros.vision.clips.experiment import run
    from e4_ros.vision.clips.net import NetSettings
    from e4_ros.vision.clips.training import TrainSettings
    from e4_ros.vision.zoo import load_model

    settings = SynthSettings(clips=12, val_clips=4) if quick else SynthSettings()
    cache = cache_dir() / 'clips'
    folder = cache / ('synth_quick' if quick else 'synth')
    write_synth(folder, settings, lambda done, total: progress('clips', done, total))
    data = open_dataset(folder)
    backbone = ClipBackbone(load_model(model))
    shape = NetSettings(backbone.deep_size, len(data.class_names))
    outcome = run(
        backbone, data.class_names, data.train, data.val, shape, TrainSettings(),
        cache, cache / 'work' / backbone.key, Group(),
        lambda phase, done, total, loss: progress(phase, done, total),
    )  # fmt: skip
    return outcome.points
