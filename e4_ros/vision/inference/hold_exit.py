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

"""The temporal exit of a classifier: the last answer, as long as the picture stays the same."""

from __future__ import annotations

import cv2
import numpy as np
from typing_extensions import override

from e4_ros.vision.detections import Detections
from e4_ros.vision.inference.temporal_exit import TemporalExit

_THUMBNAIL = (96, 72)  # width, height; grey
_CHANGED = 24.0  # mean change in grey levels that brings diversity to 1 - 1/e
_TOLERATED = 0.15  # diversity that brings the score to 1/e
_TOLERATED_S = 2.0  # so does an answer this old


class HoldExit(TemporalExit):
    """Holds the answer of the last frame that a network answered; nothing in it is learnt.

    A class is an answer about the whole image, so every change of the image counts.
    """

    _remembered: np.ndarray | None

    def detections(self, min_score: float) -> Detections:
        """The answer that is held."""
        return self._held.above(min_score)

    @override
    def remember(self, detections: Detections, computed: bool) -> None:
        if computed:  # detections of its own teach it nothing
            self._held, self._answered_s = detections, self._stamp_s
            self._remembered = self._thumbnail

    def _forget(self) -> None:
        self._held = Detections.empty()
        self._answered_s = -np.inf
        self._remembered = None

    def _compare(self, frame: np.ndarray) -> tuple[float, float]:
        self._thumbnail = cv2.cvtColor(cv2.resize(frame, _THUMBNAIL), cv2.COLOR_RGB2GRAY)
        if self._remembered is None:
            return 1.0, 0.0
        change = cv2.absdiff(self._thumbnail, self._remembered)
        diversity = 1 - float(np.exp(-change.mean() / _CHANGED))
        age = (self._stamp_s - self._answered_s) / _TOLERATED_S
        return diversity, float(np.exp(-diversity / _TOLERATED - age))
