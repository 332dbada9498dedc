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

import numpy as np
import pytest

from e4_ros.energy.board_model import BoardModel, SegmentWork
from e4_ros.energy.boards import load_board
from e4_ros.profiling.planning.cost_table import CostTable
from e4_ros.profiling.planning.feedback import Feedback
from e4_ros.profiling.planning.lateness import WANTED, Lateness
from e4_ros.profiling.planning.objective import SwitchCost
from e4_ros.profiling.planning.replan import Replanner

WORKS = [
    SegmentWork('prepare', 200e6, 8e6, 20, 'cpu'),
    SegmentWork('stage0', 300e6, 70e6, 30),
    SegmentWork('stage1', 900e6, 20e6, 10),
]
PATHS = {'temporal': [0], 'exit1': [0, 1], 'full': [0, 1, 2]}
MODEL = BoardModel(load_board('jetson_orin_nano'))
TABLE = CostTable.from_board(MODEL, WORKS, 'net')
FASTEST_S = float(TABLE.latency_s.sum(axis=0).min())


class Stream:
    """Frames that take so many times as long as the table says, at the clocks of the plan."""

    def __init__(self, deadline_s: float) -> None:
        free = SwitchCost.none(TABLE.domains)
        self.replanner = Replanner(TABLE, PATHS, {'full': 1.0}, deadline_s, free, waiting=MODEL)
        for _ in range(10):  # waits make slow clocks pay
            self.replanner.observe('full', 2 * deadline_s)
        self.feedback = Feedback(self.replanner)
        self.plans = 0
        self.deadline_s = deadline_s

    def run(self, factor: float, frames: int = 1, exit_name: str = 'full') -> list[bool]:
        """Which of the frames were late."""
        late = []
        for _ in range(frames):
            path = self.replanner.plan.paths[exit_name]
            rows, points = path.segments, path.points
            seconds = [
                factor * float(TABLE.latency_s[row, TABLE.index(point)])
                for row, point in zip(rows, points, strict=True)
            ]
            found = self.feedback.observe(rows, seconds, points, points[0], points)
            self.plans += found is not None
            late.append(sum(seconds) > self.deadline_s * (1 + 1e-9))
        return late

    @property
    def by_table_s(self) -> float:
        """What the whole network takes by the table at the clocks of the plan."""
        points = self.replanner.plan.paths['full'].points
        return sum(TABLE.latency_s[row, TABLE.index(point)] for row, point in enumerate(points))

    @property
    def latency_s(self) -> float:
        """What the plan in force expects of the whole network."""
        return self.replanner.plan.paths['full'].expected_latency_s


def test_costs_as_expected_keep_the_plan():
    stream = Stream(2 * FASTEST_S)
    assert not any(stream.run(1.0, 300))
    assert stream.plans == 0


@pytest.mark.parametrize('factor', [1.5, 2.0, 3.0])
def test_frames_that_take_longer_raise_the_clocks_within_ten_frames(factor):
    stream = Stream(1.2 * factor * FASTEST_S)
    stream.run(1.0, 50)
    before = stream.latency_s
    late = stream.run(factor, 100)
    assert not any(late[10:])
    assert stream.latency_s <= stream.deadline_s
    assert max(stream.latency_s / factor, FASTEST_S) < before


def test_frames_that_take_less_time_lower_the_clocks_again():
    stream = Stream(1.3 * FASTEST_S)
    top = max(p['gpu'] for p in stream.replanner.plan.paths['full'].points)
    assert not any(stream.run(0.5, 100))
    assert max(p['gpu'] for p in stream.replanner.plan.paths['full'].points) < top
    assert stream.feedback.facts()['latency_factor'] == '0.50'


def test_what_was_raised_comes_down_again():
    stream = Stream(2.4 * FASTEST_S)
    stream.run(1.0, 20)
    calm_s = stream.by_table_s
    stream.run(2.0, 30)
    assert stream.by_table_s < 0.9 * calm_s
    stream.run(1.0, 400)
    assert stream.by_table_s == pytest.approx(calm_s, rel=0.05)


def test_single_late_frames_change_nothing():
    stream = Stream(2 * FASTEST_S)
    stream.run(1.0, 30)
    for _ in range(10):
        stream.run(6.0)
        stream.run(1.0, 25)
    assert stream.plans == 0


def test_noise_is_late_no_more_often_than_is_wanted():
    stream, rng = Stream(1.5 * FASTEST_S), np.random.default_rng(1)
    late = [stream.run(float(np.exp(0.05 * rng.standard_normal())))[0] for _ in range(2000)]
    assert np.mean(late[100:]) < 0.02
    assert stream.plans < 60


def test_a_deadline_out_of_reach_brings_the_fastest_clocks_and_peace():
    stream = Stream(1.1 * FASTEST_S)
    stream.run(3.0, 30)
    made = stream.plans
    assert stream.replanner.fastest_s == pytest.approx(3 * FASTEST_S, rel=0.01)
    assert stream.latency_s == pytest.approx(stream.replanner.fastest_s, rel=0.01)
    stream.run(3.0, 300)
    assert stream.plans == made
    assert stream.feedback.facts()['latency_margin'] == '1.00', 'no margin helps'


def test_a_frame_behind_a_pause_is_not_held_to_the_deadline():
    stream = Stream(2 * FASTEST_S)
    path = stream.replanner.plan.paths['full']
    for _ in range(100):
        stream.feedback.observe(path.segments, [1.0] * 3, path.points, None, bound=False)
    assert stream.feedback.facts()['late_share'] == '0.000'
    assert stream.feedback.facts()['latency_margin'] == '1.00'


def test_the_margin_settles_where_the_wanted_share_is_late():
    lateness, rng = Lateness(), np.random.default_rng(2)
    late = []
    for _ in range(20_000):
        late.append(rng.lognormal(0.0, 0.1) > lateness.margin)
        lateness.observe(late[-1], explained=False)
    assert np.mean(late) == pytest.approx(WANTED, abs=0.003)
