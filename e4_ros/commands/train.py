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

"""`e4 train`: clip mode from labelled videos."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from e4_ros import console, extras
from e4_ros.commands import options
from e4_ros.files import write_whole

if TYPE_CHECKING:
    from e4_ros.evaluation.datasets.labelled import Dataset
    from e4_ros.vision.clips.backbone import ClipBackbone
    from e4_ros.vision.clips.distributed import Group
    from e4_ros.vision.clips.experiment import Outcome


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command('train')(train)


def train(
    dataset: Annotated[
        Path,
        typer.Argument(
            help='Folder with videos: one folder a class (with train/ and val/, or without), or as '
            'Kinetics, ActivityNet and UCF101 are published.'
        ),
    ],
    annotations: Annotated[
        list[Path] | None,
        typer.Option(
            help='Kinetics’ CSV files (repeat the option), ActivityNet’s JSON, or UCF’s folder of '
            'splits; by default those that lie in DATASET.'
        ),
    ] = None,
    split: Annotated[int, typer.Option(min=1, max=3, help='Which split of UCF101.')] = 1,
    model: Annotated[
        str, typer.Option(help='Network of the zoo whose frozen features are used.')
    ] = 'efficientnet_lite0',
    clip_frames: Annotated[int, typer.Option(min=2, help='The most frames seen of a clip.')] = 10,
    epochs: Annotated[int, typer.Option(min=1, help='Passes over the clips.')] = 20,
    batch: Annotated[int, typer.Option(min=1, help='Clips in a step, over all processes.')] = 32,
    learning_rate: Annotated[
        float, typer.Option(min=1e-6, help='The highest learning rate.')
    ] = 2e-3,
    beta: Annotated[
        float, typer.Option(min=1e-9, help='Of FrameExit’s rule: larger stops earlier.')
    ] = 0.01,
    tolerance: Annotated[
        float, typer.Option(min=0, max=1, help='Accuracy that stopping early may cost.')
    ] = 0.01,
    attention: options.Attention = True,
    memory: options.Memory = True,
    compare: Annotated[
        bool, typer.Option(help='Also train a network with FrameExit’s running maximum and gate.')
    ] = True,
    seed: options.Seed = 0,
    out: Annotated[Path, typer.Option(help='Folder for the model, figures and page.')] = Path(
        'out/train'
    ),
) -> None:
    """Teach a network to name what happens in a clip, from as few frames as each clip needs.

    \b
        e4 data synth --out out/actions && e4 train out/actions
        e4 train ~/kinetics --annotations train.csv --annotations val.csv
        torchrun --nproc_per_node 4 -m e4_ros.cli train ~/ucf101 --annotations ~/ucfTrainTestlist

    Frames are seen by a frozen network; its features are computed once and kept in the cache. What
    learns is small: attention over frames with a recurrent state, and a gate that decides after
    each frame whether to stop. Started again with the same options, it goes on where it stopped.

    OUT then holds `bundle`, which `e4 run` and perception take as their model, `train.json` and
    `train.html`: accuracy against GFLOPs a clip for every policy on the validation clips.
    """  # noqa: D301
    extras.require('train', '`e4 train`')
    from e4_ros.evaluation.datasets.readers import open_dataset
    from e4_ros.evaluation.report.clip_page import policy_table, write_page
    from e4_ros.vision.clips.backbone import ClipBackbone
    from e4_ros.vision.clips.build import build_clip_bundle
    from e4_ros.vision.clips.distributed import joined
    from e4_ros.vision.clips.training import TrainSettings
    from e4_ros.vision.zoo import load_model

    settings = TrainSettings(epochs=epochs, batch=batch, rate=learning_rate, seed=seed, beta=beta)
    switches = {'attend': attention, 'memory': memory, 'frames': clip_frames}
    with joined() as group:
        data = open_dataset(dataset, annotations or (), split)
        if group.is_first:
            _tell(data)
        length_s = data.clip_length_s()
        backbone = ClipBackbone(load_model(model))
        outcome = _train(data, backbone, switches, settings, group, out, compare, tolerance)
        if not group.is_first:
            return
        out.mkdir(parents=True, exist_ok=True)
        notes = {'dataset': data.name, 'settings': asdict(settings)}
        build_clip_bundle(backbone, outcome.model, length_s, out / 'bundle', notes)
        figures = _figures(data, model, outcome)
        write_whole(out / 'train.json', json.dumps(figures, indent=1))
        write_page(outcome.points, f'{data.name}, {model}', out / 'train.html')
    for problem in outcome.problems[:5]:
        console.warn(f'left out: {problem}')
    if len(outcome.problems) > 5:
        console.warn(f'and {len(outcome.problems) - 5} more clips that cannot be read')
    console.stdout().print(policy_table(outcome.points, f'{data.name}: validation'))
    typer.echo(f'wrote {out}/bundle, train.json and train.html')
    typer.echo(f'next: e4 run FOOTAGE --model {out}/bundle')


def _tell(data: Dataset) -> None:
    console.note(
        f'{data.name}: {len(data.class_names)} classes, {len(data.train)} training and '
        f'{len(data.val)} validation clips'
    )
    for note in data.notes:
        console.note(note)


def _train(
    data: Dataset,
    backbone: ClipBackbone,
    switches: dict[str, Any],
    settings: Any,
    group: Group,
    out: Path,
    compare: bool,
    tolerance: float,
) -> Outcome:
    from e4_ros.paths import cache_dir
    from e4_ros.vision.clips.experiment import run
    from e4_ros.vision.clips.net import NetSettings

    shape = NetSettings(backbone.deep_size, len(data.class_names), **switches)
    with console.Phases(keep=True, shown=group.is_first) as phases:

        def tell(phase: str, done: int, total: int, loss: float | None) -> None:
            phases(phase, done, total, '' if loss is None else f'loss {loss:.3f}')

        return run(
            backbone, data.class_names, data.train, data.val, shape, settings,
            cache_dir() / 'clips', out / 'work', group, tell, compare, tolerance,
        )  # fmt: skip


def _figures(data: Dataset, model: str, outcome: Outcome) -> dict[str, Any]:
    return {
        'dataset': data.name,
        'classes': data.class_names,
        'train_clips': len(data.train),
        'val_clips': len(data.val),
        'missing': len(data.missing),
        'unreadable': len(outcome.problems),
        'model': model,
        'threshold': outcome.model.threshold,
        'policies': [point.as_dict() for point in outcome.points],
    }
