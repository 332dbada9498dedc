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

"""The camera's pace in a planning problem: what the board draws between two frames, and the bound.

Beside a stream that mostly waits, a plan that counts frames alone is not the cheapest one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from e4_ros.energy.board_model import BoardModel
from e4_ros.profiling.planning.cost_table import CostTable, Floats, Indices
from e4_ros.profiling.planning.objective import Problem, with_pause
from e4_ros.profiling.planning.planner import search, to_plan
from e4_ros.profiling.planning.search import SearchResult

OF_PERIOD = 0.9
"""Share of the period that a frame may take: frames do not arrive exactly on time."""


class Waits:
    """What a board draws while it waits, at every point of a table; remembered.

    Args:
        model: the board.
        table: whose points these are.
    """

    def __init__(self, model: BoardModel, table: CostTable) -> None:
        self.model, self.table = model, table
        self._watts: dict[int, Floats] = {}

    def watts(self, wait_s: float) -> Floats:
        """Watts at every point, ``(P,)``, in waits of this many seconds."""
        depth = sum(wait_s >= length_s for length_s in self.model.wait_lengths_s)
        if depth not in self._watts:
            points = [self.table.point(p) for p in range(len(self.table.coordinates))]
            self._watts[depth] = self.model.waiting_w(points, wait_s)
        return self._watts[depth]


class Counted(NamedTuple):
    """A problem that counts waits, and the plan that it was counted for.

    Attributes:
        problem: frames and waits, of the energy above the least idle power.
        found: the cheapest plan.
        pause_s: mean time in seconds from its answer to the next frame.
    """

    problem: Problem
    found: SearchResult
    pause_s: float


def count_waits(
    frames: Problem, mean_s: Callable[[Indices], float], period_s: float, waits: Waits
) -> Counted | None:
    """Count the waits that the cheapest plan leaves.

    The longer a wait, the deeper a board may sleep, so that hurrying can be cheaper than stretching
    frames. For each depth of sleep a plan is searched that counts on it; that one is the cheapest
    which costs least with the wait that it really leaves.

    Args:
        frames: planning problem of frames without waits.
        mean_s: mean seconds of a frame under a plan.
        period_s: seconds from one frame to the next.
        waits: what the waiting board draws.

    Returns:
        None where no plan leaves a wait.
    """
    best: tuple[float, Counted] | None = None
    start = search(frames)
    for length_s in waits.model.wait_lengths_s:
        found, counted = start, frames
        for _ in range(2):  # a plan changes the waits that it should have counted
            pause_s = period_s - mean_s(found.points)
            if pause_s <= 0:
                break
            counted = with_pause(frames, waits.watts(length_s), pause_s)
            found = search(counted)
        pause_s = period_s - mean_s(found.points)
        if counted is frames or pause_s <= 0:
            continue
        asleep_w = float(waits.watts(pause_s)[found.points[0]])
        joules = frames.cost(found.points)[1] + asleep_w * pause_s
        if best is None or joules < best[0]:
            best = joules, Counted(counted, found, pause_s)
    return None if best is None else best[1]


@dataclass(frozen=True)
class Paced:
    """A problem at a pace.

    Attributes:
        frames: the frames alone, within the time that the pace leaves them.
        problem: the same with the waits, of the energy above the least idle power.
        pause_s: mean time in seconds from an answer to the next frame.
    """

    frames: Problem
    problem: Problem
    pause_s: float


def at_pace(
    problem: Problem,
    exit_paths: Mapping[str, Sequence[int]],
    exit_shares: Mapping[str, float],
    period_s: float,
    model: BoardModel | None,
    bound: bool,
) -> Paced:
    """Count the waits that a good plan leaves.

    Args:
        problem: planning problem of frames without waits.
        exit_paths: exit → indices of the segments that run on the way to it.
        exit_shares: exit → share (or count) of the frames that stop there.
        period_s: seconds from one frame to the next; 0: nobody knows, and nothing changes.
        model: says what the waiting board draws; None: nobody knows, and the waits do not count.
        bound: whether a plan has to be done before the next frame, as nobody gave a deadline.
    """
    if period_s <= 0:
        return Paced(problem, problem, 0.0)
    frames = problem
    if bound:
        longest_s = max(min(problem.deadline_s, OF_PERIOD * period_s), problem.fastest_s)
        frames = replace(problem, deadline_s=longest_s)
    if model is None:
        return Paced(frames, frames, 0.0)
    total = sum(exit_shares.values())

    def mean_s(points: Indices) -> float:
        paths = to_plan(frames, exit_paths, points).paths
        return sum(exit_shares.get(e, 0.0) / total * p.expected_latency_s for e, p in paths.items())

    counted = count_waits(frames, mean_s, period_s, Waits(model, frames.table))
    if counted is None:
        return Paced(frames, frames, 0.0)
    return Paced(frames, counted.problem, counted.pause_s)


def lowest(table: CostTable) -> dict[str, int]:
    """The lowest clocks of a table, at which governors wait."""
    return {name: axis[0] for name, axis in zip(table.domains, table.axes_hz, strict=True)}


def governed_cost(
    paced: Paced, latency_s: float, energy_j: float, mean_s: float, idle_w: float
) -> tuple[float, float]:
    """Latency (s) and energy (J) of a system whose governors wait at the lowest clocks.

    Args:
        paced: the problem that it is compared in.
        latency_s: its latency on the slowest path.
        energy_j: joules of its mean frame.
        mean_s: seconds of its mean frame.
        idle_w: watts of the waiting board at the lowest clocks.
    """
    least_w = paced.problem.idle_w
    return latency_s, energy_j - least_w * mean_s + paced.pause_s * (idle_w - least_w)


def waits_note(paced: Paced, period_s: float) -> list[str]:
    """A sentence for the reader about the waits; none where nobody knows the pace."""
    if period_s <= 0:
        return []
    if not paced.pause_s:
        return [
            f'A frame comes every {1e3 * period_s:.3g} ms; what the board draws between frames is '
            'not counted: nobody knows it, or there is no such time.'
        ]
    return [
        f'A frame comes every {1e3 * period_s:.3g} ms. Energy counts the wait for it, and of '
        f'everything what is above the least idle power, {paced.problem.idle_w:.2f} W.'
    ]
