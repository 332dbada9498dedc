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

"""What has changed beside the tracks since the key frame, with the camera's motion taken out."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from e4_ros.vision.tracking.camera_motion import CameraMotion

_WIDTH = 80  # pixels of the thumbnail
_NOISE = 20.0  # grey levels; smaller changes are noise or compression
_OF_MEDIAN = 4.0  # changes must stand out from what light or blur change everywhere
_MARGIN = 0.2  # of its size is added to a box on each side: its shadow, its limbs
_CELLS = (12, 9)  # columns and rows of the map of motion that the network has seen through
_LEARN = 0.4  # how fast a cell becomes familiar where the network finds nothing
_FORGET_S = 20.0
_STILL = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
_NOTHING = 0.02  # pixels of the thumbnail, and parts of its scale: no motion to take out


@dataclass(frozen=True)
class Change:
    """Shares of the picture, 0 to 1.

    Attributes:
        unexplained: changed, outside the tracks, where the network did not lately find nothing in
            such a change.
        uncovered: came into view by the camera's motion.
    """

    unexplained: float
    uncovered: float


class ChangeWatch:
    """Compares each frame with the last key frame.

    Cars are motion for a detector of people, too, and leaves are. Where a key frame finds no new
    object in a cell that had changed, change in this cell counts less from then on, and more again
    as time passes or an object begins there.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self._key: np.ndarray | None = None
        self._boxes = np.zeros((0, 4))
        self._since_key = np.eye(3)
        self._familiar = np.zeros(_CELLS[::-1], np.float32)
        self._changed = np.zeros(_CELLS[::-1], np.float32)

    def look(
        self, grey: np.ndarray, boxes: np.ndarray, camera: CameraMotion, elapsed_s: float
    ) -> Change:
        """Compare a frame.

        Args:
            grey: ``(h, w)`` uint8, the small picture.
            boxes: ``(N, 4)``, where the tracks are, in its pixels.
            camera: the camera's motion since the frame before.
            elapsed_s: seconds since the frame before.
        """
        self._now, self._scale = _thumbnail(grey)
        self._familiar *= np.float32(np.exp(-elapsed_s / _FORGET_S))
        if self._key is None:
            return Change(0.0, 1.0)
        step = np.eye(3)
        step[:2] = camera.matrix
        self._since_key = step @ self._since_key
        motion = self._since_key[:2] * (1, 1, self._scale)
        key, uncovered = self._key, 0.0
        if np.abs(motion - _STILL).max() > _NOTHING:
            size = self._now.shape[::-1]
            seen = cv2.warpAffine(self._ones, motion, size)
            # What has just come into view is new, not changed.
            key = np.where(seen > 0, cv2.warpAffine(key, motion, size), self._now)
            uncovered = 1 - float(np.count_nonzero(seen)) / seen.size
        gone = cv2.absdiff(key, self._now)
        common = float(np.median(gone[::2, ::2]))
        changed = (gone > max(_NOISE, _OF_MEDIAN * common)).astype(np.float32)
        corners = self._boxes.reshape(-1, 2) * self._scale @ motion[:, :2].T + motion[:, 2]
        near = np.concatenate([corners.reshape(-1, 4), boxes * self._scale])
        margin = np.tile(_MARGIN * (near[:, 2:] - near[:, :2]) + 1, 2) * (-1, -1, 1, 1)
        for left, top, right, bottom in np.maximum(near + margin, 0).astype(int).tolist():
            changed[top:bottom, left:right] = 0
        self._changed = cv2.resize(changed, _CELLS, interpolation=cv2.INTER_AREA)
        unexplained = float((self._changed * (1 - self._familiar)).mean())
        return Change(unexplained, uncovered)

    def key(self, boxes: np.ndarray, born: np.ndarray) -> None:
        """The frame last looked at is a key frame.

        Args:
            boxes: ``(N, 4)``, the tracks after it, in pixels of the small picture.
            born: ``(M, 4)``, those of them that have just begun.
        """
        learnt = _LEARN * (self._changed > 0)
        self._familiar += learnt * (1 - self._familiar)
        height, width = self._now.shape
        cells = np.array([_CELLS[0] / width, _CELLS[1] / height] * 2) * self._scale
        for left, top, right, bottom in np.maximum(born * cells, 0).astype(int):
            self._familiar[top : bottom + 1, left : right + 1] = 0
        self._begin(self._now, boxes, np.eye(3))

    def late_key(self, grey: np.ndarray, boxes: np.ndarray, camera: CameraMotion) -> None:
        """An earlier frame has become the key frame; changes since then are still to be explained.

        Args:
            grey: ``(h, w)`` uint8, that frame's small picture.
            boxes: ``(N, 4)``, the tracks in it, in its pixels.
            camera: the camera's motion from that frame to the one last looked at.
        """
        since = np.eye(3)
        since[:2] = camera.matrix
        self._begin(_thumbnail(grey)[0], boxes, since)

    def _begin(self, key: np.ndarray, boxes: np.ndarray, since: np.ndarray) -> None:
        self._key, self._boxes, self._since_key = key, boxes, since
        self._ones = np.ones_like(key)
        self._changed = np.zeros_like(self._changed)


def _thumbnail(grey: np.ndarray) -> tuple[np.ndarray, float]:
    height, width = grey.shape
    scale = min(_WIDTH / width, 1.0)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    return cv2.blur(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), (3, 3)), scale
