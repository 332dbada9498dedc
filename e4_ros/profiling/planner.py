"""From segments, exits and a deadline to a frequency plan, fast enough to run between frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from e4_ros.energy.boards import Board, load_board
from e4_ros.energy.model import BoardModel, SegmentWork
from e4_ros.energy.plan import FrequencyPlan, PlanPath
from e4_ros.profiling.cost_table import CostTable, Indices
from e4_ros.profiling.objective import Problem, SwitchCost, make_problem
from e4_ros.profiling.search import SearchResult, best_fixed, coordinate_descent


def plan(
    board: Board | str,
    works: Sequence[SegmentWork],
    exit_paths: Mapping[str, Sequence[int]],
    exit_shares: Mapping[str, float],
    deadline_s: float = 0.0,
    *,
    model: str = 'model',
    domains: Sequence[str] | None = None,
) -> FrequencyPlan:
    """Plan on the board model; a few milliseconds.

    A frame's exit is not known before it is taken, so a segment has the same clocks on every path.

    Args:
        board: a board or its name.
        works: what each segment asks for (`energy.model.works_of`).
        exit_paths: exit → indices of its segments.
        exit_shares: exit → how often frames stop there; need not sum to 1.
        deadline_s: bound for the slowest path; 0 means three times the fastest possible latency.
        model: name that the plan carries.
        domains: what to clock (default: ``cpu`` and, where there is one, ``gpu``).

    Raises:
        PlanningError, CostTableError, BoardError: see their text.
    """
    board = load_board(board) if isinstance(board, str) else board
    table = CostTable.from_board(BoardModel(board), works, model, domains)
    switch = SwitchCost.of_board(board, table.domains)
    problem = make_problem(table, exit_paths, exit_shares, deadline_s, switch)
    return to_plan(problem, exit_paths, search(problem).points)


def search(problem: Problem) -> SearchResult:
    """Coordinate descent, and the best fixed point where that is better after all."""
    found, fixed = coordinate_descent(problem), best_fixed(problem)
    return min(found, fixed, key=lambda result: result.energy_j)


def to_plan(
    problem: Problem, exit_paths: Mapping[str, Sequence[int]], points: Indices, name: str = ''
) -> FrequencyPlan:
    """Write the points of a search as a plan; expectations include switches."""
    table = problem.table
    clocks = [table.point(int(p)) for p in points]
    paths = {}
    for exit_name, path in exit_paths.items():
        rows = np.asarray(path, np.intp)
        extra_s, extra_j = problem.transition(rows[1:], points[rows[:-1]], points[rows[1:]])
        paths[exit_name] = PlanPath(
            segments=[int(row) for row in rows],
            points=[clocks[row] for row in rows],
            expected_latency_s=float(table.latency_s[rows, points[rows]].sum() + extra_s.sum()),
            expected_energy_j=float(table.energy_j[rows, points[rows]].sum() + extra_j.sum()),
        )
    return FrequencyPlan(
        name=name or f'{table.model} on {table.board}, {1e3 * problem.deadline_s:.3g} ms',
        board=table.board,
        model=table.model,
        segments=list(table.segments),
        paths=paths,
        source=table.source,
    )
