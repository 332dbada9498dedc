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

"""How many images a second the scene needs, by what its images needed of the network.

What makes tracks doubtful grows with time and motion, not with the number of images: key frames a
second belong to the scene. Images between two of them only help the tracks to follow, and some are
enough for that. Where the tracks are lost soon after a key frame, images came too far apart or
another scene begins, and the rate goes to its upper bound at once.
"""

from __future__ import annotations

import math

from e4_ros.vision.inference.exit_thresholds import CLOSER, TEMPORAL, TRACK

_PER_KEY = 4.0  # images for each key frame: one on which the network runs and three to follow
_MEMORY_S = 3.0  # time constant in which key frames a second are averaged
_SOON_S, _LOST = 0.5, 0.25  # a trust so low so soon is no matter of age: the tracks are lost
_EARLY = 0.1  # of an interval that an image may be early: cameras are not on time
_TOLD = 0.1  # a rate that differs by less is no news
_EASY = frozenset({TRACK, TEMPORAL, CLOSER})  # a closer look is a choice, not a need


class CameraRate:
    """Follows one camera's answers and says which rate they needed.

    One thread gives answers, another may ask which images are wanted. Times are of arrival, by a
    clock that never jumps.

    Args:
        low_hz: Lower bound: something new is seen after one such interval at most.
        high_hz: Upper bound, which is the advice at first; there every image is wanted.

    Raises:
        ValueError: the bounds are not in order.
    """

    def __init__(self, low_hz: float, high_hz: float) -> None:
        if not 0 < low_hz <= high_hz:
            raise ValueError(
                f'camera_rate_min_hz ({low_hz:g}) is above 0 and at most camera_rate_max_hz '
                f'({high_hz:g})'
            )
        self._low_hz, self._high_hz = low_hz, high_hz
        self._keys_hz = high_hz / _PER_KEY
        self._hz = high_hz
        self._answered_s = self._key_s = self._wanted_s = -math.inf
        self._told_hz = 0.0

    @property
    def hz(self) -> float:
        """The rate that the scene needs, within the bounds."""
        return self._hz

    def answered(self, exit_name: str, trust: float | None, arrived_s: float) -> None:
        """Learn from an answer.

        Args:
            exit_name: Where the frame ended.
            trust: Score of the exit `track`; None where no tracks could answer.
            arrived_s: When its image came.
        """
        elapsed_s = max(arrived_s - self._answered_s, 0.0)
        self._answered_s = arrived_s
        if math.isfinite(elapsed_s):
            self._keys_hz *= math.exp(-elapsed_s / _MEMORY_S)
        if exit_name not in _EASY:
            lost = trust is None or trust < _LOST
            if lost and arrived_s - self._key_s < _SOON_S:
                self._keys_hz = max(self._keys_hz, self._high_hz / _PER_KEY)
            self._keys_hz += 1 / _MEMORY_S
            self._key_s = arrived_s
        self._hz = min(max(_PER_KEY * self._keys_hz, self._low_hz), self._high_hz)

    def wants(self, arrived_s: float) -> bool:
        """Whether the image that came now is needed; those that are come at the rate advised."""
        if self._hz >= self._high_hz:
            self._wanted_s = arrived_s
            return True
        period_s = 1 / self._hz
        if arrived_s < self._wanted_s + (1 - _EARLY) * period_s:
            return False
        self._wanted_s = max(self._wanted_s + period_s, arrived_s - period_s)
        return True

    def news(self) -> float | None:
        """The rate, where it is to be told: it differs from what was told before."""
        if abs(self._hz - self._told_hz) < _TOLD * self._told_hz:
            return None
        self._told_hz = self._hz
        return self._hz
