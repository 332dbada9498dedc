"""Coordinate descent over segments and clocks: near the optimum without looking at most cells.

The deadline is priced: with ``price`` (watts) a plan is worth ``energy + price * latency``. For one
price the descent takes one domain after the other and re-chooses that clock for all segments at
once: a shortest path through a narrow strip around the present plan, which can move a whole run of
segments where single moves would each pay two switches. The price is found by cutting the lower
hull (Handler and Zang, Networks 1980), and the slack that is left goes to single (segment, domain)
moves under the bound itself.

A *cell* is a (segment, point) pair; on a real board each one looked at is a measurement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from e4_ros.profiling.cost_table import Floats, Indices
from e4_ros.profiling.objective import PlanningError, Problem

_REACH = 2  # clock steps that a strip extends to either side of the present plan
_COARSE = 4  # the first look at a domain's table takes every so many-th clock
_MAX_ROUNDS = 12
_MAX_PRICES = 12
_MAX_MOVES = 100


@dataclass(frozen=True, eq=False)
class SearchResult:
    """A plan and how it was found.

    Attributes:
        points: ``(S,)`` point of each segment.
        cells: ``(S, P)`` which cells were looked at.
        descent: (latency_s, energy_j) of each plan that was the best so far, in order.
    """

    points: Indices
    latency_s: float
    energy_j: float
    cells: NDArray[np.bool_]
    descent: tuple[tuple[float, float], ...] = ()

    @property
    def cells_share(self) -> float:
        """Share of the table's cells that were looked at."""
        return float(self.cells.mean())


def best_fixed(problem: Problem) -> SearchResult:
    """The one point for all segments with the least energy that meets the deadline (exact)."""
    latency_s, energy_j = problem.fixed()
    meets = latency_s <= problem.deadline_s
    if not meets.any():
        raise PlanningError(
            f'no fixed point meets {1e3 * problem.deadline_s:.3g} ms; '
            f'the fastest needs {1e3 * problem.fastest_s:.3g} ms'
        )
    best = int(np.argmin(np.where(meets, energy_j, np.inf)))
    return SearchResult(
        np.full(len(problem.reach), best),
        float(latency_s[best]),
        float(energy_j[best]),
        np.ones_like(problem.table.latency_s, bool),
    )


def coordinate_descent(problem: Problem, start: Sequence[int] | None = None) -> SearchResult:
    """Search from the fastest and the best single points, and from ``start``, a former plan."""
    descent = _Descent(problem)
    quick = descent.keep(np.full(len(problem.reach), problem.fastest))
    slow = descent.settle(descent.single(quick), 0.0)
    starts = [] if start is None else [descent.keep(np.asarray(start, np.intp))]
    descent.price(slow, quick, starts)
    return descent.polish()


def shortest_chain(nodes: Floats, edges: Sequence[Floats]) -> tuple[Indices, float]:
    """Viterbi: the cheapest choice of one node a row; ``edges[s]`` leads from row s to s + 1.

    Args:
        nodes: ``(S, K)``.
        edges: S - 1 arrays ``(K, K)``, old by new.
    """
    total = nodes[0]
    came_from = np.empty((len(nodes) - 1, nodes.shape[1]), np.intp)
    columns = np.arange(nodes.shape[1])
    for row, edge in enumerate(edges):
        through = total[:, None] + edge
        came_from[row] = through.argmin(axis=0)
        total = through[came_from[row], columns] + nodes[row + 1]
    choice = [int(total.argmin())]
    for back in came_from[::-1]:
        choice.append(int(back[choice[-1]]))
    return np.array(choice[::-1], np.intp), float(total.min())


class _Descent:
    """The state of one search: which cells were looked at, and the best plan so far."""

    def __init__(self, problem: Problem) -> None:
        self.problem, self.table = problem, problem.table
        self.rows = np.arange(len(problem.reach))
        self.cells = np.zeros(self.table.latency_s.shape, bool)
        self.best: tuple[float, float, Indices] | None = None
        self.path: list[tuple[float, float]] = []

    def keep(self, points: Indices) -> Indices:
        """Remember a plan if it meets the deadline and beats the best so far."""
        seconds, joules = self.problem.evaluate(points, self.cells)
        if seconds <= self.problem.deadline_s and (self.best is None or joules < self.best[1]):
            self.best = (seconds, joules, points.copy())
            self.path.append((seconds, joules))
        return points

    def worth(self, points: Indices, price: float) -> float:
        """Energy and priced latency of a plan."""
        seconds, joules = self.problem.evaluate(points, self.cells)
        return joules + price * seconds

    # -- unbounded descent at one price -----------------------------------------------------------

    def single(self, start: Indices) -> Indices:
        """Best single point at price 0, by line searches along the axes, coarse then fine."""
        here, before = int(start[0]), -1
        while here != before:
            before = here
            for d in range(len(self.table.domains)):
                for line in (self._line(here, d, _COARSE), self._line(here, d, 0)):
                    latency = self.problem.energy_j[:, line]
                    self.cells[:, line] = True
                    here = int(line[np.argmin(self.problem.reach @ latency)])
        return self.keep(np.full(len(self.rows), here))

    def _line(self, point: int, d: int, coarse: int) -> Indices:
        """Points along axis ``d``: the neighbours of ``point``, or every ``coarse``-th."""
        size, at = self.table.shape[d], int(self.table.coordinates[point, d])
        if coarse:
            steps = np.unique(np.r_[np.arange(0, size, coarse), at, size - 1])
        else:
            steps = np.arange(max(at - _REACH, 0), min(at + _REACH, size - 1) + 1)
        return point + (steps - at) * self.table.strides[d]

    def settle(self, points: Indices, price: float) -> Indices:
        """Descend domain by domain until nothing moves."""
        worth = self.worth(points, price)
        for round_ in range(_MAX_ROUNDS):
            for d in range(len(self.table.domains)):
                points = self._strip(points, self._around(points, d, coarse=round_ == 0), price)
            self.keep(points)
            now = self.worth(points, price)
            if now >= worth * (1 - 1e-9):
                break
            worth = now
        return points

    def _around(self, points: Indices, d: int, coarse: bool = False) -> Indices:
        """Candidates ``(S, K)``: each segment's point moved along axis ``d``, clipped."""
        size, at = self.table.shape[d], self.table.coordinates[points, d]
        steps = np.arange(-_REACH, _REACH + 1)
        to = np.clip(at[:, None] + steps, 0, size - 1)
        if coarse:
            grid = np.unique(np.r_[np.arange(0, size, _COARSE), size - 1])
            to = np.concatenate([to, np.broadcast_to(grid, (len(at), len(grid)))], axis=1)
        return points[:, None] + (to - at[:, None]) * self.table.strides[d]

    def _strip(self, points: Indices, candidates: Indices, price: float) -> Indices:
        problem, rows = self.problem, self.rows[:, None]
        self.cells[rows, candidates] = True
        nodes = (
            problem.reach[:, None] * problem.energy_j[rows, candidates]
            + price * problem.timed[:, None] * self.table.latency_s[rows, candidates]
        )
        extra_s, extra_j = problem.transition(
            self.rows[1:, None, None], candidates[:-1, :, None], candidates[1:, None, :], self.cells
        )
        edges = (
            problem.reach[1:, None, None] * extra_j
            + price * problem.timed[1:, None, None] * extra_s
        )
        choice, _ = shortest_chain(nodes, list(edges))
        return candidates[self.rows, choice]

    # -- the deadline -----------------------------------------------------------------------------

    def price(self, slow: Indices, quick: Indices, starts: Sequence[Indices]) -> None:
        """Cut the hull between a plan that is too slow and one that meets the deadline."""
        evaluate, bound = self.problem.evaluate, self.problem.deadline_s
        (slow_s, slow_j), (quick_s, quick_j) = evaluate(slow), evaluate(quick)
        for _ in range(_MAX_PRICES):
            if slow_s <= bound or slow_s - quick_s <= 1e-9 * bound:
                return
            price = (quick_j - slow_j) / (slow_s - quick_s)
            if price <= 0:
                return
            begin = min((slow, quick, *starts), key=lambda p: self.worth(p, price))
            found = self.settle(begin, price)
            seconds, joules = evaluate(found)
            if joules + price * seconds >= (slow_j + price * slow_s) * (1 - 1e-7):
                return
            if seconds <= bound:
                quick, quick_s, quick_j = found, seconds, joules
            else:
                slow, slow_s, slow_j = found, seconds, joules

    def polish(self) -> SearchResult:
        """Single moves that save energy within the deadline, the best one first."""
        assert self.best is not None, 'the fastest point meets every deadline of a Problem'
        for _ in range(_MAX_MOVES):
            seconds, joules, points = self.best
            moves = np.concatenate(
                [self._around(points, d) for d in range(len(self.table.domains))], axis=1
            )
            extra_s, extra_j = self._moved(points, moves)
            allowed = seconds + extra_s <= self.problem.deadline_s
            gain = np.where(allowed, extra_j, 0.0)
            if gain.min() >= -1e-9 * abs(joules):
                break
            row, column = np.unravel_index(int(gain.argmin()), gain.shape)
            better = points.copy()
            better[row] = moves[row, column]
            self.keep(better)
            if self.best[2] is points:
                break
        seconds, joules, points = self.best
        return SearchResult(points, seconds, joules, self.cells, tuple(self.path))

    def _moved(self, points: Indices, moves: Indices) -> tuple[Floats, Floats]:
        """Change of (latency, energy) for each single move, ``(S, K)`` each."""
        problem, rows = self.problem, self.rows[:, None]
        self.cells[rows, moves] = True

        def local(here: Indices) -> tuple[Floats, Floats]:
            seconds = problem.timed[:, None] * self.table.latency_s[rows, here]
            joules = problem.reach[:, None] * problem.energy_j[rows, here]
            before = problem.transition(rows[1:], points[:-1, None], here[1:], self.cells)
            after = problem.transition(rows[1:], here[:-1], points[1:, None], self.cells)
            for rows_of, (extra_s, extra_j) in ((slice(1, None), before), (slice(-1), after)):
                seconds[rows_of] += problem.timed[1:, None] * extra_s
                joules[rows_of] += problem.reach[1:, None] * extra_j
            return seconds, joules

        (new_s, new_j), (old_s, old_j) = local(moves), local(points[:, None])
        return new_s - old_s, new_j - old_j
