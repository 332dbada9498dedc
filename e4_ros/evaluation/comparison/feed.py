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

"""The frames that every block gets, at the camera's pace.

A recording is kept in memory, so that reading and decoding cost no arm anything, and each block
plays the same frames. A live camera gives each block others. Either way a network that is too slow
gets the newest frame, as on a robot, and what it did not get is counted.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Protocol

import numpy as np

from e4_ros.evaluation.comparison.timing import Clock

LONGEST_PERIOD_S = 10.0
"""A source that gives a frame less often has too few in a block to be measured."""

_MEMORY_SHARE = 0.25  # of what is free, for the frames of a block
_DEFAULT_PERIOD_S = 0.1  # of a source whose stamps say nothing


class FeedError(ValueError):
    """The source cannot be compared on; the message says what to do."""


@dataclass(frozen=True)
class Arrived:
    """A frame that is to be answered.

    Attributes:
        index: Its number in the block; a frame of the same number is the same frame in every block
            of a recording.
        frame: ``(H, W, 3)`` uint8 RGB.
        stamp_s: Seconds since the block began.
        due_s: When it arrived, by the clock.
    """

    index: int
    frame: np.ndarray
    stamp_s: float
    due_s: float


class Feed(Protocol):
    """Gives a block its frames.

    Attributes:
        name: Name of the source.
        period_s: Seconds between two frames.
        same_frames: Whether each block gets the same.
        notes: What is to be said of it, in sentences.
    """

    name: str
    period_s: float
    same_frames: bool
    notes: Sequence[str]

    def begin(self, clock: Clock) -> None:
        """A block begins now."""
        ...

    def next(self, clock: Clock, end_s: float) -> Arrived | None:
        """Wait for the newest frame that was not given out; None at the end of the block."""
        ...

    def close(self) -> None:
        """The comparison is over."""
        ...


class RecordedFeed(Feed):
    """Frames in memory, played at their pace; from the beginning again where a block is longer.

    Args:
        name: Name of the source.
        frames: The frames.
        period_s: Seconds between two.
        notes: What is to be said of them.
    """

    same_frames = True

    def __init__(
        self, name: str, frames: Sequence[np.ndarray], period_s: float, notes: Sequence[str] = ()
    ) -> None:
        if period_s > LONGEST_PERIOD_S:
            raise FeedError(
                f'{name} gives a frame every {period_s:.3g} s, too few in a block to measure; '
                '`--fps 5` plays it faster'
            )
        self.name, self.frames, self.period_s, self.notes = name, frames, period_s, notes
        self._began_s, self._next = 0.0, 0

    def begin(self, clock: Clock) -> None:
        """The first frame is there at once."""
        self._began_s, self._next = clock.now(), 0

    def next(self, clock: Clock, end_s: float) -> Arrived | None:
        """The newest that is due, or the next one when it is."""
        newest = int((clock.now() - self._began_s) / self.period_s + 1e-6)
        index = max(newest, self._next)
        due_s = self._began_s + index * self.period_s
        if due_s >= end_s - 1e-9:
            clock.sleep_until(end_s)
            return None
        clock.sleep_until(due_s)
        self._next = index + 1
        frame = self.frames[index % len(self.frames)]
        return Arrived(index, frame, index * self.period_s, due_s)

    def close(self) -> None:
        """Nothing to do."""


class LiveFeed(Feed):
    """A camera or a stream, read by a thread of its own.

    Args:
        name: Name of the source.
        stamped: Pairs of stamp and frame, endless.

    Raises:
        FeedError: the source gives too few frames.
    """

    same_frames = False

    def __init__(self, name: str, stamped: Iterable[tuple[float, np.ndarray]]) -> None:
        self.name = name
        self.notes: Sequence[str] = ()
        self._changed = threading.Condition()
        self._newest: tuple[int, np.ndarray, float] | None = None
        self._count, self._given, self._first = 0, -1, 0
        self._began_s = 0.0
        self._ended, self._closed = '', False
        self._thread = threading.Thread(target=self._read, args=(stamped,), daemon=True)
        self._thread.start()
        self.period_s = self._pace()

    def begin(self, clock: Clock) -> None:
        """Frames from now on."""
        with self._changed:
            self._began_s, self._given = clock.now(), self._count - 1
            self._first = self._count

    def next(self, clock: Clock, end_s: float) -> Arrived | None:
        """The newest frame.

        Raises:
            FeedError: the camera has ended, or sends nothing any more.
        """
        with self._changed:
            until_s = time.monotonic() + LONGEST_PERIOD_S
            while self._newest is None or self._newest[0] <= self._given:
                left_s = min(end_s - clock.now(), until_s - time.monotonic())
                if self._ended:
                    raise FeedError(f'{self.name}: {self._ended}')
                if clock.now() >= end_s:
                    return None
                if left_s <= 0:
                    raise FeedError(f'{self.name} sent nothing for {LONGEST_PERIOD_S:g} s')
                self._changed.wait(left_s)
            number, frame, arrived_s = self._newest
            if arrived_s >= end_s:
                return None
            self._given = number
        return Arrived(number - self._first, frame, arrived_s - self._began_s, arrived_s)

    def close(self) -> None:
        """Read no more."""
        self._closed = True

    def _read(self, stamped: Iterable[tuple[float, np.ndarray]]) -> None:
        try:
            for _, frame in stamped:
                if self._closed:
                    return
                with self._changed:
                    self._newest = (self._count, frame, time.monotonic())
                    self._count += 1
                    self._changed.notify_all()
            ended = 'the stream ended'
        except Exception as error:
            ended = str(error) or type(error).__name__
        with self._changed:
            self._ended = ended
            self._changed.notify_all()

    def _pace(self) -> float:
        """Seconds between two frames, by some of them."""
        arrivals: list[float] = []
        with self._changed:
            while len(arrivals) < 10:
                seen = self._count
                if not self._changed.wait_for(
                    lambda seen=seen: self._count > seen or bool(self._ended),  # type: ignore[misc]
                    LONGEST_PERIOD_S,
                ):
                    raise FeedError(
                        f'{self.name} gives less than a frame in {LONGEST_PERIOD_S:g} s, too few '
                        'in a block to measure; compare on a recording, and `--fps 5` plays it '
                        'faster'
                    )
                if self._ended:
                    raise FeedError(f'{self.name}: {self._ended}')
                arrivals.append(time.monotonic())
        return float(np.median(np.diff(arrivals[1:])))


def record(
    name: str,
    stamped: Iterable[tuple[float, np.ndarray]],
    block_s: float,
    fps: float | None = None,
    source_fps: float | None = None,
) -> RecordedFeed:
    """Keep the frames of a block, from the beginning of a recording.

    Args:
        name: Name of the source.
        stamped: Pairs of stamp in seconds and frame.
        block_s: Seconds of a block.
        fps: Frames a second to play them at; None: the recording's own pace.
        source_fps: Its own pace, where its container says one.

    Raises:
        FeedError: the recording is too slow.
        SourceError: it has no frames.
    """
    frames: list[np.ndarray] = []
    stamps: list[float] = []
    notes: list[str] = []
    rows = iter(stamped)
    budget = int(_MEMORY_SHARE * _available_bytes())
    early = [row for _, row in zip(range(5), rows, strict=False)]
    period_s = 1 / fps if fps else _period_s([stamp for stamp, _ in early], source_fps)
    wanted = int(np.ceil(block_s / period_s - 1e-6))
    for stamp_s, frame in chain(early, rows):
        frames.append(frame)
        stamps.append(stamp_s)
        budget -= frame.nbytes
        if len(frames) >= wanted or budget <= 0:
            break
    if len(frames) < wanted:
        why = 'memory holds no more' if budget <= 0 else 'the recording has no more'
        notes.append(
            f'A block plays {len(frames)} frames ({len(frames) * period_s:.1f} s) again and again: '
            f'{why}.'
        )
    return RecordedFeed(name, frames, period_s, notes)


def _available_bytes() -> int:
    """Memory that programs can have without swapping; caches count as free."""
    for line in Path('/proc/meminfo').read_text().splitlines():
        if line.startswith('MemAvailable:'):
            return 1024 * int(line.split()[1])
    raise AssertionError('Linux has said so since 3.14')


def _period_s(stamps: Sequence[float], source_fps: float | None) -> float:
    if source_fps:
        return 1 / source_fps
    steps = np.diff(stamps)
    steps = steps[steps > 0]
    return float(np.median(steps)) if len(steps) else _DEFAULT_PERIOD_S
