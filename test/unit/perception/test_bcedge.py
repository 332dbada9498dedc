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
"""BCEdge's policies: what they choose for cameras under service levels."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from e4_ros.perception.active_plan import Stream
from e4_ros.perception.camera_costs import CameraCosts
from e4_ros.perception.controller import BoardState, Observation, Outcome
from e4_ros.perception.controllers import bcedge, make_controller
from e4_ros.perception.controllers.context import Context
from e4_ros.perception.interference import LinearInflation
from e4_ros.perception.schedule import CameraState, Schedule
from e4_ros.vision.inference.batch_times import BatchTable, BatchTime

STREAM = Stream('net', [], {'track': [], 'full': []})
CPU = CameraCosts('cpu', {(1, 1): 0.015, (2, 1): 0.031, (4, 1): 0.065, (1, 2): 0.031}, 0.0015)
GPU = CameraCosts('gpu', {(1, 1): 0.01, (2, 1): 0.012, (4, 1): 0.016, (4, 2): 0.024}, 0.0015)


def cameras(*slo_s, waiting=1, period_s=0.02):
    return [
        CameraState(str(i), waiting, 0.001, seconds, period_s) for i, seconds in enumerate(slo_s)
    ]


def decided(controller, queues, **seen):
    return controller.decide(Observation(cameras=queues, **seen)).schedule


@pytest.mark.parametrize('name', ['bcedge', 'bcedge:exact', 'bcedge:greedy'])
def test_without_a_service_level_nothing_is_decided(name):
    controller = make_controller(name, Context(STREAM, batches=GPU, largest=8))
    assert decided(controller, []) is None
    assert decided(controller, cameras(0.0, 0.0)) is None


def test_on_a_device_where_batches_do_not_pay_one_frame_runs_at_a_time():
    assert CPU.gain <= 1.02
    controller = bcedge.BCEdgeExact(CPU, largest=8)
    decision = controller.decide(Observation(cameras=cameras(0.05, 0.1)))
    assert decision.schedule == Schedule(drop_late=True)
    assert 'no batch pays' in decision.why


def test_where_they_pay_the_batch_grows_as_far_as_the_tightest_level_allows():
    controller = bcedge.BCEdgeExact(GPU, largest=8)
    many = cameras(*[0.2] * 8)
    assert (decided(controller, many).batch, decided(controller, many).instances) == (4, 2)
    tight = cameras(0.011, *[0.2] * 7)
    assert decided(controller, tight) == Schedule(drop_late=True)
    few = cameras(0.2, waiting=1, period_s=1.0)
    assert decided(controller, few).batch == 1, 'nobody comes to fill a batch in time'


def test_what_cannot_be_carried_out_is_not_asked_for():
    many = cameras(*[0.2] * 8)
    assert decided(bcedge.BCEdgeExact(GPU, largest=1), many).batch == 1
    schedule = decided(bcedge.BCEdgeExact(GPU, largest=4), many)
    assert schedule.batch * schedule.instances <= 4


def test_predicted_interference_filters():
    slow = LinearInflation(np.array([0, 0, 1.0, 0, 0, 1.0]), 2)  # one core busy: twice the time
    controller = bcedge.BCEdgeExact(GPU, slow, largest=8)
    queues = cameras(*[0.04] * 8)
    assert decided(controller, queues).instances == 2
    busy = BoardState(utilisation={'cpu': 1.0})
    assert decided(controller, queues, board=busy).instances == 1, '48 ms would be too late'


def test_greedy_backs_off_where_somebody_is_late_and_never_asks_for_too_much():
    controller = bcedge.BCEdgeGreedy(largest=4)
    batches = [decided(controller, cameras(0.1, 0.1)).batch for _ in range(60)]
    assert batches[-1] == 4
    late = [replace(camera, age_s=0.2) for camera in cameras(0.1, 0.1)]
    for _ in range(20):
        fewer = decided(controller, late)
    assert fewer.batch == 1
    assert {decided(bcedge.BCEdgeGreedy(), cameras(0.1)).batch for _ in range(9)} == {1}


def test_greedy_finds_the_margin_that_misses_least():
    controller, missed = bcedge.BCEdgeGreedy(), 0.5
    chosen = []
    for _ in range(400):
        queues = [replace(camera, missed=missed) for camera in cameras(0.1, 0.1)]
        schedule = decided(controller, queues, last=Outcome('full', 0.01))
        missed = 0.02 if schedule.margin == 1.5 else 0.5
        chosen.append(schedule.margin)
    assert chosen[200:].count(1.5) > 150


def test_every_action_is_a_schedule_and_they_all_differ():
    one = {bcedge.schedule_of([action]) for action in range(bcedge.ACTIONS)}
    assert len(one) == bcedge.ACTIONS
    assert bcedge.schedule_of([bcedge.action_of((3, 2, 1))]) == bcedge.schedule_of([3, 2, 1])
    assert bcedge.schedule_of([3, 2, 1]) == Schedule(4, 0.0, 2, True, None, math.inf)


def test_a_state_is_finite_for_any_number_of_cameras():
    for count in (0, 1, 4, 9):
        queues = [CameraState(str(i), i % 2, 0.5, 0.05) for i in range(count)] or cameras(0.1)
        for last in (None, Outcome('full', math.nan)):
            state = bcedge.state_of(queues, last)
            assert state.shape == (bcedge.STATE,)
            assert np.isfinite(state).all()


def test_costs_come_from_measured_tables_and_what_is_none_is_refused():
    one = BatchTable(
        'gpu', (BatchTime(1, 1, 0.01, 0.01, 0.01), BatchTime(4, 1, 0.016, 0.004, 0.01))
    )
    two = BatchTable('gpu', (BatchTime(1, 2, 0.011, 0.0055, 0.01),))
    costs = CameraCosts.of([one, two], 0.001)
    assert costs.run_s == {(1, 1): 0.01, (4, 1): 0.016, (1, 2): 0.011}
    assert costs.pays
    assert costs.gain == pytest.approx(2.5)
    assert costs.seconds(5, 1) == pytest.approx(0.032)
    with pytest.raises(ValueError, match='not above 0'):
        CameraCosts('x', {(1, 1): -1.0}, 0.001)
    with pytest.raises(ValueError, match='no batch of one'):
        CameraCosts('x', {(2, 1): 1.0}, 0.001)
