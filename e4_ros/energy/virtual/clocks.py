"""Time and clocks of a virtual board: commands take effect later, and load moves the governors."""

from __future__ import annotations

import errno
import heapq
import itertools
import os
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_HEADROOM = 1.25
"""schedutil and its kin aim at a clock at which the load would be 80 %."""


def refuse(number: int) -> OSError:
    """The error a kernel function ends with."""
    return OSError(number, os.strerror(number))


def parse_number(text: str) -> int:
    """Number in a write, as the kernel parses one.

    Raises:
        OSError: EINVAL, for anything else.
    """
    if not text.strip().isdecimal():
        raise refuse(errno.EINVAL)
    return int(text)


def always() -> bool:
    """A file that is always there."""
    return True


@dataclass(frozen=True, slots=True)
class Attribute:
    """One file: how it reads, what a write does, and whether it is there at the moment."""

    read: Callable[[], object] | None
    write: Callable[[str], None] | None = None
    present: Callable[[], bool] = always
    root_only: bool = False


class Timeline:
    """Events in order of time; between two of them nothing changes.

    Args:
        now: the clock, in seconds.
        flow: called with the start and end of each quiet interval.
    """

    def __init__(self, now: Callable[[], float], flow: Callable[[float, float], None]) -> None:
        self._now = now
        self._flow = flow
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self.time_s = now()

    def after(self, delay_s: float, action: Callable[[], None]) -> None:
        """Let `action` happen `delay_s` from the moment that the timeline has reached."""
        heapq.heappush(self._events, (self.time_s + delay_s, next(self._order), action))

    def advance(self) -> None:
        """Catch up with the clock."""
        end = self._now()
        while self._events and self._events[0][0] <= end:
            time_s, _, action = heapq.heappop(self._events)
            self._move(time_s)
            action()
        self._move(end)

    def _move(self, time_s: float) -> None:
        if time_s > self.time_s:
            self._flow(self.time_s, time_s)
            self.time_s = time_s


class Clock:
    """A clock whose commands take effect after a delay.

    Attributes:
        commanded_hz: what software asked for last.
        hz: what the hardware runs at.
    """

    def __init__(self, hz: int, effect_s: float, timeline: Timeline) -> None:
        self.commanded_hz = self.hz = hz
        self._effect_s = effect_s
        self._timeline = timeline

    def command(self, hz: int) -> None:
        """Ask for a frequency."""
        if hz != self.commanded_hz:
            self.commanded_hz = hz
            self._timeline.after(self._effect_s, lambda: setattr(self, 'hz', hz))


def governed(governor: str, low: int, high: int, load: float) -> int:
    """What a kernel governor asks for between two limits at a load of 0 to 1."""
    if governor == 'performance':
        return high
    if governor == 'powersave':
        return low
    return max(low, min(high, int(_HEADROOM * load * high)))


def at_least(table: Sequence[int], hz: int) -> int:
    """Lowest entry of an ascending table that is not below `hz`; its end if there is none."""
    return table[min(bisect_left(table, hz), len(table) - 1)]


def at_most(table: Sequence[int], hz: int) -> int:
    """Highest entry of an ascending table that is not above `hz`; its start if there is none."""
    return table[max(bisect_right(table, hz) - 1, 0)]


def within(table: Sequence[int], hz: int, low: int, high: int) -> int:
    """Entry for a target clamped to limits: the next above, unless that leaves the limits."""
    entry = at_least(table, max(low, min(high, hz)))
    return entry if entry <= high else at_most(table, high)
