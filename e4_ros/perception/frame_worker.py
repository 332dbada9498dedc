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

"""The one thread that works on the newest items of all streams, one at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from e4_ros.perception.newest_slots import NewestSlots, Turns, Waiting

T = TypeVar('T')


class FrameWorker(Generic[T]):
    """Runs ``work`` on the newest items in a thread of its own, the most urgent first.

    ``work`` handles its own errors; one that escapes goes to ``failed`` and the thread goes on.

    Args:
        work: does it, in that thread.
        dropped: gets every item that is not worked on.
        failed: gets errors that escape.
        streams: how many streams items come from; of each the newest waits. See `NewestSlots`.
        pair_within_s: seconds that an item may wait for the next, for both to be worked on back to
            back: half as many pauses, twice as long, in which a board may sleep deeper. 0: none
            waits.
        turns: says whose turn it is; the most overdue by its own period where it is None.
        late: gets the items that ``turns`` drops.
    """

    def __init__(
        self,
        work: Callable[[T], None],
        dropped: Callable[[T], None],
        failed: Callable[[Exception], None],
        streams: int = 1,
        pair_within_s: float = 0.0,
        turns: Turns | None = None,
        late: Callable[[T], None] | None = None,
    ) -> None:
        self._work = work
        self._dropped = dropped
        self._failed, self._pair_within_s = failed, pair_within_s
        self._slots: NewestSlots[T] = NewestSlots(streams, turns=turns, late=late or dropped)
        self._thread = threading.Thread(target=self._run, name='frame-worker', daemon=True)
        self._thread.start()

    def submit(self, item: T, stream: int = 0) -> None:
        """Hand over a stream's item without waiting; ``dropped`` gets the one it replaces."""
        replaced = self._slots.put(item, stream)
        if replaced is not None:
            self._dropped(replaced)

    @property
    def waiting(self) -> int:
        """Number of items that wait for their turn."""
        return self._slots.waiting

    def look(self) -> list[Waiting]:
        """What waits for its turn."""
        return self._slots.look()

    def periods_s(self) -> list[float]:
        """Seconds from item to item of each stream; 0 where unknown."""
        return self._slots.periods_s()

    def stop(self, timeout_s: float = 10.0) -> bool:
        """Finish the item in work, drop those that wait, end the thread.

        Returns:
            False when the thread was still busy after ``timeout_s``.
        """
        for waiting in self._slots.close():
            self._dropped(waiting)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while items := self._take():
            for item in items:
                try:
                    self._work(item)
                except Exception as error:
                    self._failed(error)

    def _take(self) -> list[T]:
        if self._pair_within_s:
            return self._slots.take_pair(self._pair_within_s)
        item = self._slots.take()
        return [] if item is None else [item]
