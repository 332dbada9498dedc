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

"""Moments of a stream to learn from: a frame, its memory, and what the teacher says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from e4_ros.vision.class_map import ALL_CLASSES, ClassMap
from e4_ros.vision.detections import Detections
from e4_ros.vision.inference.temporal_input import as_input, double_thumbnail, prior_maps
from e4_ros.vision.nets.temporal_net import SLOTS, THUMBNAIL
from e4_ros.vision.placement import Placement
from e4_ros.vision.training.augment import View, random_view
from e4_ros.vision.training.corruptions import CORRUPTIONS, corrupt
from e4_ros.vision.training.holdout import FootageSegment

_TROUBLES = ('cut', *CORRUPTIONS, 'shake', 'lost')


@dataclass
class Footage:
    """One source in time order.

    Attributes:
        frames: double thumbnails, ``(288, 384, 3)`` uint8.
        pseudo_labels: the teacher's answers, in pixels of the source.
        full: the full network's, likewise.
        frame_shape: ``(H, W, ...)`` of the source.
    """

    frames: list[np.ndarray]
    pseudo_labels: list[Detections]
    full: list[Detections]
    frame_shape: tuple[int, ...]


@dataclass
class TemporalSample:
    """One sample; boxes are in pixels of the thumbnail.

    Attributes:
        images: ``(1 + K, 3, 144, 192)``: now, then the memory's slots.
        filled: ``(K,)``.
        prior: ``(3·classes, 36, 48)``.
        pseudo_labels: the teacher's answer now.
    """

    images: np.ndarray
    filled: np.ndarray
    prior: np.ndarray
    pseudo_labels: Detections


def footage(segment: FootageSegment, classes: ClassMap = ALL_CLASSES) -> Footage:
    """What a temporal exit with these classes needs of a stretch."""
    small = [double_thumbnail(frame) for frame in segment.frames]
    return Footage(
        small,
        [classes.narrow(detections) for detections in segment.pseudo_labels],
        [classes.narrow(detections) for detections in segment.full],
        segment.frames[0].shape,
    )


class TemporalSamples:
    """Draws random moments from footage.

    Args:
        sources: drawn from in proportion to their length.
        classes: number of classes.
        seed: seed of everything that is random.
        corruption: share of moments with a scene cut, darkness, a covered lens and the like.
    """

    def __init__(
        self, sources: Sequence[Footage], classes: int, seed: int, corruption: float = 0.1
    ):
        self._sources = list(sources)
        self._classes = classes
        self._seed = seed
        self._corruption = corruption
        lengths = np.array([len(source.frames) for source in sources], float)
        self._shares = lengths / lengths.sum()

    def batch(self, number: int, count: int) -> list[TemporalSample]:
        """A batch, which depends on the seed and on its number alone."""
        self._rng = np.random.default_rng([self._seed, number])
        return [self._draw() for _ in range(count)]

    def _draw(self) -> TemporalSample:
        rng = self._rng
        source = self._sources[rng.choice(len(self._sources), p=self._shares)]
        now = int(rng.integers(len(source.frames)))
        view = random_view(Placement.stretched(source.frames[0].shape, THUMBNAIL), THUMBNAIL, rng)
        corruption = str(rng.choice(_TROUBLES)) if rng.random() < self._corruption else ''
        past, filled = self._past(source, now, corruption)
        images = [corrupt(view.image(source.frames[now], THUMBNAIL), corruption, rng)]
        remembered = self._other_view(view) if corruption == 'shake' else view
        origin = self._sources[rng.integers(len(self._sources))] if corruption == 'cut' else source
        images += [remembered.image(origin.frames[i % len(origin.frames)], THUMBNAIL) for i in past]
        return TemporalSample(
            np.concatenate([as_input(image) for image in images]),
            filled,
            self._prior(origin, past[0] % len(origin.frames), remembered, filled),
            _through(source, source.pseudo_labels[now], view),
        )

    def _past(self, source: Footage, now: int, corruption: str) -> tuple[list[int], np.ndarray]:
        """Frames in the memory: a few frames ago, then two that are older; not all always there."""
        rng = self._rng
        if corruption == 'cut':
            past = rng.integers(0, len(source.frames), SLOTS)
        else:
            ages = np.cumsum([rng.integers(1, 6), rng.integers(5, 40), rng.integers(20, 80)])
            past = now - ages[:SLOTS]
        filled = (past >= 0) & (rng.random(SLOTS) > 0.1)
        filled &= corruption != 'lost'
        return [max(int(i), 0) for i in past], filled.astype(np.float32)

    def _prior(self, source: Footage, index: int, view: View, filled: np.ndarray) -> np.ndarray:
        """The last detections, with mistakes as last detections have them."""
        rng = self._rng
        if not filled[0]:
            return prior_maps(Detections.empty(), THUMBNAIL, self._classes)
        given = source.full if rng.random() < 0.3 else source.pseudo_labels
        detections = _through(source, given[index], view)
        boxes, labels, scores = detections.boxes, detections.labels, detections.scores
        kept = rng.random(len(boxes)) > 0.15
        boxes, labels, scores = boxes[kept], labels[kept], scores[kept]
        boxes = boxes + rng.normal(0, 1.5, boxes.shape).astype(np.float32)
        if len(boxes) and rng.random() < 0.3:
            pick = rng.integers(len(boxes))
            stray = boxes[pick] + np.tile(rng.uniform(-40, 40, 2), 2).astype(np.float32)
            boxes = np.vstack([boxes, stray])
            labels, scores = np.append(labels, labels[pick]), np.append(scores, 1.0)
        return prior_maps(Detections.of(boxes, scores, labels), THUMBNAIL, self._classes)

    def _other_view(self, view: View) -> View:
        shift = np.zeros((2, 3))
        shift[:, 2] = self._rng.uniform(-15, 15, 2)
        return View(view.matrix + shift, view.gain, view.offset)


def _through(source: Footage, detections: Detections, view: View) -> Detections:
    """An answer in source pixels as it is in a view of the double thumbnail."""
    scale = np.array(source.frames[0].shape[1::-1] * 2) / np.array(source.frame_shape[1::-1] * 2)
    doubled = Detections(
        detections.boxes * scale.astype(np.float32), detections.scores, detections.labels
    )
    return view.detections(doubled, THUMBNAIL)
