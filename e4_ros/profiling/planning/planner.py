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

"""From segments, exits and a deadline to a frequency plan, fast enough to run between frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from e4_ros.energy.board_model import BoardModel, SegmentWork
from e4_ros.energy.boards import Board, load_board
from e4_ros.energy.plan import FrequencyPlan, PlanPath
from e4_ros.profiling.planning.cost_table import CostTable, Indices
from e4_ros.profiling.planning.delays import play_frame, slowest_path_s
from e4_ros.profiling.planning.objective import Problem, SwitchCost, make_problem
from e4_ros.profiling.planning.search import SearchResult, best_fixed, coordinate_descent

_TRIES = 3
_WORTH = 0.02
"""Share of the energy that clocks of each segment must save, for they switch in every frame, and
the costs of a switch are known less well than those of a point."""


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
        works: work of each segment (`energy.works_of`).
        exit_paths: exit → indices of the segments that run on the way to it.
        exit_shares: exit → share (or count) of the frames that stop there.
        deadline_s: bound for the slowest path in seconds; 0: three times the fastest possible.
        model: name of the network, kept in the plan.
        domains: names of the domains to clock (default: ``cpu`` and, where there is one, ``gpu``).

    Raises:
        PlanningError: no plan can be made; see :func:`make_problem`.
        CostTableError: there are no works, or the board lacks a domain.
        BoardError: there is no such board.
    """
    board = load_board(board) if isinstance(board, str) else board
    table = CostTable.from_board(BoardModel(board), works, model, domains)
    switch = SwitchCost.of_board(board, table.domains)
    problem = make_problem(table, exit_paths, exit_shares, deadline_s, switch)
    return to_plan(problem, exit_paths, search(problem).points)


def search(problem: Problem) -> SearchResult:
    """Coordinate descent, or the best fixed point where that is as good within 2 %.

    The descent's plan is simulated; if a late clock breaks the deadline, it plans again with that
    much less time; after three such tries it returns the fixed point, which never switches.
    """
    fixed, tightened = best_fixed(problem), problem
    for _ in range(_TRIES):
        found = coordinate_descent(tightened)
        played_s = slowest_path_s(problem, found.points)
        if played_s <= problem.deadline_s:
            return found if found.energy_j < (1 - _WORTH) * fixed.energy_j else fixed
        deadline_s = tightened.deadline_s - (played_s - problem.deadline_s)
        if deadline_s < problem.fastest_s:
            break
        tightened = replace(tightened, deadline_s=deadline_s)
    return fixed


def to_plan(
    problem: Problem, exit_paths: Mapping[str, Sequence[int]], points: Indices, name: str = ''
) -> FrequencyPlan:
    """The points of a search as a plan, whose expected costs are simulated with clock delays.

    Args:
        problem: the planning problem.
        exit_paths: exit → indices of the segments that run on the way to it.
        points: index of the operating point of each segment, ``(S,)``.
        name: name of the plan; empty: made of model, board and deadline.
    """
    table = problem.table
    clocks = [table.point(int(p)) for p in points]
    paths = {}
    for exit_name, path in exit_paths.items():
        latency_s, energy_j = play_frame(table, problem.switch, path, points)
        paths[exit_name] = PlanPath(
            segments=[int(row) for row in path],
            points=[clocks[row] for row in path],
            expected_latency_s=latency_s,
            expected_energy_j=energy_j,
        )
    return FrequencyPlan(
        name=name or f'{table.model} on {table.board}, {1e3 * problem.deadline_s:.3g} ms',
        board=table.board,
        model=table.model,
        segments=list(table.segments),
        devices=list(table.devices),
        paths=paths,
        source=table.source,
    )
