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

"""The moves of coordinate descent, and the state of one search.

For one price the descent takes one domain after the other and chooses that clock again for all
segments at once: a shortest path through a narrow strip around the present plan, which can move a
whole run of segments where single moves would each pay for two switches. The price is found by
cutting the lower hull (Handler and Zang, Networks 1980), and the slack that is left goes to single
(segment, domain) moves under the bound itself.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from e4_ros.profiling.planning.cost_table import Floats, Indices
from e4_ros.profiling.planning.objective import Problem
from e4_ros.profiling.planning.viterbi import shortest_chain

_REACH = 1  # clock steps that a strip extends to either side of the present plan
_COARSE = 4  # the first line search of a domain takes every fourth clock
_MIXED = 4  # number of single points in the first mixture
_MAX_ROUNDS = 12
_MAX_PRICES = 12
_FAR = 6  # whole runs also try every sixth clock
_MAX_MOVES = 100
_MANY_DOMAINS = 3

Plan = tuple[float, float, Indices]
"""Latency (s), energy (J) and the point of each segment ``(S,)`` of a plan."""


class Descent:
    """The state of one search.

    Args:
        problem: planning problem of S segments at P operating points.

    Attributes:
        cells: mask ``(S, P)`` of the cells that were looked up.
        best: the best plan so far that meets the deadline.
        seen: all plans that were evaluated with `keep`.
        path: latency (s) and energy (J) of each plan that was the best so far, in order.
        singles: indices of the single points that were evaluated.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem, self.table = problem, problem.table
        self.rows = np.arange(len(problem.reach))
        self.cells = np.zeros(self.table.latency_s.shape, bool)
        self.best: Plan | None = None
        self.seen: list[Plan] = []
        self.path: list[tuple[float, float]] = []
        self.singles: list[int] = []

    def keep(self, points: Indices) -> tuple[float, float]:
        """Evaluate and record a plan; return its latency (s) and energy (J)."""
        seconds, joules = map(float, self.problem.evaluate(points, self.cells))
        self.seen.append((seconds, joules, points))
        meets = seconds <= self.problem.deadline_s
        if meets and (self.best is None or joules < self.best[1]):
            self.best = (seconds, joules, points)
            self.path.append((seconds, joules))
        return seconds, joules

    # -- unbounded descent at one price ---------------------------------------------------------

    def single(self, here: int) -> None:
        """Search line by line for the best single point, without the deadline and with it."""
        for bound in (np.inf, self.problem.deadline_s):
            before = -1
            while here != before:
                before = here
                for d in range(len(self.table.domains)):
                    for coarse in (_COARSE, 0):
                        here = self._best_of(self._line(here, d, coarse), bound, here)

    def _best_of(self, line: Indices, bound: float, here: int) -> int:
        """The point of ``line`` with the least energy within ``bound``, or else ``here``."""
        costs = np.array([self.keep(np.full(len(self.rows), p)) for p in line])
        self.singles += [int(p) for p in line if p not in self.singles]
        joules = np.where(costs[:, 0] <= bound, costs[:, 1], np.inf)
        return int(line[joules.argmin()]) if np.isfinite(joules).any() else here

    def _line(self, point: int, d: int, coarse: int) -> Indices:
        """Points along axis ``d``: the neighbours of ``point``, or every ``coarse``-th entry."""
        size, at = self.table.shape[d], int(self.table.coordinates[point, d])
        if coarse:
            steps = np.unique(np.r_[np.arange(0, size, coarse), at, size - 1])
        else:
            steps = np.arange(max(at - _REACH, 0), min(at + _REACH, size - 1) + 1)
        return point + (steps - at) * self.table.strides[d]

    def settle(self, price: float) -> None:
        """Descend at a price, from a mixture of points and from the best plan seen."""
        best = min(self.seen, key=lambda seen: seen[1] + price * seen[0])[2]
        mixed = self._mix(price)
        for start in (mixed, best) if (mixed != best).any() else (mixed,):
            self._descend(start, price)

    def _descend(self, points: Indices, price: float) -> None:
        """Domain by domain, all segments at once."""
        worth = np.inf
        for _ in range(_MAX_ROUNDS):
            for d in range(len(self.table.domains)):
                points = self._strip(points, self._around(points, d), price)
            seconds, joules = self.keep(points)
            if joules + price * seconds >= worth * (1 - 1e-9):
                break
            worth = joules + price * seconds

    def _mix(self, price: float) -> Indices:
        """The best mixture of the single points that are best for some segment at this price."""
        nodes = self._worth(self.rows[:, None], np.array(self.singles)[None, :], price)
        total = nodes.sum(axis=0)
        chosen = {int(i) for i in (*total.argsort()[: _MIXED // 2], *nodes.argmin(axis=1))}
        best = sorted(chosen, key=lambda i: float(total[i]))[:_MIXED]
        candidates = np.array(self.singles)[best]
        everywhere = np.broadcast_to(candidates, (len(self.rows), len(candidates)))
        mixed = self._strip(everywhere[:, 0], everywhere, price)
        self.keep(mixed)
        return mixed

    def _worth(self, rows: Indices, points: Indices, price: float) -> Floats:
        """Weighted energy and priced latency of cells, without switches."""
        problem = self.problem
        seconds = problem.timed[rows] * self.table.latency_s[rows, points]
        return problem.reach[rows] * problem.energy_j[rows, points] + price * seconds

    def _around(self, points: Indices, d: int) -> Indices:
        """Candidates ``(S, K)``: each segment's point moved along axis ``d``, clipped."""
        size, at = self.table.shape[d], self.table.coordinates[points, d]
        to = np.clip(at[:, None] + np.arange(-_REACH, _REACH + 1), 0, size - 1)
        return points[:, None] + (to - at[:, None]) * self.table.strides[d]

    def _strip(self, points: Indices, candidates: Indices, price: float) -> Indices:
        problem, rows = self.problem, self.rows[:, None]
        self.cells[rows, candidates] = True
        nodes = self._worth(rows, candidates, price)
        extra_s, extra_j = problem.transition(
            self.rows[1:, None, None], candidates[:-1, :, None], candidates[1:, None, :], self.cells
        )
        edges = (
            problem.reach[1:, None, None] * extra_j
            + price * problem.timed[1:, None, None] * extra_s
        )
        choice, _ = shortest_chain(nodes, list(edges))
        return candidates[self.rows, choice]

    # -- the deadline ---------------------------------------------------------------------------

    def meet_deadline(self) -> None:
        """Cut the hull of the plans seen where it crosses the deadline, until nothing is below."""
        price = 0.0
        for _ in range(_MAX_PRICES):
            edge = self._crossing()
            if edge is None or abs(edge - price) <= 1e-9 * edge:
                break
            price = edge
            self.settle(price)

    def _crossing(self) -> float | None:
        """Price at which the hull of the plans seen crosses the deadline; None if it does not."""
        seconds = np.array([s for s, _, _ in self.seen])
        joules = np.array([j for _, j, _ in self.seen])
        meets, bound = seconds <= self.problem.deadline_s, self.problem.deadline_s
        if meets[joules.argmin()]:
            return None
        slow, quick = np.flatnonzero(~meets), np.flatnonzero(meets)
        span = seconds[slow][None] - seconds[quick][:, None]
        prices = (joules[quick][:, None] - joules[slow][None]) / span
        at_bound = joules[quick][:, None] - prices * (bound - seconds[quick][:, None])
        price = float(prices.ravel()[at_bound.argmin()])
        return price if price > 0 else None

    def polish(self) -> Plan:
        """Moves that save energy within the deadline: single ones first, then whole runs."""
        assert self.best is not None, 'the fastest point meets every deadline of a Problem'
        for _ in range(_MAX_MOVES):
            if self._improve(self._singles()) or self._improve(self._runs()):
                continue
            if len(self.table.domains) < _MANY_DOMAINS or not self._improve(self._two_axes()):
                break
        return self.best

    def _improve(self, plans: Indices) -> bool:
        """Keep the best of ``plans`` ``(M, S)`` if it beats the best so far."""
        assert self.best is not None
        seconds, joules = self.problem.evaluate(plans, self.cells)
        meets = seconds <= self.problem.deadline_s
        at = int(np.where(meets, joules, np.inf).argmin())
        if not (meets[at] and joules[at] < self.best[1] * (1 - 1e-9)):
            return False
        self.keep(plans[at])
        return True

    def _singles(self) -> Indices:
        """The best plan with one segment moved a step along one axis."""
        return self._moved(np.eye(len(self.rows), dtype=bool), coarse=False)

    def _runs(self) -> Indices:
        """The best plan with everything up to a segment, or from it on, moved along one axis.

        By one step or to every sixth clock, since a small change may not pay for the switch.
        """
        return self._moved(_halves(len(self.rows)), coarse=True)

    def _two_axes(self) -> Indices:
        """The best plan with everything up to a segment, or from it on, moved along two axes.

        A slower memory may only pay together with a faster engine.
        """
        assert self.best is not None
        points, table, plans = self.best[2], self.table, []
        masks = _halves(len(self.rows))
        for pair in itertools.combinations(range(len(table.domains)), 2):
            for steps in itertools.product((-1, 1), repeat=2):
                moved = points
                for d, step in zip(pair, steps, strict=True):
                    at = table.coordinates[points, d]
                    to = np.clip(at + step, 0, table.shape[d] - 1)
                    moved = moved + (to - at) * table.strides[d]
                plans.append(np.where(masks, moved[None], points[None]))
        return np.concatenate(plans)

    def _moved(self, masks: NDArray[np.bool_], coarse: bool) -> Indices:
        """The best plan moved along each axis where a mask ``(M, S)`` is set."""
        assert self.best is not None
        points, plans = self.best[2], []
        for d, size in enumerate(self.table.shape):
            at = self.table.coordinates[points, d]
            targets = [np.maximum(at - 1, 0), np.minimum(at + 1, size - 1)]
            if coarse:
                steps = {*range(0, size, _FAR), size - 1}
                targets += [np.full_like(at, step) for step in steps]
            for target in targets:
                moved = points + (target - at) * self.table.strides[d]
                plans.append(np.where(masks, moved[None], points[None]))
        return np.concatenate(plans)


def _halves(segments: int) -> NDArray[np.bool_]:
    """Masks of everything up to each segment, and of everything after it."""
    upto = np.tri(segments, dtype=bool)
    return np.concatenate([upto, ~upto[:-1]])
