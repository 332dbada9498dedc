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

"""The exact optimum of a planning problem, and bounds on it, with which plans are compared.

A plan is a path through segments x points, and its cost a sum over neighbours, so for a given price
of latency Viterbi finds the best plan of all. The highest lower bound over prices (the Lagrangian
dual) is closed to the optimum under the deadline by labels (latency, energy) that run through only
those nodes and moves which may still beat the best plan known (Handler and Zang, Networks 1980).
Exact search looks up every cell.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from e4_ros.profiling.planning.cost_table import Floats, Indices
from e4_ros.profiling.planning.objective import Problem
from e4_ros.profiling.planning.search import SearchResult, coordinate_descent

_MAX_LABELS = 200_000
_TOLERANCE = 1e-4  # relative energy within which a plan counts as the optimum


@dataclass(frozen=True, eq=False)
class ExactResult:
    """The best plan, and whether it is proven to be the optimum.

    Attributes:
        best: the best plan that was found.
        bound_j: lower bound in joules for every plan that meets the deadline.
        proven: whether ``best`` is within a ten-thousandth of the optimum; otherwise the labels ran
            out and only ``bound_j`` is certain.
    """

    best: SearchResult
    bound_j: float
    proven: bool


def exact(problem: Problem) -> ExactResult:
    """Find the plan with the least expected energy under the deadline."""
    return _Exact(problem).solve()


def two_configuration_bound(problem: Problem) -> float:
    """Least energy in joules of a frame that is divided between two points, with free switches.

    Under one deadline more than two points are never needed (Kim, Imes and Hoffmann, CPSNA 2015).
    With equal segments this bounds every plan; where segments differ, a plan may cost less.
    """
    latency_s, energy_j = problem.fixed()
    meets = latency_s <= problem.deadline_s
    best = float(energy_j[meets].min())
    slow, quick = np.flatnonzero(~meets), np.flatnonzero(meets)
    if len(slow):
        room = (problem.deadline_s - latency_s[quick])[:, None]
        share = room / (latency_s[slow][None] - latency_s[quick][:, None])
        mixed = energy_j[quick][:, None] * (1 - share) + energy_j[slow][None] * share
        best = min(best, float(mixed.min()))
    return best


class _Exact:
    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        table = problem.table
        self.size = len(table.segments)
        self.node_s = problem.timed[:, None] * table.latency_s
        self.node_j = problem.reach[:, None] * problem.energy_j
        self.every = np.arange(table.latency_s.shape[1])
        self.alive = [self.every] * self.size

    def solve(self) -> ExactResult:
        problem = self.problem
        upper = coordinate_descent(problem)
        plan, _ = self.cheapest(0.0)
        seconds, joules = problem.cost(plan)
        if seconds <= problem.deadline_s:
            return self._result(plan, joules, proven=True)
        price, bound, best = self._dual(plan, upper)
        limit = best.energy_j * (1 - _TOLERANCE)
        if bound >= limit:
            return ExactResult(best, bound, True)
        return self._close(price, bound, best)

    def _result(self, plan: Indices, bound: float, proven: bool) -> ExactResult:
        seconds, joules = self.problem.cost(plan)
        cells = np.ones_like(self.problem.table.latency_s, bool)
        found = SearchResult(plan, seconds, joules, cells)
        return ExactResult(found, bound, proven)

    # -- one price ------------------------------------------------------------------------------

    def edge(self, row: int, old: Indices, new: Indices) -> tuple[Floats, Floats]:
        """Weighted extra latency and energy of every move into ``row``, ``(old, new)``."""
        extra_s, extra_j = self.problem.transition(
            np.array(row), np.asarray(old)[:, None], np.asarray(new)[None, :]
        )
        return self.problem.timed[row] * extra_s, self.problem.reach[row] * extra_j

    def cheapest(self, price: float) -> tuple[Indices, float]:
        """Viterbi over the nodes that are alive."""
        self.to_go = [np.zeros(0)] * self.size  # cheapest rest of the frame after each node
        self.to_go[-1] = np.zeros(len(self.alive[-1]))
        follow = [np.zeros(0, np.intp)] * self.size
        for row in range(self.size - 1, 0, -1):
            extra_s, extra_j = self.edge(row, self.alive[row - 1], self.alive[row])
            rest = self._worth(row, price) + self.to_go[row]
            through = extra_j + price * extra_s + rest[None, :]
            follow[row] = through.argmin(axis=1)
            self.to_go[row - 1] = through.min(axis=1)
        first = self._worth(0, price) + self.to_go[0]
        at = int(first.argmin())
        choice = [at]
        for row in range(1, self.size):
            choice.append(int(follow[row][choice[-1]]))
        plan = np.array([self.alive[r][c] for r, c in enumerate(choice)], np.intp)
        return plan, float(first[at])

    def _worth(self, row: int, price: float) -> Floats:
        alive = self.alive[row]
        return self.node_j[row, alive] + price * self.node_s[row, alive]

    def _dual(self, slow: Indices, upper: SearchResult) -> tuple[float, float, SearchResult]:
        """Best price, the lower bound it gives, and the best plan met on the way."""
        problem, best = self.problem, upper
        slow_s, slow_j = problem.cost(slow)
        quick_s, quick_j = problem.cost(np.full(self.size, problem.fastest))
        price, bound = 0.0, slow_j
        for _ in range(30):
            price = (quick_j - slow_j) / (slow_s - quick_s)
            plan, value = self.cheapest(price)
            bound = max(bound, value - price * problem.deadline_s)
            seconds, joules = problem.cost(plan)
            if seconds <= problem.deadline_s and joules < best.energy_j:
                best = SearchResult(plan, seconds, joules, upper.cells)
            if value >= (slow_j + price * slow_s) * (1 - 1e-9):
                break
            if seconds <= problem.deadline_s:
                quick_s, quick_j = seconds, joules
            else:
                slow_s, slow_j = seconds, joules
        return price, bound, best

    # -- the duality gap -------------------------------------------------------------------------

    def _close(self, price: float, bound: float, best: SearchResult) -> ExactResult:
        """Run labels through the chain; drop those that cannot beat the best plan."""
        problem, limit = self.problem, best.energy_j * (1 - _TOLERANCE)
        self.cheapest(price)  # leaves the rest of the frame in to_go
        deadline = price * problem.deadline_s
        seconds, joules = self.node_s[0].copy(), self.node_j[0].copy()
        keep = joules + price * seconds + self.to_go[0] - deadline < limit
        seconds, joules, points = seconds[keep], joules[keep], self.every[keep]
        history = [(points, points)]
        fastest_rest = self._fastest_rest()
        for row in range(1, self.size):
            extra_s, extra_j = self.edge(row, self.every, self.every)
            parts = []
            for new in self.every:
                s = seconds + extra_s[points, new] + self.node_s[row, new]
                j = joules + extra_j[points, new] + self.node_j[row, new]
                keep = (j + price * s + self.to_go[row][new] - deadline < limit) & (
                    s + fastest_rest[row] <= problem.deadline_s
                )
                source = np.flatnonzero(keep)
                front = _front(s[source], j[source], _TOLERANCE * best.energy_j / self.size)
                source = source[front]
                parts.append((s[source], j[source], np.full(len(source), new), source))
            seconds, joules = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
            points, parents = (np.concatenate([part[i] for part in parts]) for i in (2, 3))
            history.append((points, parents))
            if len(points) > _MAX_LABELS:
                return ExactResult(best, bound, False)
        if not len(points) or joules.min() >= best.energy_j:
            return ExactResult(best, max(bound, limit), True)
        at = int(joules.argmin())
        plan = []
        for row_points, row_parents in reversed(history):
            plan.append(int(row_points[at]))
            at = int(row_parents[at])
        chosen = np.array(plan[::-1], np.intp)
        _, energy_j = problem.cost(chosen)
        return self._result(chosen, max(bound, energy_j * (1 - _TOLERANCE)), proven=True)

    def _fastest_rest(self) -> Floats:
        """Least time from the end of each segment to the end of the frame, ``(S,)``."""
        quickest = self.node_s.min(axis=1)
        return np.append(np.cumsum(quickest[::-1])[::-1][1:], 0.0)


def _front(seconds: Floats, joules: Floats, slack_j: float) -> Indices:
    """Indices of labels that no other beats in both, energies alike within ``slack_j``."""
    order = np.lexsort((joules, seconds))
    lowest = np.minimum.accumulate(joules[order])
    before = np.append(np.inf, lowest[:-1])
    return order[joules[order] < before - slack_j]
