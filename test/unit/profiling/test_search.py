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

from __future__ import annotations

import itertools

import numpy as np
import pytest

from e4_ros.energy.board_model import BoardModel, SegmentWork
from e4_ros.energy.boards import Board, load_board
from e4_ros.profiling.planning.cost_table import CostTable
from e4_ros.profiling.planning.exact import exact, two_configuration_bound
from e4_ros.profiling.planning.objective import Problem, SwitchCost, make_problem
from e4_ros.profiling.planning.search import best_fixed, coordinate_descent

JETSONS = ['jetson_agx_orin', 'jetson_nano', 'jetson_orin_nano', 'jetson_tx2', 'jetson_xavier_nx']


def random_table(seed: int, segments: int, axes: tuple[int, ...]) -> CostTable:
    rng = np.random.default_rng(seed)
    points = int(np.prod(axes))
    return CostTable(
        'board',
        'net',
        tuple(f's{i}' for i in range(segments)),
        ('cpu',) * segments,
        tuple(f'd{i}' for i in range(len(axes))),
        tuple(tuple(range(1, n + 1)) for n in axes),
        rng.uniform(0.5, 2.0, (segments, points)),
        rng.uniform(0.5, 2.0, (segments, points)),
    )


def random_problem(seed: int, slack: float = 1.3) -> Problem:
    table = random_table(seed, 4, (3, 2))
    paths = {'early': [0, 1], 'full': [0, 1, 2, 3]}
    switch = SwitchCost((0.05, 0.02), (0.3, 0.9))
    problem = make_problem(table, paths, {'early': 0.7, 'full': 0.3}, 0, switch)
    return Problem(
        table, problem.reach, problem.timed, slack * problem.fastest_s, switch, problem.idle_w
    )


def brute_force(problem: Problem) -> float:
    points = range(problem.table.latency_s.shape[1])
    plans = np.array(list(itertools.product(points, repeat=len(problem.reach))))
    seconds, joules = problem.evaluate(plans)
    return float(joules[seconds <= problem.deadline_s].min())


def with_whole_tables(board: Board) -> Board:
    """The board without what its power mode takes away: the longest tables there are."""
    whole = {'limits_mhz': None, 'cpus_online': None, 'units_online': None}
    domains = {n: s.model_copy(update=whole) for n, s in board.domains.items()}
    return board.model_copy(update={'domains': domains})


def realistic(board_name: str, segments: int = 12, switching: bool = True) -> Problem:
    rng = np.random.default_rng(7)
    works = [SegmentWork('prepare', 3e6, 2e6, 10, 'cpu')] + [
        SegmentWork(f's{i}', m * 1e6, b * 1e6, int(k))
        for i, (m, b, k) in enumerate(
            zip(
                rng.uniform(5, 60, segments - 1),
                rng.uniform(0.3, 6, segments - 1),
                rng.integers(2, 8, segments - 1),
                strict=True,
            )
        )
    ]
    board = with_whole_tables(load_board(board_name))
    table = CostTable.from_board(BoardModel(board), works, 'net')
    switch = (SwitchCost.of_board if switching else lambda _, d: SwitchCost.none(d))(
        board, table.domains
    )
    paths = {'temporal': [0], 'mid': list(range(segments // 2)), 'full': list(range(segments))}
    return make_problem(table, paths, {'temporal': 0.5, 'mid': 0.2, 'full': 0.3}, 0, switch)


@pytest.mark.parametrize('seed', range(25))
@pytest.mark.parametrize('slack', [1.01, 1.2, 2.0])
def test_exact_search_finds_what_trying_everything_finds(seed, slack):
    problem = random_problem(seed, slack)
    found = exact(problem)
    best = brute_force(problem)
    assert found.proven
    assert found.best.energy_j == pytest.approx(best, rel=2e-4)
    assert found.best.latency_s <= problem.deadline_s
    assert found.bound_j <= best * (1 + 1e-9)


@pytest.mark.parametrize('board', JETSONS)
@pytest.mark.parametrize('switching', [True, False])
def test_descent_comes_within_one_percent_of_the_optimum_from_few_cells(board, switching):
    problem = realistic(board, switching=switching)
    found, best = coordinate_descent(problem), exact(problem)
    assert best.proven
    assert found.latency_s <= problem.deadline_s
    assert best.best.energy_j * (1 - 1e-4) <= found.energy_j <= 1.01 * best.best.energy_j
    assert found.cells_share <= 0.25


def test_the_reported_cost_is_the_cost_of_the_plan():
    problem = realistic('jetson_nano')
    found = coordinate_descent(problem)
    assert problem.cost(found.points) == pytest.approx((found.latency_s, found.energy_j))


def test_only_the_cells_looked_at_are_used():
    """Poison every cell the search says it did not look at: it must find the same plan."""
    problem = realistic('jetson_xavier_nx')
    found = coordinate_descent(problem)
    table = problem.table
    poisoned = CostTable(
        table.board,
        table.model,
        table.segments,
        table.devices,
        table.domains,
        table.axes_hz,
        np.where(found.cells, table.latency_s, 1e6),
        np.where(found.cells, table.energy_j, 1e-9),
    )
    again = Problem(
        poisoned, problem.reach, problem.timed, problem.deadline_s, problem.switch, problem.idle_w
    )
    assert (coordinate_descent(again).points == found.points).all()


def test_dear_switches_make_the_plan_a_fixed_point():
    problem = realistic('jetson_orin_nano')
    dear = SwitchCost((1.0, 1.0), (1.0, 1.0))
    problem = Problem(problem.table, problem.reach, problem.timed, problem.deadline_s, dear)
    found = coordinate_descent(problem)
    assert len(set(found.points.tolist())) == 1
    assert found.energy_j == pytest.approx(best_fixed(problem).energy_j)


def test_switch_free_plans_beat_the_best_fixed_point():
    problem = realistic('jetson_nano', switching=False)
    assert coordinate_descent(problem).energy_j < 0.99 * best_fixed(problem).energy_j


def test_two_configurations_bound_the_best_fixed_point():
    problem = realistic('jetson_nano')
    tight = Problem(
        problem.table, problem.reach, problem.timed, 1.1 * problem.fastest_s, problem.switch
    )
    assert two_configuration_bound(tight) <= best_fixed(tight).energy_j
    assert two_configuration_bound(problem) <= best_fixed(problem).energy_j


def test_late_clocks_are_never_counted_as_a_gain():
    problem = realistic('jetson_agx_orin')
    points = np.arange(problem.table.latency_s.shape[1])
    for segment in range(1, 4):
        extra_s, extra_j = problem.transition(np.array(segment), points[:, None], points[None, :])
        assert (extra_s >= 0).all()
        assert (extra_j >= 0).all()
        assert (np.diag(extra_s) == 0).all()


@pytest.mark.parametrize('slack', [1.0, 1.001, 1.3])
@pytest.mark.parametrize('axes', [(1,), (1, 1), (6,), (1, 7), (2, 2, 2)])
def test_small_tables_are_no_special_case(axes, slack):
    """One segment or two, one point or a few: the descent keeps the deadline and the bounds."""
    for seed, segments in itertools.product(range(3), (1, 2)):
        table = random_table(seed, segments, axes)
        paths = {'full': list(range(segments))}
        switch = SwitchCost((0.05,) * len(axes), (0.3,) * len(axes))
        problem = make_problem(table, paths, {'full': 1.0}, 0, switch)
        problem = Problem(
            table, problem.reach, problem.timed, slack * problem.fastest_s, switch, problem.idle_w
        )
        found, best = coordinate_descent(problem), exact(problem).best
        assert found.latency_s <= problem.deadline_s
        assert best.energy_j * (1 - 1e-4) <= found.energy_j <= best_fixed(problem).energy_j


@pytest.mark.parametrize('board', JETSONS)
@pytest.mark.parametrize('slack', [1.0, 1.05, 1.2])
def test_a_deadline_close_to_infeasible_is_kept_and_costs_little_more_than_the_optimum(
    board, slack
):
    problem = realistic(board)
    problem = Problem(
        problem.table, problem.reach, problem.timed, slack * problem.fastest_s, problem.switch
    )
    found = coordinate_descent(problem)
    assert found.latency_s <= problem.deadline_s
    assert found.energy_j <= 1.02 * exact(problem).best.energy_j
