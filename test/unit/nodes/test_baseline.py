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
from collections.abc import Sequence

import numpy as np
import pytest

from e4_ros.energy.board_model import BoardModel, works_of
from e4_ros.energy.boards import load_board
from e4_ros.nodes.baseline import Baseline
from e4_ros.perception.frequency_control import LONGEST_WAIT_S, NoControl, default_cost
from e4_ros.perception.metered_frames import Aside
from e4_ros.perception.setup import EngineOptions, set_up

BOARD = 'jetson_orin_nano'
FRAME = np.zeros((120, 160, 3), np.uint8)


@pytest.fixture(scope='module')
def full():
    return set_up(EngineOptions('pedestrian_ssdlite', exits=False, threads=1)).engine


def test_an_image_pays_for_the_wait_before_it(full):
    model = BoardModel(load_board(BOARD))
    alone = default_cost(model, works_of(full.segments), full.paths['full'])
    baseline, joules = Baseline(full, 1), []
    for stamp_s in (5.0, 5.1, 5.1 + 2 * LONGEST_WAIT_S, 0.0):
        assert baseline.is_due(1, stamp_s)
        joules.append(baseline.process(FRAME, stamp_s, BOARD).energy_j)
    wait_s = 0.1 - alone.latency_s
    with_wait_j = alone.energy_j + model.idle_w(wait_s=wait_s) * wait_s
    assert wait_s > 0
    assert joules == pytest.approx([alone.energy_j, with_wait_j, alone.energy_j, alone.energy_j])


def test_the_wait_is_since_the_last_image_not_since_the_last_that_was_compared(full):
    baseline = Baseline(full, 3)
    assert [baseline.is_due(number, number / 10) for number in range(4)] == [
        True,
        False,
        False,
        True,
    ]
    often = Baseline(full, 1)
    assert often.is_due(2, 0.2)
    assert often.is_due(3, 0.3)
    joules = [b.process(FRAME, 0.3, BOARD).energy_j for b in (baseline, often)]
    assert joules[0] == joules[1]


def test_without_a_described_board_there_are_no_joules(full):
    record = Baseline(full, 1).process(FRAME, 0.0, 'a_board_nobody_described')
    assert math.isnan(record.energy_j)
    assert record.energy_source == 'none'


class MeasuredBeside(NoControl):
    """A meter that has seen 0.5 J more than a board takes that waits at 4 W, in 30 ms."""

    def end_aside(self, exit_name: str = '', segments: Sequence[int] = ()) -> Aside:
        return Aside(0.5, 'measured', 0.03, 4.0)


def test_where_joules_are_measured_an_image_pays_for_itself_and_the_rest_of_its_time(full):
    baseline, joules = Baseline(full, 1), []
    for stamp_s in (5.0, 5.1, 5.11):  # the last came sooner than the network was ready
        baseline.is_due(1, stamp_s)
        record = baseline.process(FRAME, stamp_s, BOARD, MeasuredBeside())
        assert record.energy_source == 'measured'
        joules.append(record.energy_j)
    assert joules == pytest.approx([0.5 + 4 * 0.03, 0.5 + 4 * 0.1, 0.5 + 4 * 0.03])
