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

"""The last messages of a topic by their stamps: the one that belongs to an image.

`message_filters` pairs topics, too, but is not among the wheels, and knows nothing of a transform
that comes later than both.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

T = TypeVar('T')


class Stamped(Generic[T]):
    """Keeps the last few items; a stamp that goes back by more than a second empties it first.

    Args:
        most: How many are kept.
    """

    def __init__(self, most: int) -> None:
        self._items: deque[tuple[int, T]] = deque(maxlen=most)

    @property
    def newest_ns(self) -> int | None:
        """The newest stamp; None while there is nothing."""
        return max((stamp for stamp, _ in self._items), default=None)

    def add(self, stamp_ns: int, item: T) -> None:
        """Keep an item."""
        newest_ns = self.newest_ns
        if newest_ns is not None and stamp_ns < newest_ns - 10**9:
            self._items.clear()
        self._items.append((stamp_ns, item))

    def clear(self) -> None:
        """Keep nothing."""
        self._items.clear()

    def nearest(self, stamp_ns: int, within_ns: int) -> tuple[int, T] | None:
        """The item whose stamp is nearest, with that stamp; None where none is near enough."""
        found = min(self._items, key=lambda item: abs(item[0] - stamp_ns), default=None)
        return found if found is not None and abs(found[0] - stamp_ns) <= within_ns else None
