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

"""Tracks that ended a moment ago, so that an object that is found again keeps its id."""

from __future__ import annotations

import numpy as np

from e4_ros.vision.boxes import iou_matrix, match
from e4_ros.vision.detections import Detections
from e4_ros.vision.tracking.camera_motion import CameraMotion
from e4_ros.vision.tracking.tracks import Tracks

_REMEMBERED_S = 2.0
_WIDER = 0.5  # of its size is added to a lost box on each side in a second: it may have turned
_SAME_IOU = 0.2


class LostTracks:
    """Remembers for two seconds where lost objects should be: they go on as they went."""

    def __init__(self) -> None:
        self._tracks = Tracks.none()
        self._since_s = np.zeros(0)

    def add(self, before: Tracks, kept: Tracks, stamp_s: float) -> None:
        """Remember those reported ones of ``before`` that are not among ``kept``."""
        recent = stamp_s - self._since_s <= _REMEMBERED_S
        gone = ~np.isin(before.ids, kept.ids) & (before.looks > 1)
        if not gone.any() and recent.all():
            return
        self._tracks = self._tracks.where(recent).plus(before.where(gone))
        self._since_s = np.concatenate(
            [self._since_s[recent], np.full(np.count_nonzero(gone), stamp_s)]
        )

    def move(self, camera: CameraMotion, scale: float) -> None:
        """Carry the places along with the camera; ``scale`` leads to its small picture."""
        if len(self._tracks) and camera.known:
            corners = self._tracks.boxes.reshape(-1, 2) * scale
            self._tracks.boxes = (camera.carry(corners) / scale).reshape(-1, 4)

    def find(self, new: Detections, stamp_s: float) -> np.ndarray:
        """The id of the lost track that each new detection continues; 0 where there is none."""
        ids = np.zeros(len(new), np.int64)
        if not len(self._tracks) or not len(new):
            return ids
        gone_s = (stamp_s - self._since_s)[:, None]
        boxes = self._tracks.boxes
        margin = np.tile((boxes[:, 2:] - boxes[:, :2]) * _WIDER * gone_s, 2) * [-1, -1, 1, 1]
        overlap = iou_matrix(boxes + margin, new.boxes.astype(float))
        overlap[self._tracks.labels[:, None] != new.labels] = 0
        overlap[overlap < _SAME_IOU] = 0
        rows, columns = match(overlap)
        ids[columns] = self._tracks.ids[rows]
        left = np.ones(len(self._tracks), bool)
        left[rows] = False
        self._tracks, self._since_s = self._tracks.where(left), self._since_s[left]
        return ids
