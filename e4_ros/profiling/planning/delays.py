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

"""Simulation of one frame under a plan, with the stall and the delay of every clock change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from e4_ros.profiling.planning.cost_table import CostTable, Floats, Indices
from e4_ros.profiling.planning.objective import Problem, SwitchCost


@dataclass(frozen=True)
class PlayedSegment:
    """What became of one segment.

    Attributes:
        latency_s: seconds.
        energy_j: joules.
        point: index of the operating point that it ended with.
    """

    latency_s: float
    energy_j: float
    point: int


def play_segments(
    table: CostTable,
    switch: SwitchCost,
    rows: Sequence[int],
    points: Sequence[int] | Indices,
    began: int | None = None,
    factors: Sequence[float] | Floats | None = None,
) -> Iterator[PlayedSegment]:
    """Play segments one after the other.

    A change is requested when its segment begins, costs the stall, and takes effect after the
    domain's delay, wherever the frame is by then. A segment progresses at the rate of the clocks in
    effect.

    Args:
        table: cost table.
        switch: stall and delay of every domain.
        rows: indices of the segments that run, in order.
        points: index of the operating point that each of them asks for.
        began: index of the point in effect at the beginning; None: the first segment's.
        factors: times as long as the table says that each of the table's segments takes, ``(S,)``.
    """
    strides = [int(s) for s in table.strides]
    point = int(points[0]) if began is None else began
    clocks = table.coordinates[point].tolist()
    asked = list(clocks)
    pending: list[tuple[float, int, int]] = []  # when, domain, clock
    now_s = 0.0
    for row, wanted in zip(rows, points, strict=True):
        factor = 1.0 if factors is None else float(factors[row])
        left, stalled_s, began_s, energy_j = 1.0, 0.0, now_s, 0.0
        for d, clock in enumerate(table.coordinates[wanted].tolist()):
            if clock != asked[d]:
                asked[d] = clock
                pending.append((now_s + stalled_s + switch.effect_s[d], d, clock))
                stalled_s += switch.stall_s[d]
        left += stalled_s / (factor * float(table.latency_s[row, point]))
        pending.sort()
        while left > 1e-12:
            while pending and pending[0][0] <= now_s + 1e-12:
                _, d, clock = pending.pop(0)
                point += (clock - clocks[d]) * strides[d]
                clocks[d] = clock
            whole_s = factor * float(table.latency_s[row, point])
            step_s = left * whole_s
            if pending:
                step_s = min(step_s, pending[0][0] - now_s)
            now_s += step_s
            energy_j += factor * float(table.energy_j[row, point]) * step_s / whole_s
            left -= step_s / whole_s
        yield PlayedSegment(now_s - began_s, energy_j, point)


def play_frame(
    table: CostTable, switch: SwitchCost, rows: Sequence[int], points: Indices
) -> tuple[float, float]:
    """Latency (s) and energy (J) of a frame that runs the segments ``rows``.

    The first segment's clocks are in effect when the frame begins; see :func:`play_segments`.

    Args:
        table: cost table.
        switch: stall and delay of every domain.
        rows: indices of the segments that run, in order.
        points: index of the operating point of each segment of the table, ``(S,)``.
    """
    played = list(play_segments(table, switch, rows, [int(points[row]) for row in rows]))
    return sum(p.latency_s for p in played), sum(p.energy_j for p in played)


def slowest_path_s(problem: Problem, points: Indices) -> float:
    """Simulated latency in seconds of the slowest path, alone or right after another such frame.

    In the second case the first segment's clocks are requested only when the frame begins.
    """
    rows = problem.timed.nonzero()[0].tolist()
    alone_s, _ = play_frame(problem.table, problem.switch, rows, points)
    both_s, _ = play_frame(problem.table, problem.switch, rows * 2, points)
    return max(alone_s, both_s - alone_s)
