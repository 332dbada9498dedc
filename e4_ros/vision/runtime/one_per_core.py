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

"""Work on many frames: a copy of what computes on each core, each with one thread.

Threads within one operation wait for each other at every operation, and long on a busy machine.
Frames need not wait for each other. (Measured with the pedestrian detector on two busy cores: 11 ms
of a core's time for a frame by a session of one thread, 21 by one of two.)
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Generic, TypeVar

Worker = TypeVar('Worker')
Item = TypeVar('Item')
Result = TypeVar('Result')

_MOST = 8  # copies; each takes memory


def cores() -> int:
    """Number of cores that this process may use, at most eight."""
    return min(len(os.sched_getaffinity(0)), _MOST)


class OnePerCore(Generic[Worker]):
    """Copies that serve one item at a time each; results come in the order of the items.

    What computes must release the GIL, as ONNX Runtime, OpenCV and torch do.

    Args:
        make: function that makes a copy.
        count: number of copies; None for one per core.

    Attributes:
        copies: the copies.
    """

    def __init__(self, make: Callable[[], Worker], count: int | None = None):
        self.copies = [make() for _ in range(count or cores())]
        self._idle: SimpleQueue[Worker] = SimpleQueue()
        for copy in self.copies:
            self._idle.put(copy)

    def map(
        self, function: Callable[[Worker, Item], Result], items: Iterable[Item]
    ) -> Iterator[Result]:
        """Results of all items, in order; few items are taken before they are needed.

        Args:
            function: function of a copy and an item; it runs in another thread.
            items: may be endless.
        """
        ahead = 2 * len(self.copies)
        with ThreadPoolExecutor(len(self.copies)) as pool:
            begun: deque[Future[Result]] = deque()
            try:
                for item in items:
                    begun.append(pool.submit(self._serve, function, item))
                    if len(begun) > ahead:
                        yield begun.popleft().result()
                while begun:
                    yield begun.popleft().result()
            finally:
                for left in begun:
                    left.cancel()

    def _serve(self, function: Callable[[Worker, Item], Result], item: Item) -> Result:
        copy = self._idle.get()
        try:
            return function(copy, item)
        finally:
            self._idle.put(copy)
