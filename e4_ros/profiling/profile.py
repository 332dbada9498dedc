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

"""The profile of a problem: the plan, and everything that it is compared with."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from e4_ros.energy.plan import FrequencyPlan
from e4_ros.profiling.planning.cost_table import CostTable
from e4_ros.profiling.planning.exact import ExactResult, exact, two_configuration_bound
from e4_ros.profiling.planning.objective import Problem, SwitchCost
from e4_ros.profiling.planning.planner import search, to_plan
from e4_ros.profiling.planning.search import SearchResult, best_fixed, coordinate_descent
from e4_ros.profiling.planning.sensitivity import Conclusion

PLAN = 'the plan'

OnProgress = Callable[[str, float, float], None]
"""Function that receives the phase, the progress 0 to 1, and the least energy so far in joules."""


@dataclass(frozen=True, eq=False)
class Profile:
    """Plans for one problem, and what they cost.

    Attributes:
        problem: the planning problem.
        exit_paths: exit → indices of the segments that run on the way to it.
        exit_shares: exit → share (or count) of the frames that stop there.
        default_point: operating point of the stock system.
        descent: result of coordinate descent.
        fixed: the best operating point for all segments.
        best: the plan: the better of the two, planned again if its simulation missed the deadline.
        exact: the optimum of the same problem; None where it was not asked for.
        ideal: coordinate descent on a machine whose clocks change at once and at no cost.
        default: latency (s) and energy (J) of the stock system, called ``default_name``.
        two_configurations_j: lower bound in joules, see
            :func:`e4_ros.profiling.planning.exact.two_configuration_bound`.
        plan_s: seconds that coordinate descent took.
        default_name: name of the stock system's operating point.
        notes: sentences for the reader about the origin of the costs.
        guesses: conclusions with one assumed number of the board changed at a time; the first is
            for the board as described.
        frames: the problem of the frames alone, where ``problem`` counts the waits between them;
            None where it does not.
        period_s: seconds from one frame to the next; 0 where nobody knows.
    """

    problem: Problem
    exit_paths: Mapping[str, Sequence[int]]
    exit_shares: Mapping[str, float]
    default_point: Mapping[str, int]
    descent: SearchResult
    fixed: SearchResult
    best: SearchResult
    exact: ExactResult | None
    ideal: SearchResult
    default: tuple[float, float]
    two_configurations_j: float
    plan_s: float
    default_name: str = 'default clocks'
    notes: tuple[str, ...] = ()
    guesses: tuple[Conclusion, ...] = ()
    frames: Problem | None = None
    period_s: float = 0.0

    @property
    def costs(self) -> CostTable:
        """What frames cost, waits aside."""
        return (self.frames or self.problem).table

    @property
    def gap_percent(self) -> float:
        """Additional energy of coordinate descent compared with the optimum, in percent."""
        if self.exact is None:
            return float('nan')
        return 100 * (self.descent.energy_j / self.exact.best.energy_j - 1)

    def comparison(self) -> list[tuple[str, float, float]]:
        """Name, latency (s) and expected energy (J) of the plan and of what it is compared with."""
        rows: list[tuple[str, float, float]] = [(self.default_name, *self.default)]
        found = [('best fixed point', self.fixed), (PLAN, self.best)]
        if self.exact is not None:
            name = 'exact optimum' if self.exact.proven else 'best known (optimum not proven)'
            found.append((name, self.exact.best))
        found.append(('if switching cost nothing', self.ideal))
        return rows + [(name, result.latency_s, result.energy_j) for name, result in found]

    def plan(self) -> FrequencyPlan:
        """The plan as `e4 profile` writes it."""
        return to_plan(self.frames or self.problem, self.exit_paths, self.best.points)

    def as_dict(self) -> dict[str, Any]:
        """Everything, including the cells that were looked up, as plain values."""
        table = self.problem.table
        tried = [
            {
                'segment': table.segments[s],
                'point': table.point(int(p)),
                'latency_s': table.latency_s[s, p],
                'energy_j': table.energy_j[s, p],
            }
            for s, p in zip(*self.descent.cells.nonzero(), strict=True)
        ]
        return {
            'board': table.board,
            'model': table.model,
            'source': table.source,
            'devices': dict(zip(table.segments, table.devices, strict=True)),
            'domains': list(table.domains),
            'deadline_s': self.problem.deadline_s,
            'period_s': self.period_s,
            'fastest_s': self.problem.fastest_s,
            'exit_shares': dict(self.exit_shares),
            'notes': list(self.notes),
            'default': {
                'name': self.default_name,
                'point': dict(self.default_point),
                **_cost(*self.default),
            },
            'best_fixed': self._found(self.fixed),
            'plan': self._found(self.best),
            'coordinate_descent': {
                **self._found(self.descent),
                'cells_share': self.descent.cells_share,
                'seconds': self.plan_s,
                'descent': [_cost(*step) for step in self.descent.descent],
            },
            'exact': None if self.exact is None else self._found(self.exact.best)
            | {'bound_j': self.exact.bound_j, 'proven': self.exact.proven},
            'gap_percent': None if self.exact is None else self.gap_percent,
            'without_switch_cost': self._found(self.ideal),
            'two_configuration_bound_j': self.two_configurations_j,
            'assumptions_changed': [asdict(conclusion) for conclusion in self.guesses],
            'tried': tried,
        }  # fmt: skip

    def _found(self, found: SearchResult) -> dict[str, Any]:
        table = self.problem.table
        points = [table.point(int(p)) for p in found.points]
        return _cost(found.latency_s, found.energy_j) | {'points': points}


def run_profile(
    problem: Problem,
    exit_paths: Mapping[str, Sequence[int]],
    exit_shares: Mapping[str, float],
    default_point: Mapping[str, int],
    *,
    default_cost: tuple[float, float] | None = None,
    default_name: str = 'default clocks',
    notes: Sequence[str] = (),
    guesses: Sequence[Conclusion] = (),
    yardstick: bool = True,
    frames: Problem | None = None,
    period_s: float = 0.0,
    on_progress: OnProgress | None = None,
) -> Profile:
    """Search, and compare the plan with the stock system, the best fixed point and the optimum.

    Args:
        problem: planning problem.
        exit_paths: exit → indices of the segments that run on the way to it.
        exit_shares: exit → share (or count) of the frames that stop there.
        default_point: operating point of the stock system; a frequency that is not in the table
            counts as the nearest.
        default_cost: measured latency (s) and energy (J) of the stock system; None: those of
            ``default_point`` in the table.
        default_name: name of the stock system's operating point.
        notes: sentences for the reader about the origin of the costs.
        guesses: conclusions with one assumed number of the board changed at a time.
        yardstick: whether to find the exact optimum, too (seconds instead of milliseconds).
        frames: problem of the frames alone, where ``problem`` counts the waits between them.
        period_s: seconds from one frame to the next; 0: nobody knows.
        on_progress: function that receives the progress.
    """
    tell = on_progress or (lambda phase, progress, energy_j: None)
    tell('coordinate descent', 0.1, float('nan'))
    began = time.perf_counter()
    descent = coordinate_descent(problem)
    plan_s = time.perf_counter() - began
    tell('best fixed point', 0.3, descent.energy_j)
    fixed, best = best_fixed(problem), search(problem)
    tell('without switch costs', 0.4, best.energy_j)
    ideal = coordinate_descent(replace(problem, switch=SwitchCost.none(problem.table.domains)))
    tell('exact optimum', 0.5, best.energy_j)
    optimum = exact(problem) if yardstick else None
    if default_cost is None:
        at = problem.table.index(_nearest(problem, default_point))
        latency_s, energy_j = problem.fixed()
        default_cost = float(latency_s[at]), float(energy_j[at])
    tell('done', 1.0, best.energy_j)
    return Profile(
        problem,
        exit_paths,
        exit_shares,
        default_point,
        descent,
        fixed,
        best,
        optimum,
        ideal,
        default_cost,
        two_configuration_bound(problem),
        plan_s,
        default_name,
        tuple(notes),
        tuple(guesses),
        frames,
        period_s,
    )


def _nearest(problem: Problem, point: Mapping[str, int]) -> dict[str, int]:
    table = problem.table
    return {
        name: min(axis, key=lambda hz: abs(hz - point.get(name, axis[-1])))
        for name, axis in zip(table.domains, table.axes_hz, strict=True)
    }


def _cost(latency_s: float, energy_j: float) -> dict[str, float]:
    return {'latency_s': float(latency_s), 'energy_j': float(energy_j)}
