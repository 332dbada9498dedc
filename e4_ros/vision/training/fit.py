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

"""Exits for one camera, from unlabelled footage: distil heads, train gates on a rollout."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import torch

from e4_ros.vision.class_map import ClassMap
from e4_ros.vision.detections import Detections
from e4_ros.vision.exit_checkpoint import Checkpoint, Exit
from e4_ros.vision.inference.exit_thresholds import TEMPORAL
from e4_ros.vision.nets.temporal_net import TemporalNet
from e4_ros.vision.networks import StageError
from e4_ros.vision.networks.cut_search import measured_cuts
from e4_ros.vision.networks.trainable import TrainableModel
from e4_ros.vision.runtime.one_per_core import OnePerCore, cores
from e4_ros.vision.teacher.offline_teacher import OfflineTeacher
from e4_ros.vision.training.exit_fitting import ExitFitting
from e4_ros.vision.training.feature_extractor import FeatureExtractor, feature_extractors
from e4_ros.vision.training.fit_settings import FitSettings
from e4_ros.vision.training.gate_rollout import GateRollout
from e4_ros.vision.training.gate_training import GateTraining, fit_scenes, reliability_where_correct
from e4_ros.vision.training.holdout import FootageSegment, HoldoutSplit, frame_marks, part
from e4_ros.vision.training.resumable import WorkFile, answered_once, chosen_once
from e4_ros.vision.training.side_by_side import Progress, seeded, side_by_side
from e4_ros.vision.training.temporal_samples import TemporalSamples, footage
from e4_ros.vision.training.temporal_training import (
    centre_threshold,
    fit_to_footage,
    move_threshold,
    train_net,
)

Clip = Sequence[tuple[float, np.ndarray]]

LEAST_FRAMES = 40
_THRESHOLD = 0.5  # of every exit until `e4 calibrate` sets them: more likely right than not


class FitError(ValueError):
    """The footage or the model is not fit for fitting; says what is missing."""


def fit(
    model: TrainableModel,
    clips: Sequence[Clip],
    settings: FitSettings | None = None,
    progress: Progress = lambda phase, done, total: None,
    work: Path | None = None,
    teacher: OfflineTeacher | None = None,
) -> Checkpoint:
    """Fit exits of a network, with the network itself as the teacher.

    A detector's teacher is the `OfflineTeacher` made of it, a classifier's its own answer.

    Args:
        model: a detector or a classifier.
        clips: for each source its ``(stamp_s, frame)`` in order of time, frames of one size.
        settings: settings of the fit.
        progress: function that receives the phase, the steps done and their number.
        work: folder to keep what an interrupted fit needs to go on; same footage and settings
            then give the same exits as without an interruption.
        teacher: another teacher for boxes.

    Raises:
        FitError: there is too little footage or nothing in it, or the model cannot be cut.
    """
    settings = settings or FitSettings()
    check_clips(clips)
    marks = ''.join(frame_marks([frame for _, frame in clip]) for clip in clips)
    if work is not None:
        work = work / _digest(model, settings, marks)
        cuts = chosen_once(work / 'cuts.json', lambda: _cuts(model, settings))
    else:
        cuts = _cuts(model, settings)
    probes = feature_extractors(model, cuts)
    labelled = _pseudo_label(model, probes, clips, settings, work, teacher, progress)
    sources = [part(source, settings.held_out) for source in labelled]
    classes = ClassMap.of(
        [labels for source in labelled for labels in source.pseudo_labels], len(model.class_names)
    )

    both = bool(cuts) and model.task == 'detect'
    threads = max(cores() // 2, 1) if both else cores()

    def between_stages(told: Progress) -> tuple[ExitFitting, list[Exit]]:
        fitting = ExitFitting(model, probes, sources, classes, settings, work, told, threads)
        return fitting, [fitting.fit(f'exit{i + 1}', cut) for i, cut in enumerate(cuts)]

    def before_them(told: Progress) -> TemporalNet | None:
        if model.task != 'detect':
            return None
        return _temporal(model, sources, classes, settings, work, told, threads)

    temporal, (fitting, exits) = side_by_side(progress, before_them, between_stages)
    shares = _judge(model, probes, sources, exits, fitting, temporal, settings, progress)
    notes = {'settings': asdict(settings), 'gate_right_share': shares, 'frames': marks}
    thresholds = dict.fromkeys([TEMPORAL, *(e.name for e in exits)], _THRESHOLD)
    return Checkpoint(model.name, model.network.fingerprint, exits, temporal, thresholds, notes)


def check_clips(clips: Sequence[Clip]) -> None:
    """Refuse footage that nothing can be learned from.

    Raises:
        FitError: says which source, and what is wrong with it.
    """
    if not clips:
        raise FitError('fitting needs at least one source')
    for number, clip in enumerate(clips, 1):
        if len(clip) < LEAST_FRAMES:
            raise FitError(
                f'source {number} has {len(clip)} frames; fitting needs at least {LEAST_FRAMES}'
            )
        first = clip[0][1]
        for index, (_, frame) in enumerate(clip):
            if frame.shape != first.shape:
                raise FitError(
                    f'source {number} changes its size at frame {index}: from '
                    f'{first.shape[1]}x{first.shape[0]} to {frame.shape[1]}x{frame.shape[0]}; '
                    f'give each size as a source of its own'
                )
        if all(np.array_equal(frame, first) for _, frame in clip[1:]):
            raise FitError(f'source {number} is one still image; there is nothing to learn')


def _cuts(model: TrainableModel, settings: FitSettings) -> list[str]:
    shares = [cut for cut in settings.cuts if not isinstance(cut, str)]
    try:
        # One thread's own time, which what else runs on this machine hardly changes.
        by_share = iter(measured_cuts(model.network, shares, threads=1, now=time.thread_time))
    except StageError as error:
        raise FitError(f'{model.name} cannot be cut into stages: {error}') from error
    return [cut if isinstance(cut, str) else next(by_share) for cut in settings.cuts]


def _pseudo_label(
    model: TrainableModel,
    probes: OnePerCore[FeatureExtractor],
    clips: Sequence[Clip],
    settings: FitSettings,
    work: Path | None,
    teacher: OfflineTeacher | None,
    progress: Progress,
) -> list[FootageSegment]:
    """The clips with what teacher and network say of every frame."""
    total = sum(len(clip) for clip in clips)

    def by_teacher() -> list[Detections]:
        asked = teacher or OfflineTeacher(model.staged(), apart_s=settings.apart_s)
        found: list[Detections] = []
        for clip in clips:
            found += asked.pseudo_label(clip, partial(_told, progress, len(found), total))
        return found

    def by_network() -> list[Detections]:
        found, frames = [], (frame for clip in clips for _, frame in clip)
        for detections in probes.map(_ask, frames):
            found.append(detections)
            progress('network', len(found), total)
        return found

    def both() -> list[list[Detections]]:
        full = by_network()
        return [by_teacher() if teacher or model.task == 'detect' else full, full]

    pseudo_labels, full = answered_once(work and work / 'answers.npz', both)
    sources, first = [], 0
    for clip in clips:
        rows = slice(first, first := first + len(clip))
        frames, stamps = [frame for _, frame in clip], [stamp for stamp, _ in clip]
        sources.append(FootageSegment(frames, stamps, pseudo_labels[rows], full[rows]))
    if not any(source.shows_objects for source in sources) and model.task == 'detect':
        raise FitError('the teacher finds nothing in this footage; there is nothing to learn')
    return sources


def _ask(probe: FeatureExtractor, frame: np.ndarray) -> Detections:
    probe.see(frame)
    return probe.detections(frame.shape)


def _told(progress: Progress, before: int, total: int, done: int) -> None:
    progress('teacher', before + done, total)


def _temporal(
    model: TrainableModel,
    sources: Sequence[HoldoutSplit],
    classes: ClassMap,
    settings: FitSettings,
    work: Path | None,
    progress: Progress,
    threads: int,
) -> TemporalNet:
    net = seeded(
        settings.seed,
        lambda: TemporalNet(
            classes.count(len(model.class_names)),
            attention=settings.attention,
            memory=settings.memory,
            labels=classes.labels,
        ),
    )
    fitted = WorkFile(work and work / 'temporal-fitted.pt', net=net)
    if not fitted.resume():
        _fit_temporal(net, sources, settings, work, progress, threads)
        fitted.keep(1)
    return net.eval().requires_grad_(False)


def _fit_temporal(
    net: TemporalNet,
    sources: Sequence[HoldoutSplit],
    settings: FitSettings,
    work: Path | None,
    progress: Progress,
    threads: int,
) -> None:
    """Train the net's boxes, then measure its threshold and what its camera's frames look like."""
    classes = net.settings['classes']
    learn = [footage(split.training, net.classes) for split in sources]
    held = [footage(split.validation, net.classes) for split in sources]
    busy = [h for h, p in zip(held, sources, strict=True) if p.validation.shows_objects]
    train_net(
        net,
        TemporalSamples(learn, classes, settings.seed, 0.1),
        settings.steps_for(sum(len(source.frames) for source in learn)),
        work=work and work / 'temporal.pt',
        threads=threads,
        progress=lambda done, total: progress('temporal exit', done, total),
    )
    samples = TemporalSamples(busy or learn, classes, settings.seed + 1, 0.0)
    move_threshold(net, centre_threshold(net, samples))
    fit_to_footage(net, learn, held)


def _judge(
    model: TrainableModel,
    probes: OnePerCore[FeatureExtractor],
    sources: Sequence[HoldoutSplit],
    exits: Sequence[Exit],
    fitting: ExitFitting,
    temporal: TemporalNet | None,
    settings: FitSettings,
    progress: Progress,
) -> dict[str, float]:
    """Train all gates on a rollout; return the share of frames that each judges right."""
    rollout = GateRollout(model, probes, exits, temporal, settings.seed)
    rollout.play(sources, settings.rehearsed, lambda a, b: progress('gate rollout', a, b))
    gated = [i for i, found in enumerate(exits) if found.gate is not None]
    gates = [found.gate for found in exits if found.gate is not None]
    notes = [rollout.notes[i] for i in gated]
    if temporal is not None:
        temporal.pool.requires_grad_(True)
        temporal.gate.requires_grad_(True)
    names = [*([TEMPORAL] if temporal is not None else []), *(exits[i].name for i in gated)]
    if not names:
        return {}
    training = GateTraining(temporal, rollout.temporal_notes, gates, notes, settings.seed)
    training.train(progress=lambda a, b: progress('gates', a, b))
    reliability_where_correct(temporal, rollout.temporal_notes)
    for i, gate in zip(gated, gates, strict=True):
        fit_scenes(gate, *fitting.scenes(i), rollout.notes[i])
        gate.requires_grad_(False).eval()
    if temporal is not None:
        temporal.requires_grad_(False)
    return dict(zip(names, training.right_shares(), strict=True))


def _digest(model: TrainableModel, settings: FitSettings, marks: str) -> str:
    """Identity of a fit: one with other settings, footage or weights is not resumed."""
    about = [model.network.fingerprint, asdict(settings), torch.__version__, marks]
    return hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16]
