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

"""Joules with the waits between frames, by hand and by a run."""

import math
from dataclasses import replace

import pytest

from e4_ros.energy.board_model import BoardModel, Cost
from e4_ros.energy.boards import load_board
from e4_ros.evaluation.report.summary import summarise
from e4_ros.evaluation.waits import period_s, with_waits

SPENT = {'temporal': Cost(0.001, 0.002), 'exit1': Cost(0.005, 0.01), 'full': Cost(0.02, 0.03)}
BASELINE = Cost(0.02, 0.04)


@pytest.fixture
def model():
    return BoardModel(load_board('jetson_orin_nano'))


def waited_j(model, wait_s):
    return model.idle_w(wait_s=wait_s) * wait_s


def test_a_wait_costs_what_the_idle_board_draws(model, records):
    found = with_waits(model, records, 0.1, SPENT, None, BASELINE)
    taken = {'temporal': 6, 'exit1': 3, 'full': 3}
    expected = sum(
        count * (SPENT[name].energy_j + waited_j(model, 0.1 - SPENT[name].latency_s))
        for name, count in taken.items()
    )
    assert found.energy_j == pytest.approx(expected / 12)
    assert found.baseline_energy_j == pytest.approx(0.04 + waited_j(model, 0.08))


def test_frames_that_are_late_do_not_wait(model, records):
    found = with_waits(model, records, 0.0005, SPENT, None, BASELINE)
    assert found.baseline_energy_j == 0.04


def test_the_pace_is_that_of_the_stamps(records):
    at = [replace(record, stamp_s=0.04 * i) for i, record in enumerate(records)]
    assert period_s(at) == pytest.approx(0.04)
    paused = [*at[:6], *(replace(r, stamp_s=r.stamp_s + 60) for r in at[6:])]
    assert period_s(paused) == pytest.approx(0.04)
    assert math.isnan(period_s(at[:1]))
    assert math.isnan(period_s([replace(r, stamp_s=10.0 * i) for i, r in enumerate(records)]))


def test_pictures_without_a_pace_have_none(model, records):
    assert with_waits(model, records, math.nan, SPENT, None, BASELINE) is None


def test_both_figures_are_in_the_summary(model, records, info):
    found = with_waits(model, records, 0.1, SPENT, None, BASELINE)
    summary = summarise(records, info(records, with_waits=found))
    assert summary.energy_j_per_frame < summary.with_waits.energy_j
    assert summary.with_waits.period_s == 0.1
