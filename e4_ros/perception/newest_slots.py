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

"""A slot for each camera, which keeps its newest image, and whose turn it is.

A camera does not wait for a network. What cannot be processed in time is replaced by what came
after it, so the delay never grows, and whoever fills a slot learns what was replaced.

Several cameras share the network by deadlines. An image is due when its camera's last one was taken
up and the camera's period, learnt from arrivals, has passed; the most overdue camera is next. Where
there is too much to do all cameras are late by the same time: at equal rates their shares are
equal, a slow camera misses fewer of its images than a fast one, and nobody starves. (Deadlines that
count from the arrival of the newest image would starve whoever happens to send just after the
others: each newer image puts them off.)

Where cameras have service levels, `service_levels` takes the place of that order.
"""

from __future__ import annotations

import math
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

T = TypeVar('T')
_GAPS = 9  # between arrivals; their median is the period, whatever one pause or burst was


@dataclass(frozen=True, slots=True)
class Waiting:
    """An item that waits for its turn.

    Attributes:
        stream: whose it is.
        arrived_s: when it came.
        due_s: when one period of its stream has passed since the last one was taken up.
        period_s: seconds from item to item of the stream; 0 where unknown.
    """

    stream: int
    arrived_s: float
    due_s: float = -math.inf
    period_s: float = 0.0


class Turns(Protocol):
    """Says whose turn it is."""

    def keeps(self, stream: int) -> int:
        """How many items of a stream may wait; 1: the newest replaces the one before."""
        ...

    def choose(self, waiting: Sequence[Waiting], now_s: float) -> tuple[int | None, list[int]]:
        """Look at all that waits.

        Args:
            waiting: one or more; those of a stream in order of arrival.
            now_s: the time.

        Returns:
            The stream whose oldest item is next, or None where none is to be worked on; and for
            each item to be dropped before that its stream, the oldest of a stream first.
        """
        ...


class ByPeriod:
    """The most overdue by its own period is next; nothing is dropped."""

    def keeps(self, stream: int) -> int:
        """The newest alone."""
        return 1

    def choose(self, waiting: Sequence[Waiting], now_s: float) -> tuple[int | None, list[int]]:
        """See `Turns`."""
        return min(waiting, key=lambda each: each.due_s).stream, []


class _Slot(Generic[T]):
    """One camera's: the items that wait, with their arrivals, and when the next is due."""

    def __init__(self) -> None:
        self.items: deque[tuple[T, float]] = deque()
        self._arrived_s, self._taken_s = math.nan, -math.inf
        self._gaps_s: deque[float] = deque(maxlen=_GAPS)
        self.period_s = 0.0

    def put(self, item: T, now_s: float, most: int) -> T | None:
        if not math.isnan(self._arrived_s):
            self._gaps_s.append(now_s - self._arrived_s)
            self.period_s = statistics.median(self._gaps_s)
        self._arrived_s = now_s
        replaced = self.items.popleft()[0] if len(self.items) >= most else None
        self.items.append((item, now_s))
        return replaced

    def take(self, now_s: float) -> tuple[T, float]:
        """The oldest item and when it came."""
        self._taken_s = now_s
        return self.drop()

    def drop(self) -> tuple[T, float]:
        """The same without a turn."""
        return self.items.popleft()

    @property
    def due_s(self) -> float:
        """When the next item should be taken up; long ago for the first."""
        return self._taken_s + self.period_s


class NewestSlots(Generic[T]):
    """Holds the newest item of each stream, or a few. Safe to use from several threads.

    Args:
        streams: how many there are.
        now: time source in seconds.
        turns: says whose turn it is.
        late: gets the items that `turns` drops.
    """

    def __init__(
        self,
        streams: int = 1,
        now: Callable[[], float] = time.monotonic,
        turns: Turns | None = None,
        late: Callable[[T], None] = lambda item: None,
    ) -> None:
        self._slots: list[_Slot[T]] = [_Slot() for _ in range(streams)]
        self._now, self._turns, self._late = now, turns or ByPeriod(), late
        self._closed = False
        self._changed = threading.Condition()

    def put(self, item: T, stream: int = 0) -> T | None:
        """Store ``item``.

        Returns:
            The item that will not be taken: the one replaced, ``item`` itself when the slots are
            closed, or None.
        """
        with self._changed:
            if self._closed:
                return item
            most = self._turns.keeps(stream)
            replaced = self._slots[stream].put(item, self._now(), most)
            self._changed.notify()
            return replaced

    @property
    def waiting(self) -> int:
        """Number of items that wait."""
        return sum(len(slot.items) for slot in self._slots)

    def take(self) -> T | None:
        """Wait for an item and remove the most urgent; None once the slots are closed."""
        with self._changed:
            found = self._wait()
            return None if found is None else found[0]

    def take_pair(self, within_s: float) -> list[T]:
        """Wait for an item, and a little for one more; remove both.

        Args:
            within_s: seconds from the first one's arrival that it waits for the second.

        Returns:
            One item or two, in the order in which they are to be worked on; none once the slots are
            closed.
        """
        with self._changed:
            found = self._wait()
            if found is None:
                return []
            first, arrived_s = found
            left_s = arrived_s + within_s - self._now()
            self._changed.wait_for(lambda: self.waiting or self._closed, max(left_s, 0.0))
            second = self._next() if self.waiting else None
            return [first] if second is None else [first, second[0]]

    def poll(self) -> T | None:
        """Remove the most urgent item, without waiting; None where there is none to work on."""
        with self._changed:
            found = self._next() if self.waiting else None
            return None if found is None else found[0]

    def _wait(self) -> tuple[T, float] | None:
        while True:
            self._changed.wait_for(lambda: self.waiting or self._closed)
            if not self.waiting:
                return None
            found = self._next()
            if found is not None:
                return found

    def _next(self) -> tuple[T, float] | None:
        """The most urgent item and when it came, removed; None where all were dropped."""
        now_s = self._now()
        stream, dropped = self._turns.choose(self.look(), now_s)
        for each in dropped:
            self._late(self._slots[each].drop()[0])
        return None if stream is None else self._slots[stream].take(now_s)

    def look(self) -> list[Waiting]:
        """What waits now."""
        return [
            Waiting(stream, arrived_s, slot.due_s, slot.period_s)
            for stream, slot in enumerate(self._slots)
            for _, arrived_s in list(slot.items)
        ]

    def periods_s(self) -> list[float]:
        """Seconds from item to item of each stream, as learnt; 0 where unknown."""
        return [slot.period_s for slot in self._slots]

    def close(self) -> list[T]:
        """Let :meth:`take` return None from now on, and return the items nobody took."""
        with self._changed:
            self._closed = True
            left = [item for slot in self._slots for item, _ in slot.items]
            for slot in self._slots:
                slot.items.clear()
            self._changed.notify_all()
            return left
