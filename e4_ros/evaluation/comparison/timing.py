"""The time that a comparison runs in: this machine's, or a simulated board's."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """A time source that can be waited on."""

    def now(self) -> float:
        """Seconds since some moment; never jumps."""
        ...

    def sleep_until(self, time_s: float) -> None:
        """Wait; returns at once where that moment has passed."""
        ...


class RealClock(Clock):
    """The time of this machine."""

    def now(self) -> float:
        """Seconds of the monotonic clock."""
        return time.monotonic()

    def sleep_until(self, time_s: float) -> None:
        """Sleep until then."""
        left_s = time_s - time.monotonic()
        if left_s > 0:
            time.sleep(left_s)
