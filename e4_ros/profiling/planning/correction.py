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

"""What measured latency says of a cost table: how much longer each segment takes than it says.

Most numbers of a board file are guesses, and even a measured table is wrong on a warmer day. The
ratio of measured to expected seconds, though, is nearly the same at every operating point, so that
one that was seen corrects all of them; ALERT (Wan et al., USENIX ATC 2020) follows such a factor
for a whole network by a Kalman filter. Here each segment has its own, the median of its last
frames smoothed: one stall, a page fault or another process's burst, moves no median.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from e4_ros.profiling.planning.cost_table import CostTable, Floats
from e4_ros.profiling.planning.delays import play_segments
from e4_ros.profiling.planning.objective import SwitchCost

_WINDOW = 5  # frames whose median counts
_GAIN = 0.2  # of a new median once a segment is known
_SURE = 3  # frames after which a single one cannot have made the factor
_OFF_TABLE = 0.05  # how far a clock that was read back may lie from the table's
_MOST = math.log(32)  # beyond, something stood still


class Correction:
    """Factors by which segments take longer than a table says, learnt from a stream.

    Args:
        table: what is expected, at every operating point that segments may have.
        switch: how late clocks change.
    """

    def __init__(self, table: CostTable, switch: SwitchCost) -> None:
        self._table, self._switch = table, switch
        self._axes = [np.log(axis) for axis in table.axes_hz]
        devices = np.array(table.devices)
        self._devices = [devices == device for device in sorted(set(table.devices))]
        size = len(table.segments)
        self._logs = np.zeros(size)
        self._recent: list[deque[float]] = [deque(maxlen=_WINDOW) for _ in range(size)]
        self._medians = np.zeros(size, int)  # how many each factor is made of

    @property
    def factors(self) -> Floats:
        """Measured over expected seconds, ``(S,)``; 1 where nothing is known.

        A segment that has not run yet has the mean of those that ran on its device.
        """
        logs, seen = self._logs.copy(), self._medians > 0
        for here in self._devices:
            if (here & seen).any():
                logs[here & ~seen] = logs[here & seen].mean()
        return np.exp(logs)

    @property
    def sure(self) -> NDArray[np.bool_]:
        """Whether more than a frame or two speaks for each factor, ``(S,)``."""
        enough = self._medians >= _SURE
        for here in self._devices:
            if (enough & here).any():
                enough |= here & (self._medians == 0)
        return enough

    def observe(
        self,
        rows: Sequence[int],
        seconds: Sequence[float],
        points: Sequence[Mapping[str, int]],
        before: Mapping[str, int] | None,
        asked: Sequence[Mapping[str, int]] | None = None,
    ) -> None:
        """Learn from one frame.

        Where the clocks changed as they do with the delays of the board's file, a segment is
        compared with what it takes then; where they changed otherwise, only with what is too little
        or too much at either end.

        Args:
            rows: indices of the segments that ran, in order.
            seconds: how long each of them took.
            points: operating point that each of them ended with, domain → hertz.
            before: operating point that the first one began with; None: nobody knows.
            asked: operating point that the plan asks for each of them; None: nobody knows.
        """
        if not len(rows) == len(seconds) == len(points):
            return
        ends = [self._index(point) for point in points]
        began = None if before is None else self._index(before)
        played = self._play(rows, asked, began)
        if began is None and ends:  # the clocks of the first segment are unknown, not the others'
            rest = None if asked is None else asked[1:]
            played = [(math.nan, None), *self._play(rows[1:], rest, ends[0])]
        for row, taken_s, start, end, (expected_s, at) in zip(
            rows, seconds, [began, *ends], ends, played, strict=False
        ):
            if start is None or end is None or not 0 < taken_s < math.inf:
                continue
            known = float(self._logs[row])
            if start == end:
                log = math.log(taken_s / float(self._table.latency_s[row, end]))
            elif end == at:
                log = known + math.log(taken_s / expected_s)
            else:
                either_s = self._table.latency_s[row, [start, end]]
                least, most = np.log(taken_s / either_s.max()), np.log(taken_s / either_s.min())
                log = min(max(known, float(least)), float(most))
            self._add(row, min(max(log, -_MOST), _MOST))

    def expected_s(self, rows: Sequence[int], points: Sequence[Mapping[str, int]]) -> float:
        """Seconds of these segments at these points by what is known; NaN at unknown clocks."""
        total_s = 0.0
        for row, point in zip(rows, points, strict=True):
            index = self._index(point)
            if index is None:
                return math.nan
            total_s += math.exp(self._logs[row]) * float(self._table.latency_s[row, index])
        return total_s

    def catch_up(self) -> None:
        """Let the newest medians count alone: something has changed, and frames come late."""
        for row, recent in enumerate(self._recent):
            if recent:
                self._logs[row] = _median(recent)

    def _play(
        self,
        rows: Sequence[int],
        asked: Sequence[Mapping[str, int]] | None,
        began: int | None,
    ) -> list[tuple[float, int | None]]:
        """Seconds and last point of each segment, by what is known; NaN and None without a plan."""
        wanted = [] if asked is None else [self._index(point) for point in asked]
        known = [index for index in wanted if index is not None]
        if began is None or not known or len(known) != len(rows):
            return [(math.nan, None)] * len(rows)
        factors = np.exp(self._logs)
        played = play_segments(self._table, self._switch, rows, known, began, factors)
        return [(segment.latency_s, segment.point) for segment in played]

    def _add(self, row: int, log: float) -> None:
        self._recent[row].append(log)
        self._medians[row] += 1
        gain = max(1 / self._medians[row], _GAIN)
        self._logs[row] += gain * (_median(self._recent[row]) - self._logs[row])

    def _index(self, point: Mapping[str, int]) -> int | None:
        """Number of the table's nearest point; None where a clock is unknown or none of its own."""
        index = 0
        for name, axis, stride in zip(
            self._table.domains, self._axes, self._table.strides, strict=True
        ):
            hertz = point.get(name, 0)
            if hertz <= 0:
                return None
            off = np.abs(axis - math.log(hertz))
            nearest = int(off.argmin())
            if off[nearest] > _OFF_TABLE:
                return None
            index += nearest * int(stride)
        return index


def _median(recent: Sequence[float]) -> float:
    """The median; of an even number the one of the middle two that changes less."""
    ordered = sorted(recent)
    low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    return min(low, high, key=abs)
