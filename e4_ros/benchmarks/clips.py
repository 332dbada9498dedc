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

"""Clip mode on the generated action set: accuracy and GFLOPs of every way to stop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from e4_ros import console, extras
from e4_ros.benchmarks.figures import save_figures

if TYPE_CHECKING:
    from e4_ros.vision.clips.policies import ClipPoint

Progress = Callable[[str, int, int], None]
MODELS = ('efficientnet_lite0', 'pedestrian_ssdlite')  # the latter's trunk is a MobileNetV2


def register(group: typer.Typer) -> None:
    """Add the benchmark."""
    group.command('clips')(clips)


def clips(
    out: Annotated[Path, typer.Option('--json', help='File for the figures.')] = Path(
        'out/bench/clips.json'
    ),
    model: Annotated[
        list[str] | None,
        typer.Option(help='Network of the zoo that sees the frames; may be repeated.'),
    ] = None,
    quick: Annotated[bool, typer.Option(help='A tenth of the clips; says little.')] = False,
) -> None:
    """Accuracy and GFLOPs a clip: cascade, FrameExit, max-softmax, fixed exits, full.

    \b
        e4 bench clips --json out/bench/clips.json
    """  # noqa: D301
    extras.require('train', '`e4 bench clips`')
    from e4_ros.evaluation.report.clip_page import policy_table

    with console.Phases() as phases:
        points = _measure(phases, model or MODELS, quick)
    save_figures({'clips': _entries(points)}, out)
    for name, own in points.items():
        console.stdout().print(policy_table(own, f'generated actions, {name}'))


def measure_clips(progress: Progress, quick: bool = False) -> list[dict[str, Any]]:
    """Generate the set, train on it, and measure every policy on its validation clips.

    Clips, features and finished epochs are kept in the cache: a second call is quick.

    Args:
        progress: called with the phase, what is done and how much there is.
        quick: a tenth of the clips.

    Returns:
        For each network, policy and threshold ``model``, ``policy``, ``accuracy``, ``gflops``, and
        also ``threshold``, ``frames`` and ``chosen``: whether held-out training clips chose it.
    """
    return _entries(_measure(progress, MODELS, quick))


def _entries(points: dict[str, list[ClipPoint]]) -> list[dict[str, Any]]:
    return [{'model': model, **p.as_dict()} for model, own in points.items() for p in own]


def _measure(
    progress: Progress, models: list[str] | tuple[str, ...], quick: bool
) -> dict[str, list[ClipPoint]]:
    from e4_ros.evaluation.datasets.readers import open_dataset
    from e4_ros.evaluation.datasets.synth.writer import SynthSettings, write_synth
    from e4_ros.paths import cache_dir

    settings = SynthSettings(clips=12, val_clips=4) if quick else SynthSettings()
    cache = cache_dir() / 'clips'
    folder = cache / ('synth_quick' if quick else 'synth')
    write_synth(folder, settings, lambda done, total: progress('clips', done, total))
    data = open_dataset(folder)
    return {model: _one_network(progress, model, data, cache) for model in models}


def _one_network(progress: Progress, model: str, data: Any, cache: Path) -> list[ClipPoint]:
    from e4_ros.vision.clips.backbone import ClipBackbone
    from e4_ros.vision.clips.distributed import Group
    from e4_ros.vision.clips.experiment import run
    from e4_ros.vision.clips.net import NetSettings
    from e4_ros.vision.clips.training import TrainSettings
    from e4_ros.vision.zoo import load_model

    backbone = ClipBackbone(load_model(model))
    shape = NetSettings(backbone.deep_size, len(data.class_names))
    outcome = run(
        backbone, data.class_names, data.train, data.val, shape, TrainSettings(),
        cache, cache / 'work' / backbone.key, Group(),
        lambda phase, done, total, loss: progress(f'{model}: {phase}', done, total),
    )  # fmt: skip
    return outcome.points
