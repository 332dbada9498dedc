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

"""The camera's pace in profiles."""

from __future__ import annotations

import json
import math

import pytest
from typer.testing import CliRunner

from e4_ros.commands.app import app
from e4_ros.energy.board_model import BoardModel, SegmentWork
from e4_ros.energy.boards import IdleState, Sourced, load_board
from e4_ros.energy.plan import FrequencyPlan
from e4_ros.profiling.planning.cost_table import CostTable
from e4_ros.profiling.planning.objective import SwitchCost, make_problem
from e4_ros.profiling.planning.pace import OF_PERIOD, at_pace, governed_cost
from e4_ros.profiling.planning.planner import search, to_plan
from e4_ros.profiling.planning.stream_pace import StreamPace

WORKS = [
    SegmentWork('prepare', 200e6, 8e6, 20, 'cpu'),
    SegmentWork('stage0', 300e6, 70e6, 30),
    SegmentWork('stage1', 900e6, 20e6, 10),
]
PATHS = {'temporal': [0], 'exit1': [0, 1], 'full': [0, 1, 2]}
SHARES = {'full': 1.0}
MODEL = BoardModel(load_board('jetson_orin_nano'))
TABLE = CostTable.from_board(MODEL, WORKS, 'net')
SWITCH = SwitchCost.of_board(MODEL.board, TABLE.domains)
ALONE = make_problem(TABLE, PATHS, SHARES, 0.0, SWITCH)


def drawn_j(points, period_s: float) -> float:
    """What the board draws from one frame to the next."""
    plan = to_plan(ALONE, PATHS, points)
    path = plan.paths['full']
    wait_s = period_s - path.expected_latency_s
    return path.expected_energy_j + wait_s * MODEL.idle_w(path.points[0])


@pytest.mark.parametrize('periods', [3.0, 10.0, 50.0])
def test_a_plan_that_knows_the_pace_draws_less_than_one_for_frames_alone(periods):
    period_s = periods * ALONE.fastest_s
    paced = at_pace(ALONE, PATHS, SHARES, period_s, MODEL, bound=True)
    found = search(paced.problem)
    alone_j = drawn_j(search(ALONE).points, period_s)
    assert drawn_j(found.points, period_s) <= alone_j * (1 + 1e-9)
    # What the problem counts is what the board draws, above the least idle power.
    above_j = drawn_j(found.points, period_s) - paced.problem.idle_w * period_s
    plan_s = to_plan(paced.frames, PATHS, found.points).paths['full'].expected_latency_s
    assert paced.pause_s == pytest.approx(period_s - plan_s, rel=0.05)
    assert found.energy_j == pytest.approx(above_j, rel=0.02)


def test_without_a_deadline_a_plan_is_done_before_the_next_frame():
    period_s = 1.5 * ALONE.fastest_s
    paced = at_pace(ALONE, PATHS, SHARES, period_s, MODEL, bound=True)
    assert paced.frames.deadline_s == pytest.approx(OF_PERIOD * period_s)
    given = at_pace(ALONE, PATHS, SHARES, period_s, MODEL, bound=False)
    assert given.frames.deadline_s == ALONE.deadline_s


@pytest.mark.parametrize('period_s', [0.0, -1.0])
def test_an_unknown_pace_changes_nothing(period_s):
    paced = at_pace(ALONE, PATHS, SHARES, period_s, MODEL, bound=True)
    assert paced.problem is paced.frames is ALONE


def test_a_camera_that_nothing_keeps_up_with_leaves_no_waits():
    paced = at_pace(ALONE, PATHS, SHARES, 0.5 * ALONE.fastest_s, MODEL, bound=True)
    assert paced.problem is paced.frames
    assert paced.frames.deadline_s == ALONE.fastest_s


def test_governors_wait_at_the_lowest_clocks():
    period_s = 10 * ALONE.fastest_s
    paced = at_pace(ALONE, PATHS, SHARES, period_s, MODEL, bound=True)
    seconds, joules = governed_cost(paced, 0.02, 0.3, 0.02, paced.problem.idle_w)
    assert seconds == 0.02
    assert joules == pytest.approx(0.3 - 0.02 * paced.problem.idle_w)


def test_e4_profile_says_what_was_counted_and_keeps_the_plans_costs_a_frames_own(tmp_path):
    def profile(name: str, *more: str) -> tuple[dict, str]:
        out = tmp_path / name
        arguments = ['profile', '--board', 'jetson_nano', '--out', str(out), *more]
        result = CliRunner().invoke(app, [*arguments, '--no-yardstick'])
        assert result.exit_code == 0, result.output
        return json.loads((out / 'profile.json').read_text()), ' '.join(result.output.split())

    alone, text = profile('alone')
    paced, told = profile('paced', '--period-ms', '500')
    assert 'Energy counts the wait' in told
    assert 'Energy counts the wait' not in text
    assert (alone['period_s'], paced['period_s']) == (0.0, 0.5)
    plans = [FrequencyPlan.load(tmp_path / name / 'plan.yaml') for name in ('alone', 'paced')]
    own = [plan.paths['full'].expected_energy_j for plan in plans]
    assert own[1] < 2 * own[0], 'half a second of waiting would be many times as much'


def test_a_stream_shows_its_pace_whatever_pauses_and_drops():
    pace, stamp_s = StreamPace(), 1000.0
    for number in range(9):
        pace.observe(stamp_s + number / 30)
    assert pace.period_s == 0.0, 'too few'
    for number in range(9, 60):
        pace.observe(stamp_s + (number + (number > 40) * 300) / 30)  # a bag that paused
    assert pace.period_s == pytest.approx(1 / 30)
    pace.observe(5.0)  # it was begun again
    pace.observe(math.nan)
    assert pace.period_s == pytest.approx(1 / 30)


def test_a_camera_slower_than_ten_seconds_a_frame_has_a_pace_and_one_that_stands_still_none():
    slow, still = StreamPace(), StreamPace()
    for number in range(30):
        slow.observe(12.0 * number)
        still.observe(7.0)
    assert slow.period_s == 12.0
    assert still.period_s == 0.0


def _asleep(saves: float, after_s: float) -> BoardModel:
    """A board whose CPUs and GPU sleep in waits of a length."""
    share = {'value': saves, 'source': 'assumed'}
    state = IdleState(
        name='deep',
        min_residency_s=Sourced(after_s, 'assumed'),
        exit_latency_s=Sourced(0.0, 'assumed'),
        saves=dict.fromkeys(('cpu', 'gpu', 'emc', 'soc', 'base'), Sourced(**share)),
    )
    return BoardModel(MODEL.board.model_copy(update={'idle_states': (state,)}))


def test_frames_hurry_where_that_lets_the_board_sleep_and_stretch_where_it_does_not():
    fastest_s = search(ALONE).latency_s
    period_s = 4 * ALONE.fastest_s
    # The wait is long enough for the sleep only if frames are about as fast as they can be.
    after_s = period_s - 1.3 * ALONE.fastest_s
    calm = search(at_pace(ALONE, PATHS, SHARES, period_s, _asleep(0.0, after_s), True).problem)
    hurried = at_pace(ALONE, PATHS, SHARES, period_s, _asleep(0.9, after_s), True)
    found = search(hurried.problem)
    assert found.latency_s < calm.latency_s
    assert hurried.pause_s >= after_s
    # A sleep that no plan can reach changes nothing.
    never = search(at_pace(ALONE, PATHS, SHARES, period_s, _asleep(0.9, period_s), True).problem)
    assert (never.points == calm.points).all()
    assert fastest_s >= ALONE.fastest_s
