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

"""How much shorter than the deadline a plan must be so that hardly a frame is late.

A plan may use its deadline up to the last microsecond, and times scatter. The margin grows with
every late frame that the corrected costs do not explain and shrinks a little with every other, so
that in the long run no more than one frame in two hundred is late, however times scatter (adaptive
conformal inference: Gibbs and Candès, arXiv 2106.00170). Governors of phones do alike: boost at
once, relax slowly (Android's performance hints).
"""

from __future__ import annotations

import math
from collections import deque

WANTED = 0.005
"""Share of late frames, in the long run, that the margin aims at."""

_STEP = 0.1  # by which a late frame makes the margin larger, in logarithms
_LARGEST = math.log(2.0)
_RECENT = 10  # frames
_ALARM = 2  # late ones among them


class Lateness:
    """Counts late frames.

    Attributes:
        share: share of late frames among the last hundred or so, 0 to 1.
    """

    def __init__(self) -> None:
        self.share = 0.0
        self._log_margin = 0.0
        self._recent: deque[bool] = deque(maxlen=_RECENT)

    @property
    def margin(self) -> float:
        """What the deadline is to be divided by, 1 to 2."""
        return math.exp(self._log_margin)

    @property
    def alarm(self) -> bool:
        """Whether late frames are more than an accident."""
        return sum(self._recent) >= _ALARM

    def observe(self, late: bool, explained: bool) -> None:
        """Count a frame.

        Args:
            late: whether it took longer than the deadline.
            explained: whether a plan by corrected costs, or no plan at all, would mend that.
        """
        self._recent.append(late)
        self.share += (late - self.share) / 100
        more = (late and not explained) - WANTED
        self._log_margin = min(max(self._log_margin + _STEP * more, 0.0), _LARGEST)

    def answered(self) -> None:
        """Clocks were raised; what was late before says nothing of them."""
        self._recent.clear()
