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

"""The interface of every source of frames."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np

_log = logging.getLogger(__name__)


class SourceError(ValueError):
    """A source that cannot be read; the message says what to do."""


class Source(ABC):
    """An iterable of pairs of stamp in seconds and frame ``(H, W, 3)`` uint8 RGB.

    A frame that cannot be used is counted in `dropped` and described in `problems`, and the
    iteration continues. Both are reset by each iteration.
    """

    name: str
    """Name of the source in reports."""
    size: tuple[int, int] | None = None
    """(height, width) of the first frame, where known before reading."""
    fps: float | None = None
    """Frames per second, where known."""
    frame_count: int | None = None
    """Number of frames, where known."""
    repeatable: bool = True
    """Whether a second iteration gives the same frames; a camera's does not."""

    def __init__(self) -> None:
        self.dropped = 0
        self.problems: list[str] = []

    def __iter__(self) -> Iterator[tuple[float, np.ndarray]]:
        self.dropped = 0
        self.problems = []
        empty = True
        for stamped in self._frames():
            empty = False
            yield stamped
        if empty:
            reason = '; '.join(self.problems) or 'it holds no frames'
            raise SourceError(f'{self.name}: not one frame could be read ({reason})')

    @abstractmethod
    def _frames(self) -> Iterator[tuple[float, np.ndarray]]: ...

    def _report(self, problem: str) -> None:
        self.problems.append(problem)
        _log.warning('%s: %s', self.name, problem)

    def _drop(self, problem: str) -> None:
        self.dropped += 1
        self._report(problem)
