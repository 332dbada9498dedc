"""The temporal exit of a detector without a learnt one: tracks carry the last answer on."""

from __future__ import annotations

import cv2
import numpy as np
from typing_extensions import override

from e4_ros.vision.detections import Detections
from e4_ros.vision.inference.temporal_exit import TemporalExit

_THUMBNAIL = (96, 72)  # width, height; grey
_CHANGED = 24.0  # grey levels that noise and compression do not reach
_TOLERATED_SHARE = 0.01  # of the image may change outside the tracks before the score falls to 1/e
_TOLERATED_S = 1.0  # an answer this old has its score at 1/e
_MARGIN = 0.25  # of its size is added to a track's box


class ExtrapolatedExit(TemporalExit):
    """The last answer moved on by constant-velocity tracks; nothing in it is learnt.

    The memory is a small grey thumbnail of the last frame that a network answered, and the tracks
    of its answer. Its gate score falls with change that the tracks do not explain, and with time.
    """

    _remembered: np.ndarray | None

    def detections(self, min_score: float) -> Detections:
        """The last answer at the time of the frame last looked at."""
        moved = self.tracks.predict(self._stamp_s)
        height, width = self._frame_shape[:2]
        boxes = moved.boxes.clip(0, np.array([width, height, width, height], np.float32))
        visible = (boxes[:, 2:] - boxes[:, :2] > 1).all(1)
        return Detections(boxes[visible], moved.scores[visible], moved.labels[visible])

    @override
    def remember(self, detections: Detections, computed: bool) -> None:
        if computed:  # detections of its own teach it nothing
            self.tracks.update(detections, self._stamp_s)
            self._remembered, self._answered_s = self._thumbnail, self._stamp_s

    def _forget(self) -> None:
        self._answered_s = -np.inf
        self._remembered = None

    def _compare(self, frame: np.ndarray) -> tuple[float, float]:
        self._thumbnail = _thumbnail(frame)
        if self._remembered is None:
            return 1.0, 0.0
        change = cv2.absdiff(self._thumbnail, self._remembered)
        diversity = 1 - float(np.exp(-change.mean() / _CHANGED))
        outside = (change > _CHANGED) & ~self._near_tracks(self._stamp_s)
        unexplained = float(outside.mean()) / _TOLERATED_SHARE
        age = (self._stamp_s - self._answered_s) / _TOLERATED_S
        return diversity, float(np.exp(-unexplained - age))

    def _near_tracks(self, stamp_s: float) -> np.ndarray:
        """Mask ``(72, 96)`` of where tracks explain a change: where they were and are."""
        near = np.zeros(_THUMBNAIL[::-1], bool)
        scale = np.array(_THUMBNAIL * 2) / np.array(self._frame_shape[1::-1] * 2)
        for moved in (self.tracks.predict(self._answered_s), self.tracks.predict(stamp_s)):
            boxes = moved.boxes * scale
            margin = np.tile((boxes[:, 2:] - boxes[:, :2]) * _MARGIN + 1, 2) * [-1, -1, 1, 1]
            for x0, y0, x1, y1 in (boxes + margin).clip(0, 1000).astype(int):
                near[y0:y1, x0:x1] = True
        return near


def _thumbnail(frame: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(cv2.resize(frame, _THUMBNAIL), cv2.COLOR_RGB2GRAY)
