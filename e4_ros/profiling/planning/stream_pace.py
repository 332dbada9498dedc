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

"""How fast the images of a stream come, by their stamps."""

from __future__ import annotations

import statistics
from collections import deque

_FRAMES = 50
_FEWEST = 10  # steps that must be seen
_LONGEST_S = 60.0  # a longer step is no pace: the camera or the bag stood still


class StreamPace:
    """The median step between stamps: pauses, jumps and lost frames do not move it."""

    def __init__(self) -> None:
        self._stamp_s: float | None = None
        self._steps: deque[float] = deque(maxlen=_FRAMES)

    def observe(self, stamp_s: float) -> None:
        """An image that was taken at ``stamp_s``, in seconds."""
        before, self._stamp_s = self._stamp_s, stamp_s
        if before is not None and 0 < stamp_s - before <= _LONGEST_S:
            self._steps.append(stamp_s - before)

    @property
    def period_s(self) -> float:
        """Seconds from one image to the next; 0 while that is not known."""
        return statistics.median(self._steps) if len(self._steps) >= _FEWEST else 0.0
