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

"""Fit the exits between stages: samples once for all of them, then one head after the other."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from e4_ros.vision.class_map import ClassMap
from e4_ros.vision.detections import Detections
from e4_ros.vision.exit_checkpoint import Exit
from e4_ros.vision.inference import grid_boxes
from e4_ros.vision.model import VisionModel
from e4_ros.vision.nets.attention import class_statistics
from e4_ros.vision.nets.exit_gate import ExitGate
from e4_ros.vision.nets.heads import Answering, GridHead, Head
from e4_ros.vision.nets.in_distribution import statistics
from e4_ros.vision.runtime.one_per_core import OnePerCore
from e4_ros.vision.training.distillation import Samples, prepare, train_head
from e4_ros.vision.training.feature_extractor import FeatureExtractor
from e4_ros.vision.training.fit_settings import FitSettings
from e4_ros.vision.training.holdout import FootageSegment, HoldoutSplit
from e4_ros.vision.training.make_head import make_head
from e4_ros.vision.training.side_by_side import seeded
from e4_ros.vision.training.temporal_training import best_threshold, move_threshold

_LEAST_WEIGHT = 0.1  # weight of a sample that an earlier exit is sure of
_MOST_BYTES = 2_000_000_000  # of all features in memory at once


class ExitFitting:
    """Features of the footage at every cut, and heads that learn from them.

    Args:
        model: the network.
        probes: the same, cut where the exits go.
        sources: footage of each source.
        classes: the classes that heads to boxes learn.
        settings: settings of the fit.
        work: folder for what an interrupted training needs to go on; None keeps nothing.
        progress: function that receives the phase, the steps done and their number.
        threads: number of threads of a training.
    """

    def __init__(
        self,
        model: VisionModel,
        probes: OnePerCore[FeatureExtractor],
        sources: Sequence[HoldoutSplit],
        classes: ClassMap,
        settings: FitSettings,
        work: Path | None,
        progress: Callable[[str, int, int], None],
        threads: int,
    ):
        self._model, self._probes, self._settings = model, probes, settings
        self._classes, self._work, self._progress = classes, work, progress
        self._threads = threads
        most = min(settings.samples, _MOST_BYTES // max(_sample_bytes(probes.copies[0]), 1))
        learn = _thinned([p.training for p in sources], most)
        held = _thinned([p.validation for p in sources], most // 4)
        views = max(1, min(settings.views, most // sum(len(s) for s in learn)))
        self._learn = [self._samples(s, views, i) for i, s in enumerate(learn)]
        self._held = [self._samples(s, 1, 0) for s in held]
        self._busy = [i for i, s in enumerate(held) if s.shows_objects]
        self._weights: Tensor | None = None
        self._done = 0

    def fit(self, name: str, cut: str) -> Exit:
        """The next exit, in order of depth; its gate has still to learn."""
        index, self._done = self._done, self._done + 1
        samples = _joined([each[index] for each in self._learn])
        shape = tuple(samples.features[0].shape)
        head = seeded(
            self._settings.seed + index,
            lambda: make_head(
                self._model.task,
                shape,
                len(self._model.class_names),
                self._classes,
                saved_macs=self._probes.copies[0].macs_behind(index),
            ),
        )
        train_head(
            head,
            samples,
            self._model.input_size,
            self._settings.epochs,
            self._settings.seed,
            self._weights,
            work=self._work and self._work / f'{name}.pt',
            threads=self._threads,
            progress=lambda a, b: self._progress(name, a, b),
        )
        if isinstance(head, GridHead):
            kept = _joined([self._held[i][index] for i in self._busy] or [samples])
            move_threshold(head, self._threshold(head, kept))
        else:
            self._weights = self._survivors(head, samples)
        gate = None
        if self._settings.gates:
            attention, memory = self._settings.attention, self._settings.memory
            gate = seeded(
                self._settings.seed + index, lambda: ExitGate(shape[0], attention, memory)
            )
        return Exit(name, cut, head.requires_grad_(False), gate)

    def scenes(self, index: int) -> tuple[list[Tensor], list[Tensor]]:
        """For each source, `statistics` at a cut of what was learned from and what was held out."""
        return (
            [_scene(each[index]) for each in self._learn],
            [_scene(each[index]) for each in self._held],
        )

    def _samples(self, segment: FootageSegment, views: int, number: int) -> list[Samples]:
        if not self._settings.cuts:
            return []
        return prepare(
            self._model,
            self._probes,
            len(self._settings.cuts),
            segment.frames,
            [self._classes.narrow(detections) for detections in segment.pseudo_labels],
            views,
            self._settings.seed + number,
            lambda a, b: self._progress(f'features {number + 1}' if number else 'features', a, b),
        )

    def _threshold(self, head: GridHead, samples: Samples) -> float:
        answered = []
        for features, pseudo_labels in zip(samples.features, samples.answers, strict=True):
            with torch.no_grad():
                peaks, sides = Answering(head)(features.float()[None])
            size = self._model.input_size
            detections = grid_boxes.decode(peaks[0].numpy(), sides[0].numpy(), size, 0.1)
            assert isinstance(pseudo_labels, Detections)
            answered.append((detections, pseudo_labels))
        return best_threshold(answered)

    @torch.no_grad()
    def _survivors(self, head: Head, samples: Samples) -> Tensor:
        """Weights of the samples for the next exit: low where this one is sure."""
        parts = [
            class_statistics(head(torch.stack(samples.features[i : i + 64]).float()))[:, 0]
            for i in range(0, len(samples.features), 64)
        ]
        weights = (1 - torch.cat(parts)).clamp(min=_LEAST_WEIGHT)
        return weights if self._weights is None else self._weights * weights


def _thinned(segments: Sequence[FootageSegment], most: int) -> list[FootageSegment]:
    """Every n-th frame, with the least n that leaves no more than ``most``."""
    total = sum(len(s) for s in segments)
    if total <= most:
        return list(segments)
    return [
        s.part(np.linspace(0, len(s) - 1, max(len(s) * most // total, 2)).astype(int).tolist())
        for s in segments
    ]


def _sample_bytes(probe: FeatureExtractor) -> int:
    """Bytes of the features of one picture at every cut, in half precision."""
    return sum(2 * math.prod(probe.shape(cut)) for cut in range(len(probe.boundaries) - 1))


def _joined(parts: Sequence[Samples]) -> Samples:
    whole = Samples()
    for samples in parts:
        whole.extend(samples)
    return whole


def _scene(samples: Samples) -> Tensor:
    rows = [f for f, plain in zip(samples.features, samples.plain, strict=True) if plain]
    return torch.cat([statistics(features.float()[None]) for features in rows])
