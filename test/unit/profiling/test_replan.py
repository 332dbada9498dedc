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

import pytest

from e4_ros.energy.board_model import BoardModel, SegmentWork
from e4_ros.energy.boards import load_board
from e4_ros.profiling.planning.cost_table import CostTable
from e4_ros.profiling.planning.objective import PlanningError, SwitchCost
from e4_ros.profiling.planning.replan import Replanner

WORKS = [
    SegmentWork('prepare', 200e6, 8e6, 20, 'cpu'),
    SegmentWork('stage0', 300e6, 70e6, 30),
    SegmentWork('stage1', 900e6, 20e6, 10),
]
PATHS = {'temporal': [0], 'exit1': [0, 1], 'full': [0, 1, 2]}


@pytest.fixture
def replanner() -> Replanner:
    board = load_board('jetson_nano')
    table = CostTable.from_board(BoardModel(board), WORKS, 'net')
    switch = SwitchCost.of_board(board, table.domains)
    deadline_s = 1.15 * float(table.latency_s.sum(axis=0).min())
    return Replanner(table, PATHS, {'full': 1.0}, deadline_s, switch, memory=50)


def test_a_stream_as_expected_keeps_its_plan(replanner):
    assert all(replanner.observe('full') is None for _ in range(300))


def test_exits_that_drift_bring_a_cheaper_plan_and_then_peace(replanner):
    first = replanner.plan
    made = [plan for _ in range(400) if (plan := replanner.observe('temporal'))]
    assert 1 <= len(made) <= 6
    new = replanner.plan
    assert new.paths['temporal'].expected_energy_j < first.paths['temporal'].expected_energy_j
    assert replanner.exit_shares['temporal'] > 0.99


def test_small_wobbles_change_nothing(replanner):
    changes = 0
    for i in range(500):
        changes += replanner.observe('exit1' if i % 20 == 0 else 'full') is not None
    assert changes == 0


def test_a_tighter_deadline_replaces_a_plan_that_breaks_it(replanner):
    slow_s = replanner.plan.paths['full'].expected_latency_s
    plan = replanner.set_deadline(0.95 * slow_s)
    assert plan is not None
    assert plan.paths['full'].expected_latency_s <= 0.95 * slow_s


def test_an_impossible_deadline_leaves_the_plan_in_force(replanner):
    plan = replanner.plan
    with pytest.raises(PlanningError, match='fastest needs'):
        replanner.set_deadline(1e-6)
    assert replanner.plan is plan
    assert replanner.observe('full') is None


def test_limits_are_kept_and_lifted(replanner):
    replanner.set_deadline(1.0)
    before, most_hz = replanner.plan, 384_000_000
    assert max(p['gpu'] for p in before.paths['full'].points) > most_hz
    plan = replanner.set_limits({'gpu': (0, most_hz)})
    assert all(p['gpu'] <= most_hz for path in plan.paths.values() for p in path.points)
    assert replanner.set_limits({}).paths == before.paths


def test_limits_that_leave_nothing_leave_the_plan(replanner):
    plan = replanner.plan
    with pytest.raises(ValueError, match='no operating point'):
        replanner.set_limits({'gpu': (1, 2)})
    assert replanner.plan is plan


def test_an_unknown_exit_is_refused(replanner):
    with pytest.raises(KeyError):
        replanner.observe('side_door')


@pytest.fixture
def paced() -> Replanner:
    """No deadline of its own, and a board whose idle power is known."""
    model = BoardModel(load_board('jetson_orin_nano'))
    table = CostTable.from_board(model, WORKS, 'net')
    switch = SwitchCost.of_board(model.board, table.domains)
    return Replanner(table, PATHS, {'full': 1.0}, 0.0, switch, waiting=model)


def test_a_slow_camera_brings_a_plan_that_waits_for_less(paced):
    model, first = BoardModel(load_board('jetson_orin_nano')), paced.plan
    made = [plan for _ in range(100) if (plan := paced.observe('full', period_s=0.6))]
    assert len(made) == 1
    assert paced.why == 'the pace of the frames changed'
    waiting = [model.idle_w(plan.paths['full'].points[0]) for plan in (first, paced.plan)]
    assert waiting[1] < waiting[0]
    frame_j = [plan.paths['full'].expected_energy_j for plan in (first, paced.plan)]
    assert 0 <= frame_j[1] - frame_j[0] < 0.6 * (waiting[0] - waiting[1])
    assert all(paced.observe('full', period_s=0.55) is None for _ in range(100))


def test_without_a_deadline_the_plan_keeps_up_with_the_camera(paced):
    def latency_s(period_s: float) -> float:
        for _ in range(2000):  # many times the memory
            paced.observe('full', period_s=period_s)
        return paced.plan.paths['full'].expected_latency_s

    model = BoardModel(load_board('jetson_orin_nano'))
    fastest_s = CostTable.from_board(model, WORKS, 'net').latency_s.sum(axis=0).min()
    assert latency_s(1.0) > 1.7 * fastest_s
    assert latency_s(1.8 * fastest_s) <= 1.2 * 1.8 * fastest_s  # a fifth is no other pace
    assert latency_s(0.1 * fastest_s) < 1.2 * fastest_s  # nothing keeps up: as fast as can be


def test_a_deadline_that_was_set_is_not_the_cameras_to_change(replanner):
    assert all(replanner.observe('full', period_s=1e-3) is None for _ in range(50))


def test_the_pace_of_a_board_whose_idle_power_nobody_knows_changes_nothing(replanner):
    assert all(replanner.observe('full', period_s=1.0) is None for _ in range(50))
