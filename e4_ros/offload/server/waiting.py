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

"""The queue of an edge server: the earliest deadline comes first, what is over never runs."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

_Item = TypeVar('_Item')


@dataclass(order=True)
class _Waiting(Generic[_Item]):
    deadline_s: float
    number: int  # of two with one deadline the first that came
    key: str = field(compare=False)
    item: _Item = field(compare=False)


class EarliestFirst(Generic[_Item]):
    """Requests that wait, for several threads that take them.

    Args:
        most: how many may wait.
        now: time source of the deadlines, in seconds.
    """

    def __init__(self, most: int, now: Callable[[], float]):
        self._most, self._now = most, now
        self._heap: list[_Waiting[_Item]] = []
        self._count, self._closed = 0, False
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return len(self._heap)

    def put(self, item: _Item, key: str, deadline_s: float) -> bool:
        """Let something wait.

        Args:
            item: the request.
            key: requests of one key can be computed together.
            deadline_s: when it is over.

        Returns:
            False where no more may wait.
        """
        with self._changed:
            if self._closed or len(self._heap) >= self._most:
                return False
            self._count += 1
            heapq.heappush(self._heap, _Waiting(deadline_s, self._count, key, item))
            self._changed.notify()
        return True

    def take(self, largest: Callable[[str], int]) -> tuple[list[_Item], list[_Item]] | None:
        """Wait for what is to be done next.

        Args:
            largest: how many requests of a key are computed at once.

        Returns:
            Requests of one key, the earliest deadline first, and those that are over; one of the
            two may be empty. None once the queue is closed.
        """
        with self._changed:
            while not self._heap and not self._closed:
                self._changed.wait()
            if self._closed:
                return None
            over, now = [], self._now()
            while self._heap and self._heap[0].deadline_s <= now:
                over.append(heapq.heappop(self._heap).item)
            if not self._heap:
                return [], over
            first = heapq.heappop(self._heap)
            batch, rest = [first.item], []
            limit = max(1, largest(first.key))
            while self._heap and len(batch) < limit:
                other = heapq.heappop(self._heap)
                if other.key == first.key:
                    batch.append(other.item)
                else:
                    rest.append(other)
            for other in rest:
                heapq.heappush(self._heap, other)
            return batch, over

    def close(self) -> list[_Item]:
        """Let nobody wait any more; those who take get None from now on.

        Returns:
            What still waited.
        """
        with self._changed:
            self._closed = True
            left, self._heap = [each.item for each in self._heap], []
            self._changed.notify_all()
        return left
