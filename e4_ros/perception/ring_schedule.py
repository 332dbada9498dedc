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

"""Which frames of a stream a ring keeps: runs of neighbours, with pauses between them."""

from __future__ import annotations

import math

RUN_S = 2.0
"""Seconds of consecutive frames in a run."""

DEFAULT_SHARE = 0.25
"""Of the time that goes into a ring."""


class RunSchedule:
    """Which frames of a stream are kept: runs of `RUN_S` seconds, with pauses between them.

    Args:
        share: share of the time that is kept, in (0, 1]; 1 keeps every frame.

    Raises:
        ValueError: the share is out of range.
    """

    def __init__(self, share: float) -> None:
        if not 0 < share <= 1:
            raise ValueError(f'the share of frames that a ring keeps lies in (0, 1], got {share}')
        self._period_s = RUN_S / share
        self._begun_s = self._last_s = -math.inf
        self._shape: tuple[int, ...] = ()

    def keeps(self, stamp_s: float, shape: tuple[int, ...]) -> tuple[bool, bool]:
        """Whether a frame is kept, and whether it begins a run.

        Args:
            stamp_s: stamp of the frame in seconds; one that is not above the last frame's begins a
                new stream.
            shape: shape of the frame; so does another one.
        """
        same = stamp_s > self._last_s and shape == self._shape
        self._last_s, self._shape = stamp_s, shape
        if not same or stamp_s - self._begun_s >= self._period_s - 1e-6:
            self._begun_s = stamp_s
            return True, True
        return stamp_s - self._begun_s < RUN_S - 1e-6, False
