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

"""How much a network's score of one object varies from look to look, learnt from key frames."""

from __future__ import annotations

import numpy as np

START = 0.27
"""At first: that of the detector that ships, a small one."""

_START_LOOKS = 20  # as much as so many looks say it
_MEMORY_LOOKS = 200
_NEAR = 0.4  # of the score that matters: how far from it scores count


class ScoreNoise:
    """Root mean square of what a look's score differs from the track's own.

    Some networks score an object .2 on one frame and .9 on the next, others the same for seconds.
    It decides how much is unknown where nobody looks. Only tracks count whose score lies where
    objects are reported or dropped; what the network missed scored 0.

    Attributes:
        rms: of scores, 0 to 1.
    """

    def __init__(self) -> None:
        self._looks = float(_START_LOOKS)
        self._squares = _START_LOOKS * START**2

    @property
    def rms(self) -> float:
        """Root mean square."""
        return float(np.sqrt(self._squares / self._looks))

    def learn(self, scores: np.ndarray, found: np.ndarray, where: float) -> None:
        """Take what a key frame showed.

        Args:
            scores: ``(N,)`` of the tracks, before it.
            found: ``(N,)`` what the network scored them; 0 where it missed them.
            where: score between where an object is reported and where it is dropped.
        """
        near = np.exp(-(((scores - where) / (_NEAR * where)) ** 2))
        self._squares += float(near @ (found - scores) ** 2)
        self._looks += float(near.sum())
        if self._looks > _MEMORY_LOOKS:
            self._squares *= _MEMORY_LOOKS / self._looks
            self._looks = float(_MEMORY_LOOKS)
