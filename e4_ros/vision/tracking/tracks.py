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

"""What is known of each object that is followed: arrays, one entry a track."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from e4_ros.vision.boxes import clip
from e4_ros.vision.detections import Detections


@dataclass
class Tracks:
    """Objects of one stream, as arrays of the same length.

    Attributes:
        boxes: ``(N, 4)`` float64, ``x0, y0, x1, y1`` in source pixels; may reach over the border.
        scores: ``(N,)`` running mean of what the network scored them, 0 to 1.
        labels: ``(N,)`` int64 classes.
        ids: ``(N,)`` int64, from 1; none is ever used again.
        velocities: ``(N, 2)`` of the centres, in source pixels a second.
        variance: ``(N,)`` of the boxes' places, in units of a detection's own variance.
        looks: ``(N,)`` key frames since the track began.
        reported: ``(N,)`` bool, whether they are part of the answer.
        vouched: ``(N,)`` how far a closer look still vouches for them, 0 to 1.
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    ids: np.ndarray
    velocities: np.ndarray
    variance: np.ndarray
    looks: np.ndarray
    reported: np.ndarray
    vouched: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def none(cls) -> Tracks:
        """No objects."""
        return cls.born(Detections.empty(), np.zeros(0, np.int64))

    @classmethod
    def born(cls, detections: Detections, ids: np.ndarray, closer: bool = False) -> Tracks:
        """Tracks that begin with these detections, of a closer look or not."""
        count = len(detections)
        return cls(
            detections.boxes.astype(float),
            detections.scores.astype(float),
            detections.labels,
            ids,
            np.zeros((count, 2)),
            np.ones(count),
            np.ones(count, np.int64),
            np.zeros(count, bool),
            np.full(count, float(closer)),
        )

    def where(self, which: np.ndarray) -> Tracks:
        """Some of them, by a mask or by indices."""
        return Tracks(*(getattr(self, f.name)[which] for f in fields(self)))

    def plus(self, others: Tracks) -> Tracks:
        """These and others."""
        return Tracks(
            *(
                np.concatenate([getattr(self, f.name), getattr(others, f.name)])
                for f in fields(self)
            )
        )

    def detections(self, frame_shape: tuple[int, ...], report_score: float) -> Detections:
        """Those that are reported, as an answer.

        Args:
            frame_shape: ``(H, W, ...)`` of the frame.
            report_score: least score of the answer: one that has fallen below it, and is reported
                still, has this one.
        """
        which = np.flatnonzero(self.reported)
        which = which[np.argsort(-self.scores[which], kind='stable')]
        return Detections(
            clip(self.boxes[which], frame_shape).astype(np.float32),
            np.maximum(self.scores[which], report_score).astype(np.float32),
            self.labels[which],
            self.ids[which],
            self.velocities[which].astype(np.float32),
        )
