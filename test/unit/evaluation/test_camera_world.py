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
"""Simulated cameras: every image is counted, the bound holds, and service levels are kept."""

from __future__ import annotations

import time

import numpy as np
import pytest

from e4_ros.evaluation.simulation.camera_bound import most_value
from e4_ros.evaluation.simulation.camera_world import (
    ARRIVALS,
    RIVALS,
    CameraWorld,
    Image,
    LevelsPlayer,
    make_world,
    play_levels,
)
from e4_ros.evaluation.simulation.interference import fit_net, judge, measure_times
from e4_ros.perception.camera_costs import CameraCosts
from e4_ros.perception.controllers.bcedge import BCEdgeExact, BCEdgeGreedy
from e4_ros.perception.interference import Conditions

CPU = CameraCosts('cpu', {(1, 1): 0.015, (2, 1): 0.031, (4, 1): 0.065, (1, 2): 0.031}, 0.0015)
GPU = CameraCosts('gpu', {(1, 1): 0.015, (2, 1): 0.018, (4, 1): 0.024}, 0.0015)
PLAYERS = {
    **RIVALS,
    'levels': play_levels,
    'bcedge:exact': lambda world: play_levels(world, BCEdgeExact(world.table, largest=8)),
    'bcedge:greedy': lambda world: play_levels(world, BCEdgeGreedy(8)),
}


@pytest.mark.parametrize('arrivals', ARRIVALS)
def test_every_image_is_in_time_or_late_or_dropped_and_nobody_beats_the_bound(arrivals):
    world = make_world(CPU, 1.2, arrivals=arrivals, seconds=3.0)
    bound = most_value(world)
    assert bound <= 1
    for name, player in PLAYERS.items():
        play = player(world)
        told = sum(play.in_time) + sum(play.late) + sum(play.dropped)
        assert told == len(world.images), name
        assert len(play.ages_s) == sum(play.in_time) + sum(play.late)
        assert play.value <= bound + 1e-9, name


@pytest.mark.parametrize('arrivals', ARRIVALS)
def test_at_full_load_service_levels_are_kept_where_a_queue_fails(arrivals):
    world = make_world(CPU, 1.0, arrivals=arrivals, seconds=10.0)
    ours, queue = play_levels(world), RIVALS['fifo'](world)
    assert ours.miss_percent <= 5
    assert queue.miss_percent > 20
    assert ours.starvation <= 2
    assert play_levels(world, BCEdgeExact(CPU, largest=8)).value == ours.value


def test_where_batches_pay_the_exact_policy_takes_them():
    world = make_world(GPU, 2.5, slo_s=[0.2] * 4, arrivals='burst', seconds=4.0)
    batched = play_levels(world, BCEdgeExact(GPU, largest=8))
    alone = play_levels(world)
    assert batched.held_percent < alone.held_percent
    assert batched.value > alone.value


def test_the_rivals_answer_a_lonely_image_at_once():
    world = CameraWorld([0.1], [Image(0, 1.0, True, 0.1)], CPU, [1.0])
    for name, player in PLAYERS.items():
        (age_s,) = player(world).ages_s
        expected = 0.0165 + (0.01 if name == 'ray.serve.batch' else 0)
        assert age_s == pytest.approx(expected), name


def test_an_empty_world_ends():
    world = CameraWorld([0.1], [], CPU, [1.0])
    assert most_value(world) == 1
    for player in PLAYERS.values():
        play = player(world)
        assert (play.images, play.value) == (0, 0.0)


def test_unknown_arrivals_are_refused():
    with pytest.raises(ValueError, match=r'no arrivals .daily.; there are periodic'):
        make_world(CPU, 1.0, arrivals='daily')


def test_the_tracks_answer_and_the_network_is_owed():
    images = [Image(0, 0.0, True, 0.2), Image(0, 0.1, True, 0.01), Image(0, 0.2, False, 0.2)]
    player = LevelsPlayer(CameraWorld([0.01], images, CPU, [0.1]))
    play = player.run()
    assert sum(play.in_time) + sum(play.late) == 3
    assert play.held[0] == 2, 'the third wants what the second had no time for'


def test_interference_is_predicted_by_a_fit_that_has_not_seen_it():
    conditions = [
        Conditions(b, m, busy, share)
        for b in (1, 2, 4)
        for m in (1, 2)
        for busy in (0, 1, 2)
        for share in (0.0, 0.5, 1.0)
    ]
    times = [
        (c, 0.01 * c.batch * max(1.0, (c.instances + c.cores_busy) / 2) * (1 + 0.4 * c.other_share))
        for c in conditions
    ]
    verdict = judge(times, 2)
    assert verdict.measured == 54
    assert verdict.net_percent < verdict.linear_percent
    assert verdict.net_percent < 20
    net = fit_net(times, 2)
    busy, idle = (net.times(Conditions(1, 1, cores)) for cores in (2, 0))
    assert busy > idle


def test_conditions_are_measured_and_no_process_is_left():
    shown = []
    times = measure_times(
        {1: [lambda: time.sleep(0.001)] * 2},
        lambda: time.sleep(0.001),
        0.005,
        lambda done, total: shown.append((done, total)),
    )
    assert len(times) == 18
    assert shown[-1] == (18, 18)
    assert all(np.isfinite(seconds) and seconds > 0 for _, seconds in times)
