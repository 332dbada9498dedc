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

"""Events and clocks of a virtual board: commands take effect later, governors follow the load."""

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
    """The error that a kernel function returns, by its number (`errno`)."""
    return OSError(number, os.strerror(number))


def parse_number(text: str) -> int:
    """Number in a written text, as the kernel parses one.

    Raises:
        OSError: EINVAL: the text is not a number.
    """
    if not text.strip().isdecimal():
        raise refuse(errno.EINVAL)
    return int(text)


def always() -> bool:
    """Whether a file is there, for one that always is."""
    return True


@dataclass(frozen=True, slots=True)
class Attribute:
    """One file.

    Attributes:
        read: function that returns the content; None if the file cannot be read.
        write: function that handles a written text; None if the file cannot be written.
        present: function that says whether the file is there now.
        root_only: whether only root may read it.
    """

    read: Callable[[], object] | None
    write: Callable[[str], None] | None = None
    present: Callable[[], bool] = always
    root_only: bool = False


class EventQueue:
    """Events in order of time; between two of them nothing changes.

    Args:
        now: time source in seconds.
        flow: function called with the start and end of each interval without an event.

    Attributes:
        time_s: time up to which events have happened.
    """

    def __init__(self, now: Callable[[], float], flow: Callable[[float, float], None]) -> None:
        self._now = now
        self._flow = flow
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self.time_s = now()

    def after(self, delay_s: float, action: Callable[[], None]) -> None:
        """Let `action` happen `delay_s` seconds after `time_s`."""
        heapq.heappush(self._events, (self.time_s + delay_s, next(self._order), action))

    def advance(self) -> None:
        """Let everything happen that is due by now."""
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


class VirtualClock:
    """A clock whose commands take effect after a delay.

    Attributes:
        commanded_hz: frequency that software asked for last.
        hz: frequency that the hardware runs at.
    """

    def __init__(self, hz: int, effect_s: float, event_queue: EventQueue) -> None:
        self.commanded_hz = self.hz = hz
        self._effect_s = effect_s
        self._event_queue = event_queue

    def command(self, hz: int) -> None:
        """Ask for a frequency."""
        if hz != self.commanded_hz:
            self.commanded_hz = hz
            self._event_queue.after(self._effect_s, lambda: setattr(self, 'hz', hz))


def governed(governor: str, low: int, high: int, load: float) -> int:
    """The frequency that a kernel governor asks for, in the unit of the limits.

    Args:
        governor: name of the governor.
        low: lower limit.
        high: upper limit.
        load: busy share of the device, 0 to 1.
    """
    if governor == 'performance':
        return high
    if governor == 'powersave':
        return low
    return max(low, min(high, int(_HEADROOM * load * high)))


def at_least(table: Sequence[int], hz: int) -> int:
    """Lowest entry of an ascending table that is not below `hz`; the last if there is none."""
    return table[min(bisect_left(table, hz), len(table) - 1)]


def at_most(table: Sequence[int], hz: int) -> int:
    """Highest entry of an ascending table that is not above `hz`; the first if there is none."""
    return table[max(bisect_right(table, hz) - 1, 0)]


def within(table: Sequence[int], hz: int, low: int, high: int) -> int:
    """Entry at or above `hz` clamped to the limits, or below if none lies within the limits."""
    entry = at_least(table, max(low, min(high, hz)))
    return entry if entry <= high else at_most(table, high)
