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

"""Replanning while a stream runs, when the plan's assumptions no longer hold.

The shares of the exits drift, cameras change their frame rate, power modes change, boards get hot,
and segments take longer than the table says. Planning takes milliseconds, so it can happen between
frames; but a new plan for a small difference would only add noise. So the shares must drift by more
than a tenth, the frame rate by a fifth, and a new plan must save more than ``gain``. A plan that
became invalid (its deadline, its costs or a limit changed) is replaced whatever the new one costs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from e4_ros.energy.board_model import BoardModel
from e4_ros.energy.plan import FrequencyPlan
from e4_ros.profiling.planning.cost_table import CostTable, Floats, Indices
from e4_ros.profiling.planning.delays import slowest_path_s
from e4_ros.profiling.planning.objective import Problem, SwitchCost, make_problem
from e4_ros.profiling.planning.pace import OF_PERIOD, Waits, count_waits
from e4_ros.profiling.planning.planner import search, to_plan
from e4_ros.profiling.planning.search import SearchResult

_PACE_DRIFT = 0.2
_PACE_FRAMES = 10  # frames that must be seen before the frame rate counts
_TRIFLE_S = 1e-3
_EXIT_DRIFT = 0.1  # total variation, 0 to 1, by which the shares of the exits must have moved


class Replanner:
    """Holds the plan in force and says when another one is better.

    Args:
        table: cost table of all allowed operating points.
        exit_paths: exit → indices of the segments that run on the way to it.
        exit_shares: exit → expected share (or count) at the beginning.
        deadline_s: bound for the slowest path in seconds; one that the table cannot keep brings
            the fastest plan; 0: three times the fastest possible latency within the current
            limits, and no longer than from one frame to the next.
        switch: cost of a clock change.
        gain: share of the energy that a new plan must save; above idle energy, with ``waiting``.
        memory: number of frames over which shares and frame rate are averaged.
        waiting: says what the waiting board draws; None: the waits between frames do not count.
        limits_hz: domain → lowest and highest allowed clock at the beginning; None: all.

    Attributes:
        plan: the plan in force.
        why: reason for the plan that :meth:`observe` returned last.
        switch: cost of a clock change.
        deadline_s: bound that frames are to keep, in seconds; chosen here where none was given.
        fastest_s: what the slowest path takes at the fastest clocks, in seconds.
    """

    def __init__(
        self,
        table: CostTable,
        exit_paths: Mapping[str, Sequence[int]],
        exit_shares: Mapping[str, float],
        deadline_s: float,
        switch: SwitchCost,
        *,
        gain: float = 0.02,
        memory: int = 200,
        waiting: BoardModel | None = None,
        limits_hz: Mapping[str, tuple[int, int]] | None = None,
    ) -> None:
        self._whole, self._table = table, _limited(table, limits_hz or {})
        self._limits_hz = limits_hz or {}
        self._factors, self._margin = np.ones(len(table.segments)), 1.0
        self._waiting, self._memory, self.why = waiting, memory, ''
        self._period_s = self._planned_period_s = 0.0
        self._periods = 0
        self._waits: Waits | None = None
        self._paths, self.switch = exit_paths, switch
        self._gain, self._keep = gain, 1 - 1 / memory
        total = sum(exit_shares.values())
        self._shares = {e: exit_shares.get(e, 0.0) / total for e in exit_paths}
        self._planned = dict(self._shares)
        self._deadline_s = deadline_s
        self._searched = problem = self._problem()
        self._points = search(problem).points
        self.plan = to_plan(problem, exit_paths, self._points)

    @property
    def costs(self) -> CostTable:
        """The table as it was given, limits and corrections aside."""
        return self._whole

    @property
    def exit_shares(self) -> dict[str, float]:
        """The running average of the shares."""
        return dict(self._shares)

    def observe(self, exit_name: str, period_s: float | None = None) -> FrequencyPlan | None:
        """Count a frame; return a new plan if there is a better one.

        Args:
            exit_name: name of the exit that the frame took.
            period_s: seconds since the frame before; None where that is not known, or the stream
                had stopped.

        Raises:
            KeyError: there is no such exit.
        """
        if exit_name not in self._shares:
            raise KeyError(exit_name)
        for name in self._shares:
            self._shares[name] *= self._keep
        self._shares[exit_name] += 1 - self._keep
        if period_s is not None and 0 <= period_s < math.inf:
            self._periods += 1
            self._period_s += (period_s - self._period_s) / min(self._periods, self._memory)
        moved = sum(abs(self._shares[e] - self._planned[e]) for e in self._shares) / 2
        if moved > _EXIT_DRIFT:
            self.why = 'the exits drifted'
        elif self._paced():
            self.why = 'the pace of the frames changed'
        else:
            return None
        self._planned = dict(self._shares)
        if self._periods >= _PACE_FRAMES:
            self._planned_period_s = self._period_s
        return self._replace(self._gain)

    def _paced(self) -> bool:
        """Whether the frame rate is known and differs from the one that the plan assumed."""
        if self._periods < _PACE_FRAMES:
            return False
        longer = max(self._period_s, self._planned_period_s)
        return abs(self._period_s - self._planned_period_s) > max(_PACE_DRIFT * longer, _TRIFLE_S)

    def set_deadline(self, deadline_s: float) -> FrequencyPlan | None:
        """Change the deadline; return a new plan if the old one breaks it or a better one exists.

        Raises:
            PlanningError: no plan meets the deadline; the plan in force stays.
        """
        self.check_deadline(deadline_s)
        self._deadline_s = deadline_s
        return self._replace(self._gain)

    def set_limits(self, limits_hz: Mapping[str, tuple[int, int]]) -> FrequencyPlan | None:
        """Change the allowed clocks; return a new plan if the old one leaves them or is worse.

        Args:
            limits_hz: domain → lowest and highest allowed frequency in hertz; a missing domain may
                use its whole table.

        Raises:
            PlanningError: no plan within the limits meets the deadline; the plan in force stays.
        """
        before = self._table, self._limits_hz
        in_time = self.fastest_s <= self.deadline_s
        self._table = _limited(self._whole, limits_hz).scaled(self._factors)
        self._limits_hz = limits_hz
        try:
            if in_time:
                self.check_deadline(self._deadline_s)
            return self._replace(self._gain)
        except ValueError:
            self._table, self._limits_hz = before
            raise

    def correct(self, factors: Floats, margin: float = 1.0) -> FrequencyPlan | None:
        """Take over how long the segments really take; return a new plan if the old one is late.

        Costs that no clocks bring within the deadline are planned for with the fastest ones.

        Args:
            factors: measured over expected seconds of each segment, ``(S,)``.
            margin: how many times as long as a plan's latency the deadline shall be.
        """
        self._factors, self._margin = factors, margin
        self._table = _limited(self._whole, self._limits_hz).scaled(factors)
        return self._replace(self._gain)

    def check_deadline(self, deadline_s: float) -> None:
        """Raise :class:`PlanningError` where no plan would meet ``deadline_s``."""
        make_problem(self._table, self._paths, self._shares, deadline_s, self.switch)

    def drift(self, factors: Floats) -> float:
        """How far factors would move the latency that the plan counts on, in logarithms.

        That of the slowest path or of the mean frame, whichever moves further.

        Args:
            factors: measured over expected seconds of each segment, ``(S,)``.
        """
        problem, rows = self._searched, np.arange(len(factors))
        planned_s = problem.table.latency_s[rows, self._points]
        moved_s = planned_s * factors / self._factors
        weights = np.stack([problem.timed, problem.reach])
        logs = np.log(weights @ moved_s) - np.log(weights @ planned_s)
        return float(logs[np.abs(logs).argmax()])

    def longer_by(self, factors: Floats) -> float:
        """How many times as long as the given table says the slowest path takes."""
        table, timed = self._whole.latency_s.min(axis=1), self._searched.timed
        return float(timed @ (table * factors) / (timed @ table))

    def _problem(self) -> Problem:
        problem = make_problem(self._table, self._paths, self._shares, 0.0, self.switch)
        self.fastest_s, self.deadline_s = problem.fastest_s, self._deadline_s
        if not self._deadline_s:
            self.deadline_s = self._own_bound(problem)
        bound_s = max(self.deadline_s / self._margin, problem.fastest_s)
        return replace(problem, deadline_s=bound_s)

    def _own_bound(self, problem: Problem) -> float:
        """The bound where none was given: slower than the camera, frames would be lost."""
        longest_s = OF_PERIOD * self._planned_period_s
        if 0 < longest_s < problem.deadline_s:
            return max(longest_s, problem.fastest_s)
        return problem.deadline_s

    def _search(self, frames: Problem) -> tuple[Problem, SearchResult]:
        """The best plan, with the waits between frames that it leaves."""
        if self._waiting is not None and self._planned_period_s > 0:
            if self._waits is None or self._waits.table is not frames.table:
                self._waits = Waits(self._waiting, frames.table)

            def mean_s(points: Indices) -> float:
                paths = to_plan(frames, self._paths, points).paths
                return sum(self._shares[e] * p.expected_latency_s for e, p in paths.items())

            counted = count_waits(frames, mean_s, self._planned_period_s, self._waits)
            if counted is not None:
                return counted.problem, counted.found
        return frames, search(frames)

    def _replace(self, gain: float) -> FrequencyPlan | None:
        frames = self._problem()
        problem, found = self._search(frames)
        plan = to_plan(frames, self._paths, found.points)
        self._searched = problem
        old = self._old_points(problem)
        if old is not None and slowest_path_s(problem, old) <= problem.deadline_s:
            _, old_j = problem.cost(old)
            if found.energy_j > old_j * (1 - gain) or (found.points == old).all():
                self._points = old
                return None
        self._points, self.plan = found.points, plan
        return plan

    def _old_points(self, problem: Problem) -> Indices | None:
        """The plan in force as points of the problem's table; None where it has left the table."""
        clocks = {i: p for path in self.plan.paths.values()
                  for i, p in zip(path.segments, path.points, strict=True)}  # fmt: skip
        try:
            return np.array([problem.table.index(clocks[i]) for i in range(len(problem.reach))])
        except (KeyError, ValueError):
            return None


def _limited(table: CostTable, limits_hz: Mapping[str, tuple[int, int]]) -> CostTable:
    keep = np.ones(len(table.coordinates), bool)
    axes = []
    for d, (name, axis) in enumerate(zip(table.domains, table.axes_hz, strict=True)):
        low, high = limits_hz.get(name, (axis[0], axis[-1]))
        inside = np.array([low <= hz <= high for hz in axis])
        keep &= inside[table.coordinates[:, d]]
        axes.append(tuple(hz for hz, ok in zip(axis, inside, strict=True) if ok))
    if not keep.any():
        raise ValueError(f'the limits {dict(limits_hz)} leave no operating point')
    return replace(
        table,
        axes_hz=tuple(axes),
        latency_s=table.latency_s[:, keep],
        energy_j=table.energy_j[:, keep],
    )
