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

"""Clip mode on one dataset: features, networks, gates, and what each policy is worth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from e4_ros.vision.clips.backbone import ClipBackbone
from e4_ros.vision.clips.clip_model import ClipModel
from e4_ros.vision.clips.distributed import Group
from e4_ros.vision.clips.features import Clip, FeatureSet, FeatureStore
from e4_ros.vision.clips.gates import CascadeGate
from e4_ros.vision.clips.net import NetSettings
from e4_ros.vision.clips.policies import (
    ClipPoint,
    choose,
    curve,
    fixed_points,
    frame_macs,
    full_point,
    gate_score,
    softmax_score,
)
from e4_ros.vision.clips.training import TrainError, TrainSettings, look_at, traces, train

Progress = Callable[[str, int, int, float | None], None]


@dataclass(frozen=True)
class Outcome:
    """What training leaves behind.

    Attributes:
        model: the cascade, ready for `build_clip_bundle`.
        points: every policy on the validation clips.
        problems: clips that could not be read, and why.
    """

    model: ClipModel
    points: list[ClipPoint]
    problems: list[str]


def run(
    backbone: ClipBackbone,
    class_names: Sequence[str],
    train_clips: Sequence[Clip],
    val_clips: Sequence[Clip],
    shape: NetSettings,
    settings: TrainSettings,
    cache: Path,
    work: Path,
    group: Group,
    progress: Progress = lambda phase, done, total, loss: None,
    compare: bool = True,
    tolerance: float = 0.01,
) -> Outcome:
    """Train the cascade, and for comparison a network with FrameExit's gate, and measure both.

    Args:
        backbone: frozen feature extractor.
        class_names: class names of the dataset.
        train_clips: training clips.
        val_clips: validation clips.
        shape: settings of the cascade's network.
        settings: settings of the training.
        cache: folder for features.
        work: folder for what an interrupted training needs to go on.
        group: the processes that work together.
        progress: function that receives the phase, the steps done, their number, and any loss.
        compare: whether to train the FrameExit-style network, too.
        tolerance: accuracy on held-out clips that stopping early may cost.

    Raises:
        TrainError: too few clips can be read.
    """
    store = FeatureStore(cache, backbone, shape.frames)
    problems = _compute(store, [*train_clips, *val_clips], group, progress)
    learn, judge = ([c for c in part if store.has(c)] for part in (train_clips, val_clips))
    if not judge or not learn:
        raise TrainError(f'not enough clips can be read; the first problem: {problems[0]}')
    learn_set, judge_set = FeatureSet(store, learn), FeatureSet(store, judge)
    points: list[ClipPoint] = []
    model: ClipModel | None = None
    shapes = [shape] + ([replace(shape, aggregation='max')] if compare else [])
    for each in shapes:
        net, gate, held = train(each, settings, learn_set, work, group, progress)
        val = traces(gate, *look_at(net, judge_set))
        macs = backbone.macs + frame_macs(each, backbone.early, with_gate=False)
        gated = backbone.macs + frame_macs(each, backbone.early, with_gate=True)
        if each is shape:
            threshold = choose(gate_score, held, tolerance)
            assert isinstance(gate, CascadeGate), 'the cascade is recurrent'
            model = ClipModel(net, gate, list(class_names), threshold)
            points += curve('cascade', gate_score, held, val, gated, tolerance)
            points += curve('max_softmax', softmax_score, held, val, macs, tolerance)
            points += [*fixed_points(val, macs), full_point(val, macs)]
        else:
            points += curve('frameexit', gate_score, held, val, gated, tolerance)
            points.append(replace(full_point(val, macs), policy='frameexit_full'))
    assert model is not None  # `shape` is the first of `shapes`
    return Outcome(model, points, problems)


def _compute(
    store: FeatureStore, clips: Sequence[Clip], group: Group, progress: Progress
) -> list[str]:
    mine = group.mine(clips)
    problems = store.compute(mine, lambda done: progress('features', done, len(mine), None))
    return group.share(problems)
