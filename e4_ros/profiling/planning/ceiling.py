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

"""Clocks that stay below a plan's: heat, or a power mode that somebody changed.

The kernel clamps silently; only the frequency that is read back shows it. One or two frames prove
nothing, since a clock changes late. After some time the whole table is tried again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

PATIENCE_FRAMES = 10
RETRY_S = 30.0
LONGEST_RETRY_S = 600.0
_TOLERANCE = 0.02  # a clock as the hardware counts it is a little off its table


class Ceiling:
    """The highest clock that each domain reaches.

    Args:
        frames: number of frames in a row in which a domain must fall short.
        retry_s: seconds after which a ceiling is lifted; doubled each time that it returns.
        now: monotonic time source in seconds.

    Attributes:
        highest_hz: domain → highest frequency that it reaches, in hertz; empty without a ceiling.
    """

    def __init__(
        self,
        frames: int = PATIENCE_FRAMES,
        retry_s: float = RETRY_S,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.highest_hz: dict[str, int] = {}
        self._frames, self._first_s, self._now = frames, retry_s, now
        self._short: dict[str, tuple[int, int]] = {}  # frames in a row, highest clock in them
        self._retry_s = self._lift_s = 0.0

    def observe(self, asked: Mapping[str, int], got: Mapping[str, int]) -> bool:
        """Compare the clocks of a segment with its operating point.

        Args:
            asked: domain → frequency of the plan in hertz.
            got: domain → frequency that was read back; 0 or missing where it is not known.

        Returns:
            Whether :attr:`highest_hz` has changed.
        """
        changed = self._lift()
        for domain, wanted in asked.items():
            hertz = got.get(domain, 0)
            if hertz <= 0:
                continue
            if hertz >= wanted * (1 - _TOLERANCE):
                self._short.pop(domain, None)
                continue
            count, best = self._short.get(domain, (0, 0))
            self._short[domain] = count + 1, max(best, hertz)
            if count + 1 >= self._frames:
                del self._short[domain]
                self.highest_hz[domain] = round(max(best, hertz) * (1 + _TOLERANCE))
                self._wait()
                changed = True
        return changed

    def _wait(self) -> None:
        now_s = self._now()
        if now_s < self._lift_s:
            return  # another domain's ceiling waits already
        again = now_s < self._lift_s + self._retry_s
        self._retry_s = min(2 * self._retry_s, LONGEST_RETRY_S) if again else self._first_s
        self._lift_s = now_s + self._retry_s

    def _lift(self) -> bool:
        if not self.highest_hz or self._now() < self._lift_s:
            return False
        self.highest_hz.clear()
        self._short.clear()
        return True
