"""Clocks that stay below what a plan asks for: heat, or a power mode that somebody changed.

The kernel clamps without a word; what was asked for and what was read back tell. A frame or two
prove nothing, since a clock changes late. After a while the whole table is worth another try.
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
        frames: a domain is held back when it falls short in so many frames in a row.
        retry_s: seconds after which a ceiling is lifted; doubled each time that was in vain.
        now_s: a clock that never jumps.
    """

    def __init__(
        self,
        frames: int = PATIENCE_FRAMES,
        retry_s: float = RETRY_S,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.highest_hz: dict[str, int] = {}
        self._frames, self._first_s, self._now_s = frames, retry_s, now_s
        self._short: dict[str, tuple[int, int]] = {}  # frames in a row, highest clock in them
        self._retry_s = self._lift_s = 0.0

    def observe(self, asked: Mapping[str, int], got: Mapping[str, int]) -> bool:
        """Compare the clocks of a segment; whether :attr:`highest_hz` has changed.

        Args:
            asked: domain → hertz that the plan wants.
            got: domain → hertz as read back; 0 or missing: not known.
        """
        changed = self._lift()
        for domain, wanted in asked.items():
            now = got.get(domain, 0)
            if now <= 0:
                continue
            if now >= wanted * (1 - _TOLERANCE):
                self._short.pop(domain, None)
                continue
            count, best = self._short.get(domain, (0, 0))
            self._short[domain] = count + 1, max(best, now)
            if count + 1 >= self._frames:
                del self._short[domain]
                self.highest_hz[domain] = round(max(best, now) * (1 + _TOLERANCE))
                self._wait()
                changed = True
        return changed

    def _wait(self) -> None:
        now_s = self._now_s()
        if now_s < self._lift_s:
            return  # another domain's ceiling is waiting already
        again = now_s < self._lift_s + self._retry_s
        self._retry_s = min(2 * self._retry_s, LONGEST_RETRY_S) if again else self._first_s
        self._lift_s = now_s + self._retry_s

    def _lift(self) -> bool:
        if not self.highest_hz or self._now_s() < self._lift_s:
            return False
        self.highest_hz.clear()
        self._short.clear()
        return True
