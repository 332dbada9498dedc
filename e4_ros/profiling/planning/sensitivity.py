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

"""Sensitivity of a plan to the assumed numbers of a board: change one at a time, plan again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from e4_ros.energy.board_model import BoardModel, SegmentWork
from e4_ros.energy.boards import Board, Sourced
from e4_ros.profiling.planning.cost_table import CostTable
from e4_ros.profiling.planning.objective import Problem, SwitchCost, make_problem
from e4_ros.profiling.planning.planner import search
from e4_ros.profiling.planning.search import best_fixed

_POWERS = {
    'static_w': 'static power',
    'dynamic_w': 'dynamic power',
    'idle_share': 'share when waiting',
}


@dataclass(frozen=True)
class Conclusion:
    """What a plan achieves on a board.

    Attributes:
        parameter: name of the changed number; empty for the board as described.
        value: its new value, or the factor.
        saving_percent: energy that the plan saves compared with the default point.
        fixed_loses_percent: additional energy of the best fixed point compared with the plan.
        slower_percent: additional latency of the slowest path compared with the default point.
    """

    parameter: str
    value: str
    saving_percent: float
    fixed_loses_percent: float
    slower_percent: float


def sweep(
    board: Board,
    works: Sequence[SegmentWork],
    exit_paths: Mapping[str, Sequence[int]],
    exit_shares: Mapping[str, float],
    deadline_s: float = 0.0,
    domains: Sequence[str] = (),
) -> list[Conclusion]:
    """Change one assumption at a time and plan again.

    Args:
        board: board whose numbers are changed.
        works: work of each segment.
        exit_paths: exit → indices of the segments that run on the way to it.
        exit_shares: exit → share (or count) of the frames that stop there.
        deadline_s: bound for the slowest path in seconds; 0: three times the fastest possible.
        domains: names of the domains to clock; empty: ``cpu`` and, where there is one, ``gpu``.

    Returns:
        One conclusion for each change; the first is for the board as described.
    """

    def conclude(changed: Board, parameter: str, value: str) -> Conclusion:
        table = CostTable.from_board(BoardModel(changed), works, 'swept', domains or None)
        switch = SwitchCost.of_board(changed, table.domains)
        problem = make_problem(table, exit_paths, exit_shares, deadline_s, switch)
        return _conclude(problem, BoardModel(changed).default_point(), parameter, value)

    changes = [conclude(change(board), parameter, value) for parameter, value, change in _changes()]
    return [conclude(board, '', ''), *changes]


def _changes() -> list[tuple[str, str, Callable[[Board], Board]]]:
    changes: list[tuple[str, str, Callable[[Board], Board]]] = [
        ('power exponent', f'{exponent:g}', _power('exponent', scale=0.0, offset=exponent))
        for exponent in (1.5, 2.0, 3.0)
    ]
    for factor in (0.5, 2.0):
        for field, name in _POWERS.items():
            changes.append((name, f'x{factor:g}', _power(field, scale=factor)))
        changes.append(('other loads', f'x{factor:g}', _others(factor)))
        changes.append(('effect delay', f'x{factor:g}', _delays(factor)))
    changes.append(('effect delay', 'none', _delays(0.0)))
    return changes


def _power(field: str, scale: float, offset: float = 0.0) -> Callable[[Board], Board]:
    def apply(board: Board) -> Board:
        domains = {}
        for name, spec in board.domains.items():
            old: Sourced = getattr(spec.power, field)
            swept = Sourced(scale * old.value + offset, 'swept')
            power = spec.power.model_copy(update={field: swept})
            domains[name] = spec.model_copy(update={'power': power})
        return board.model_copy(update={'domains': domains})

    return apply


def _others(factor: float) -> Callable[[Board], Board]:
    def apply(board: Board) -> Board:
        loads = {n: Sourced(factor * w.value, 'swept') for n, w in board.other_loads_w.items()}
        return board.model_copy(update={'other_loads_w': loads})

    return apply


def _delays(factor: float) -> Callable[[Board], Board]:
    def apply(board: Board) -> Board:
        domains = {}
        for name, spec in board.domains.items():
            swept = Sourced(factor * spec.switch.effect_s.value, 'swept')
            switch = spec.switch.model_copy(update={'effect_s': swept})
            domains[name] = spec.model_copy(update={'switch': switch})
        return board.model_copy(update={'domains': domains})

    return apply


def _conclude(
    problem: Problem, default_point: Mapping[str, int], parameter: str, value: str
) -> Conclusion:
    best, fixed = search(problem), best_fixed(problem)
    latency_s, energy_j = problem.fixed()
    at = problem.table.index(default_point)
    return Conclusion(
        parameter,
        value,
        100 * (1 - best.energy_j / float(energy_j[at])),
        100 * (fixed.energy_j / best.energy_j - 1),
        100 * (best.latency_s / float(latency_s[at]) - 1),
    )
