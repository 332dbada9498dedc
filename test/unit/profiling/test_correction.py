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

import math

import numpy as np
import pytest

from e4_ros.energy.board_model import BoardModel, SegmentWork
from e4_ros.energy.boards import load_board
from e4_ros.profiling.planning.correction import Correction
from e4_ros.profiling.planning.cost_table import CostTable
from e4_ros.profiling.planning.delays import play_segments
from e4_ros.profiling.planning.objective import SwitchCost

WORKS = [
    SegmentWork('prepare', 200e6, 8e6, 20, 'cpu'),
    SegmentWork('stage0', 300e6, 70e6, 30),
    SegmentWork('stage1', 900e6, 20e6, 10),
]
TABLE = CostTable.from_board(BoardModel(load_board('jetson_orin_nano')), WORKS, 'net')
SWITCH = SwitchCost((0.0, 0.0), (1e-3, 5e-3))
MIDDLE = TABLE.point(len(TABLE.coordinates) // 2)
TOP = TABLE.point(len(TABLE.coordinates) - 1)


def expected(rows, point=MIDDLE):
    return [float(TABLE.latency_s[row, TABLE.index(point)]) for row in rows]


def show(correction, factor, rows=(0, 1, 2), frames=1, point=MIDDLE):
    for _ in range(frames):
        seconds = [factor * s for s in expected(rows, point)]
        correction.observe(rows, seconds, [point] * len(rows), point)


@pytest.mark.parametrize('factor', [0.5, 1.0, 2.0, 7.0])
def test_a_constant_factor_is_found_at_once_and_is_sure_after_three_frames(factor):
    correction = Correction(TABLE, SWITCH)
    show(correction, factor)
    assert correction.factors == pytest.approx(factor)
    assert not correction.sure.any()
    show(correction, factor, frames=2)
    assert correction.factors == pytest.approx(factor)
    assert correction.sure.all()


def test_a_factor_that_was_seen_at_one_point_holds_at_all_of_them():
    correction = Correction(TABLE, SWITCH)
    show(correction, 2.0, frames=3)
    total_s = 2 * sum(expected(range(3), TOP))
    assert correction.expected_s([0, 1, 2], [TOP] * 3) == pytest.approx(total_s)
    scaled = TABLE.scaled(correction.factors)
    assert scaled.latency_s == pytest.approx(2 * TABLE.latency_s)
    power = scaled.energy_j / scaled.latency_s
    assert power == pytest.approx(TABLE.energy_j / TABLE.latency_s)


def test_single_spikes_move_nothing():
    correction = Correction(TABLE, SWITCH)
    show(correction, 1.2, frames=10)
    for _ in range(5):
        show(correction, 40.0)
        show(correction, 1.2, frames=6)
    assert correction.factors == pytest.approx(1.2)


def test_what_stays_is_followed_within_ten_frames_and_at_once_when_asked_to():
    slow, quick = Correction(TABLE, SWITCH), Correction(TABLE, SWITCH)
    for correction in (slow, quick):
        show(correction, 1.0, frames=50)
        show(correction, 2.0, frames=3)
    quick.catch_up()
    assert quick.factors == pytest.approx(2.0)
    assert (slow.factors < 1.5).all()
    show(slow, 2.0, frames=7)
    assert (slow.factors > 1.7).all()


def test_noise_is_averaged():
    correction, rng = Correction(TABLE, SWITCH), np.random.default_rng(0)
    for _ in range(100):
        show(correction, 1.5 * math.exp(0.05 * rng.standard_normal()))
    assert correction.factors == pytest.approx(1.5, rel=0.05)


def test_a_segment_that_has_not_run_takes_after_those_on_its_device():
    correction = Correction(TABLE, SWITCH)
    show(correction, 3.0, rows=(0,), frames=3)
    assert correction.factors == pytest.approx([3.0, 1.0, 1.0]), 'the CPU says nothing of the GPU'
    show(correction, 2.0, rows=(0, 1), frames=3)
    assert correction.factors[2] == pytest.approx(2.0)
    assert correction.sure[2]


@pytest.mark.parametrize('factor', [0.5, 1.0, 3.0])
def test_clocks_that_change_late_within_segments_are_no_change_of_the_factor(factor):
    correction, rows, asked = Correction(TABLE, SWITCH), [0, 1, 2], [TOP, MIDDLE, TOP]
    numbers = [TABLE.index(point) for point in asked]
    played = list(play_segments(TABLE, SWITCH, rows, numbers, TABLE.index(MIDDLE), [factor] * 3))
    seconds, ends = [p.latency_s for p in played], [TABLE.point(p.point) for p in played]
    assert seconds[0] < factor * expected([0])[0]
    for _ in range(40):
        correction.observe(rows, seconds, ends, MIDDLE, asked)
    assert correction.factors == pytest.approx(factor, rel=0.01)


@pytest.mark.parametrize('asked', [None, [MIDDLE], [{}]])
def test_clocks_that_changed_as_nobody_expected_prove_only_what_they_must(asked):
    correction = Correction(TABLE, SWITCH)
    slow, fast = expected([1], MIDDLE)[0], expected([1], TOP)[0]
    for _ in range(10):
        correction.observe([1], [(slow + fast) / 2], [TOP], MIDDLE, asked)
    assert correction.factors[1] == pytest.approx(1.0)
    for _ in range(30):  # longer than even the old clocks allow
        correction.observe([1], [1.3 * slow], [TOP], MIDDLE, asked)
    assert correction.factors[1] == pytest.approx(1.3, rel=0.01)


@pytest.mark.parametrize('seconds', [math.nan, math.inf, 0.0, -1.0])
def test_times_that_make_no_sense_teach_nothing(seconds):
    correction = Correction(TABLE, SWITCH)
    correction.observe([0, 1, 2], [seconds] * 3, [MIDDLE] * 3, MIDDLE)
    assert (correction.factors == 1).all()


@pytest.mark.parametrize(
    ('points', 'before'),
    [
        ([{}, {}, {}], None),
        ([{'cpu': 0, 'gpu': 0}] * 3, {}),
        ([{name: hz // 2 + 7 for name, hz in TABLE.point(0).items()}] * 3, MIDDLE),
        ([MIDDLE], MIDDLE),
    ],
)
def test_clocks_that_nobody_knows_or_that_the_table_lacks_teach_nothing(points, before):
    correction = Correction(TABLE, SWITCH)
    for _ in range(5):
        correction.observe([0, 1, 2], [1.0] * 3, points, before)
    assert (correction.factors == 1).all()
    assert not correction.sure.any()
