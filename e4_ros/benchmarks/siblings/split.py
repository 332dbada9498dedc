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

"""`e4 bench siblings --part split`: whether half of the feature maps can travel, as DVFO has it.

The more important half stays with the robot, the other goes to the server, and both answers are
added. Accepted where the sum has an F1 of .95 against the whole network on footage that nothing was
learned from; nothing is shipped that was not.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from e4_ros import console, extras
from e4_ros.benchmarks.exits.streams import places
from e4_ros.evaluation.metrics.agreement import f1
from e4_ros.evaluation.sources import open_source
from e4_ros.vision.detections import Detections

if TYPE_CHECKING:
    from e4_ros.vision.networks.trainable import TrainableModel
    from e4_ros.vision.training.channel_split import ChannelSplit, SplitSamples

MODEL, CUT = 'pedestrian_ssdlite', 'add_7'
KEPT = (0.75, 0.5, 0.25)
LEAST_F1, AT = 0.95, 0.5
_LEARNED_FROM = {'vtest': 300, 'bikes': 120}  # frames of each, from the first on
_LATER = {'vtest': 500, 'bikes': 120}  # first frame of the same camera's later footage
_EVERY, _VIEWS, _STEPS, _JUDGED = 2, 2, 300, 30


@dataclass(frozen=True)
class _Judged:
    """Footage to be judged on: what the whole network has there, and says."""

    name: str
    shape: tuple[int, ...]
    samples: SplitSamples
    full: Sequence[Detections]


def measure(quick: bool = False) -> dict[str, Any]:
    """Train ranking and halves on two cameras; judge them on later footage and on other cameras.

    Args:
        quick: two steps on few frames: shows that it runs.
    """
    extras.require('train', '`e4 bench siblings --part split`')
    import torch

    from e4_ros.vision.training.channel_split import ChannelSplit, split_samples, train_split
    from e4_ros.vision.zoo import load_model

    model = load_model(MODEL)
    frames = [
        frame
        for video, end in _LEARNED_FROM.items()
        for _, frame in islice(open_source(video), 0, end, 60 if quick else _EVERY)
    ]
    samples = split_samples(model, CUT, frames, _VIEWS)
    judged = list(_judged(model, quick))
    torch.manual_seed(0)
    module = ChannelSplit(model, CUT, samples.features.float().mean((0, 2, 3)))
    rows = _rows(model, module, judged, 'untrained')
    steps, begin_s = 2 if quick else _STEPS, time.monotonic()
    with console.Phases() as phases:
        losses = train_split(
            module, samples, steps, progress=lambda done, total: phases('training', done, total)
        )
    trained_s = time.monotonic() - begin_s
    rows += _rows(model, module, judged, 'trained')
    deciding = [row['fused'] for row in rows if row['halves'] == 'trained' and row['kept'] == AT]
    return {
        'model': MODEL,
        'cut': CUT,
        'learned_from': ', '.join(f'{video} 0-{end - 1}' for video, end in _LEARNED_FROM.items()),
        'samples': len(samples.features),
        'steps': steps,
        'trained_s': round(trained_s, 1),
        'loss': [round(float(np.mean(part)), 3) for part in (losses[:20], losses[-20:])],
        'rows': rows,
        'least_f1': LEAST_F1,
        'accepted': min(deciding) >= LEAST_F1,
    }


def show(found: Mapping[str, Any]) -> None:
    """Print F1 of either half and of both, before training and after it."""
    from rich.table import Table

    shown = Table(
        title=f'{found["model"]} split by channels at {found["cut"]}: F1 against the whole network'
    )
    for name in ('halves', 'stream', 'kept'):
        shown.add_column(name)
    for name in ('robot alone', 'server alone', 'both'):
        shown.add_column(name, justify='right')
    for row in found['rows']:
        shown.add_row(
            row['halves'],
            row['stream'],
            f'{row["kept"]:.0%}',
            *(f'{row[name]:.3f}' for name in ('stays', 'travels', 'fused')),
        )
    console.stdout().print(shown)
    verdict = 'accepted' if found['accepted'] else 'not accepted'
    console.stdout().print(
        f'{verdict}: {found["least_f1"]} is asked of both at half, after {found["steps"]} steps on '
        f'{found["samples"]} views of {found["learned_from"]}'
    )


def _judged(model: TrainableModel, quick: bool) -> Iterator[_Judged]:
    """Later footage of the cameras that were learned from, and other cameras."""
    from e4_ros.vision.training.channel_split import split_samples

    def judged(name: str, frames: Sequence[np.ndarray]) -> _Judged:
        few = [
            frames[at] for at in np.linspace(0, len(frames) - 1, 2 if quick else _JUDGED, dtype=int)
        ]
        samples, shape = split_samples(model, CUT, few), few[0].shape
        return _Judged(name, shape, samples, _decoded(model, _said(samples), shape))

    for video, first in _LATER.items():
        later = [frame for _, frame in islice(open_source(video), first, None, 4)]
        yield judged(f'{video} from {first} on', later)
    footage = os.environ.get('E4_FOOTAGE')
    for place in places(Path(footage) if footage and not quick else None, 300)[0]:
        if not place.perturbed and place.name not in (*_LATER, 'moving window'):
            yield judged(place.name, [frame for _, frame in place.open().clip])


def _rows(
    model: TrainableModel, module: ChannelSplit, judged: Sequence[_Judged], halves: str
) -> list[dict[str, Any]]:
    import torch

    from e4_ros.vision.training.channel_split import fused

    rows = []
    for footage in judged:
        if not any(len(answer.above(0.5)) for answer in footage.full):
            continue  # nothing is seen there, so nothing can be lost
        for share in KEPT:
            with torch.no_grad():
                stays, travels = module(footage.samples.features.float(), share)
            answers = {
                'stays': (stays,),
                'travels': (travels,),
                # The better of equal weights and of weights by the maps that each half has.
                'fused': (fused(stays, travels, 0.5), fused(stays, travels, share)),
            }
            scores = {
                name: max(f1(_decoded(model, each, footage.shape), footage.full) for each in ways)
                for name, ways in answers.items()
            }
            about = {'halves': halves, 'stream': footage.name, 'kept': share}
            rows.append(about | {name: round(value, 3) for name, value in scores.items()})
    return rows


def _said(samples: SplitSamples) -> tuple[Any, Any]:
    return samples.encodings, samples.logits


def _decoded(
    model: TrainableModel, outputs: tuple[Any, Any], shape: tuple[int, ...]
) -> list[Detections]:
    encodings, logits = (part.numpy() for part in outputs)
    return [
        model.decode(
            {'encodings': encodings[row : row + 1], 'logits': logits[row : row + 1]}, shape, 0.2
        )
        for row in range(len(logits))
    ]
