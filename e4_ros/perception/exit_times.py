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
"""What each exit takes on this machine, as its last answers have shown it."""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Mapping

_KEPT = 32
_OLDEST_S = 10.0  # what was slow while the machine was busy is forgotten
_QUANTILE = 0.9


class ExitTimes:
    """Seconds from taking an image up to its answer, by exit: the nine tenths' quantile of late.

    Not safe to use from several threads at once.
    """

    def __init__(self) -> None:
        self._took: defaultdict[str, deque[tuple[float, float]]] = defaultdict(
            lambda: deque(maxlen=_KEPT)
        )

    def add(self, exit_name: str, seconds: float, now_s: float) -> None:
        """An answer was given; what is not finite teaches nothing.

        Args:
            exit_name: where.
            seconds: what it took.
            now_s: when, on any clock that never jumps.
        """
        if not 0 <= seconds < math.inf:
            return
        took = self._took[exit_name]
        took.append((now_s, seconds))
        while len(took) > 1 and now_s - took[0][0] > _OLDEST_S:
            took.popleft()

    def seconds(self, exit_name: str) -> float:
        """What an answer there takes at most, nine times of ten; NaN before there was one."""
        took = sorted(seconds for _, seconds in self._took.get(exit_name, ()))
        return took[min(int(_QUANTILE * len(took)), len(took) - 1)] if took else math.nan

    def all(self) -> Mapping[str, float]:
        """Exit → the same, of those that have answered."""
        return {name: self.seconds(name) for name in list(self._took)}
