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

"""Constant-velocity tracks: where the last answer's objects should be now."""

from __future__ import annotations

import numpy as np

from e4_ros.vision.boxes import iou_matrix, match
from e4_ros.vision.detections import Detections

_SAME_OBJECT_IOU = 0.3
_SMOOTHING = 0.5  # weight of the newest velocity


class ConstantVelocityTracks:
    """Velocities of the objects in the answers so far, and the last answer moved by them.

    An object is followed from answer to answer by the assignment with the greatest total IoU
    between its predicted box and the new boxes of its class (Bewley et al., SORT, arXiv 1602.00763,
    without the Kalman filter). A box's corners each have a velocity, so it may grow.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._answer = Detections.empty()
        self._velocity = np.zeros((0, 4), np.float32)
        self._stamp_s: float | None = None

    def update(self, detections: Detections, stamp_s: float) -> None:
        """Take an answer that a network gave for the frame of this time."""
        velocity = np.zeros_like(detections.boxes)
        if self._stamp_s is not None and stamp_s > self._stamp_s and len(detections):
            elapsed = stamp_s - self._stamp_s
            old, new = _assign(self.predict(stamp_s), detections)
            seen = (detections.boxes[new] - self._answer.boxes[old]) / elapsed
            before = self._velocity[old]
            # A velocity of exactly zero was never measured.
            fresh = ~before.any(1, keepdims=True)
            velocity[new] = np.where(fresh, seen, before + _SMOOTHING * (seen - before))
        self._answer, self._velocity, self._stamp_s = detections, velocity, stamp_s

    def predict(self, stamp_s: float) -> Detections:
        """The last answer at another time; objects keep their score and their order."""
        if self._stamp_s is None:
            return Detections.empty()
        boxes = self._answer.boxes + self._velocity * np.float32(stamp_s - self._stamp_s)
        return Detections(boxes, self._answer.scores, self._answer.labels)


def _assign(predicted: Detections, detections: Detections) -> tuple[np.ndarray, np.ndarray]:
    overlap = iou_matrix(predicted.boxes, detections.boxes)
    overlap = np.where(predicted.labels[:, None] == detections.labels[None], overlap, 0.0)
    old, new = match(overlap)
    same = overlap[old, new] >= _SAME_OBJECT_IOU
    return old[same], new[same]
