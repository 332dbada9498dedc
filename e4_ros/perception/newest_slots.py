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
"""

from __future__ import annotations

import math
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar('T')
_GAPS = 9  # between arrivals; their median is the period, whatever one pause or burst was


class _Slot(Generic[T]):
    """One camera's: the item that waits, when it came, and when the next is due."""

    def __init__(self) -> None:
        self.item: T | None = None
        self.arrived_s, self._taken_s = math.nan, -math.inf
        self._gaps_s: deque[float] = deque(maxlen=_GAPS)
        self._period_s = 0.0

    def put(self, item: T, now_s: float) -> T | None:
        if not math.isnan(self.arrived_s):
            self._gaps_s.append(now_s - self.arrived_s)
            self._period_s = statistics.median(self._gaps_s)
        self.arrived_s = now_s
        replaced, self.item = self.item, item
        return replaced

    def take(self, now_s: float) -> T | None:
        item, self.item = self.item, None
        self._taken_s = now_s
        return item

    @property
    def due_s(self) -> float:
        """When this camera's next item should be taken up; long ago for its first."""
        return self._taken_s + self._period_s


class NewestSlots(Generic[T]):
    """Holds at most one item of each stream: the newest. Safe to use from several threads.

    Args:
        streams: how many there are.
        now: time source in seconds.
    """

    def __init__(self, streams: int = 1, now: Callable[[], float] = time.monotonic) -> None:
        self._slots: list[_Slot[T]] = [_Slot() for _ in range(streams)]
        self._now = now
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
            replaced = self._slots[stream].put(item, self._now())
            self._changed.notify()
            return replaced

    @property
    def waiting(self) -> int:
        """Number of items that wait."""
        return sum(slot.item is not None for slot in self._slots)

    def take(self) -> T | None:
        """Wait for an item and remove the most urgent; None once the slots are closed."""
        with self._changed:
            self._changed.wait_for(lambda: self.waiting or self._closed)
            return self._most_urgent()

    def take_pair(self, within_s: float) -> list[T]:
        """Wait for an item, and a little for one more; remove both.

        Args:
            within_s: seconds from the first one's arrival that it waits for the second.

        Returns:
            One item or two, in the order in which they are to be worked on; none once the slots are
            closed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self.waiting or self._closed)
            first_s = self._now() if not self.waiting else self._next().arrived_s
            first = self._most_urgent()
            if first is None:
                return []
            left_s = first_s + within_s - self._now()
            self._changed.wait_for(lambda: self.waiting or self._closed, max(left_s, 0.0))
            second = self._most_urgent()
            return [first] if second is None else [first, second]

    def _next(self) -> _Slot[T]:
        full = (slot for slot in self._slots if slot.item is not None)
        return min(full, key=lambda slot: slot.due_s)

    def _most_urgent(self) -> T | None:
        return self._next().take(self._now()) if self.waiting else None

    def close(self) -> list[T]:
        """Let :meth:`take` return None from now on, and return the items nobody took."""
        with self._changed:
            self._closed = True
            left = [slot.item for slot in self._slots if slot.item is not None]
            for slot in self._slots:
                slot.item = None
            self._changed.notify_all()
            return left
