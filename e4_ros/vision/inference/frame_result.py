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

"""What an engine says of one frame, and the stopwatch that says how long each segment took."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from e4_ros.vision.detections import Detections

OnSegment = Callable[[int], None]


@dataclass(frozen=True)
class FrameResult:
    """The answer for one frame and how it came about.

    Attributes:
        detections: detections of the frame.
        exit: name of the exit that was taken.
        diversity: 0 to 1, how much the frame differs from what the stream has shown.
        gate_scores: exit → gate score, in the order of evaluation.
        segment_s: seconds of each segment that ran, in the order of ``engine.paths[exit]``.
        latency_s: seconds from the start of the computation to the detections.
    """

    detections: Detections
    exit: str
    diversity: float
    gate_scores: dict[str, float]
    segment_s: list[float]
    latency_s: float


class SegmentTimer:
    """Times segments and says when one begins; the first begins with the timer.

    Args:
        on_segment: function called with a segment's index when it begins.
    """

    def __init__(self, on_segment: OnSegment | None) -> None:
        self._marks = [time.perf_counter()]
        self._on_segment = on_segment

    def segment(self, index: int) -> None:
        """The segment of this index begins, and with it the one before it ends.

        Stepping the clocks for a segment is a part of it, so that no time of a frame is left out.
        """
        if index:
            self._marks.append(time.perf_counter())
        if self._on_segment is not None:
            self._on_segment(index)

    def behind(self) -> None:
        """Somebody else's segments begin, with a timer of their own; see `around`."""
        self._marks.append(time.perf_counter())

    def around(self, inner_s: Sequence[float]) -> tuple[list[float], float]:
        """Seconds of each segment, and of all, where all but the first were somebody else's.

        Args:
            inner_s: seconds of those; what came after them counts for the last.
        """
        (first, rest), total = self.stop()
        return [first, *inner_s[:-1], rest - sum(inner_s[:-1])], total

    def stop(self) -> tuple[list[float], float]:
        """Seconds of each segment, and of all."""
        marks = self._marks
        marks.append(time.perf_counter())
        return [after - before for before, after in pairwise(marks)], marks[-1] - marks[0]
