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

"""A robot, a link and a server on a timeline: its own rules, and files that are no traces."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from e4_ros.evaluation.simulation.edge_play import Timeline, bound, late_percent, mean_cost, play
from e4_ros.evaluation.simulation.edge_server_load import Crowd, waits
from e4_ros.evaluation.simulation.edge_traces import (
    STEP_S,
    LinkTrace,
    TraceError,
    Weather,
    load_trace,
    markov_trace,
)
from e4_ros.evaluation.simulation.edge_world import Conditions, Scenario
from e4_ros.offload.request import EDGE, LOCAL, NETWORK, Offload
from e4_ros.perception.controller import ControllerError, Decision, Observation
from e4_ros.perception.controllers import make_controller
from e4_ros.perception.controllers.base import DepthOnly
from e4_ros.perception.controllers.dvfo.costs import Price

WIFI = Scenario()
FAST = LinkTrace(np.full(1000, 50e6), np.zeros(1000))
DEAD = LinkTrace(np.zeros(1000), np.zeros(1000))
ALONE = Crowd((0.0, 0.0))


def test_the_same_seed_makes_the_same_world_and_another_another():
    one, same, other = (Conditions.of(WIFI, seed, 200) for seed in (1, 1, 2))
    assert np.array_equal(one.bits, same.bits)
    assert np.array_equal(one.wait_s, same.wait_s)
    assert np.array_equal(one.key, same.key)
    assert not np.array_equal(one.bits, other.bits)


def test_made_links_have_the_rates_and_losses_that_were_asked_for():
    weather = Weather((8.0, 0.0), stay_s=1.0, outage_s=1.0, loss=(0.0, 0.5), good_s=3.0, bad_s=1.0)
    trace = markov_trace(1, 2000.0, weather)
    assert set(trace.rate_bps) == {0.0, 8e6}
    assert trace.mean_bps == pytest.approx(4e6, rel=0.1)
    assert np.mean(trace.loss == 0.5) == pytest.approx(0.25, abs=0.03)


def test_others_wait_at_a_server_as_queues_say():
    """M/M/1 at load .7: the work before a request takes .7 / .3 = 2.3 service times in the mean."""
    found = waits(1, 4000.0, Crowd((0.7, 0.7), 10.0, 0.02))
    assert found.mean() == pytest.approx(0.7 / 0.3 * 0.02, rel=0.2)
    assert not waits(1, 10.0, ALONE).any()


def test_a_request_takes_what_the_link_carries():
    world = Conditions.of(replace(WIFI, trace=FAST, crowd=ALONE), 1, 10)
    away_s, send_s = world.away(0, np.array([0.1]), np.array([1e6]), np.array([0.01]))
    assert send_s[0] == pytest.approx(0.02)
    assert away_s[0] == pytest.approx(0.02 + FAST.round_trip_s + 0.01 * world.server[0])
    through = LinkTrace(np.array([1e6] * 10 + [0.0] * 50 + [1e6] * 940), np.zeros(1000))
    world = Conditions.of(replace(WIFI, trace=through, crowd=ALONE), 0, 10)
    start_s = 0.1 - STEP_S / 2
    shift = np.argmin(world.trace.rate_bps[:1000] > 0) * STEP_S - 0.1  # it begins somewhere
    _, send_s = world.away(0, np.array([start_s + shift]), np.array([1e4]), np.array([0.0]))
    assert send_s[0] == pytest.approx(0.5 + 1e4 / 1e6)  # it waits for the end of the outage


def test_no_request_comes_back_over_a_dead_link_and_nothing_breaks():
    world = Conditions.of(replace(WIFI, trace=DEAD), 1, 60)
    for name in ('dvfo:exact', 'dvfo:greedy'):
        answers = play(world, make_controller(name, world.scenario.context()))
        assert len(answers) == 60
        assert not any(answer.sent for answer in answers)
        assert late_percent(answers, WIFI.price) == 0.0


@pytest.mark.parametrize(
    'name',
    ['dvfo:exact', 'dvfo:greedy', 'dvfo:learned', 'fixed:max+exits', 'fixed:max', 'fixed:min'],
)
def test_nobody_costs_less_than_the_bound_and_everybody_answers_all(name):
    gpu = Scenario('jetson_orin_nano', 'cuda', 1.0, price=Price(), period_s=0.1)
    for scenario, seed in ((WIFI, 1), (WIFI, 2), (gpu, 1)):
        world = Conditions.of(scenario, seed, 100)
        answers = play(world, make_controller(name, scenario.context()))
        assert len(answers) == 100
        assert mean_cost(answers) >= bound(world).mean() - 1e-9


def test_a_fast_link_is_worth_something():
    fast = Conditions.of(replace(WIFI, trace=FAST, crowd=ALONE), 1, 200)
    dead = Conditions.of(replace(WIFI, trace=DEAD, crowd=ALONE), 1, 200)
    cost = [mean_cost(play(w, make_controller('dvfo', WIFI.context()))) for w in (fast, dead)]
    assert cost[0] < 0.85 * cost[1]


class Always(DepthOnly):
    """One decision for ever."""

    def __init__(self, decision: Decision) -> None:
        super().__init__(exits=True)
        self._decision = decision

    def decide(self, seen: Observation) -> Decision:
        return self._decision


def test_a_frame_that_comes_while_the_robot_computes_is_left_to_the_tracks():
    state = WIFI.board_state()
    slowest = {name: table[0] for name, table in state.tables.items()}
    world = Conditions.of(replace(WIFI, key_share=0.9), 1, 100)
    answers = play(world, Always(Decision({}, point=slowest, offload=LOCAL)))
    assert len(answers) == 100
    assert late_percent(answers, WIFI.price) > 10
    assert any(answer.joules == pytest.approx(0, abs=0.5) and answer.f1 < 1 for answer in answers)


def test_a_request_is_not_sent_while_the_one_before_blocks_the_link():
    crawling = LinkTrace(np.full(1000, 5e5), np.zeros(1000))
    world = Conditions.of(replace(WIFI, trace=crawling, key_share=0.95), 1, 40)
    way = next(c.offload for c in WIFI.choices if c.offload.service == NETWORK)
    answers = play(world, Always(Decision({}, offload=way)))
    sent = np.flatnonzero([answer.sent for answer in answers])
    assert 1 < len(sent) < 25  # 33 kB take half a second there: every other frame at most
    assert np.diff(sent).min() >= 2
    assert not any(answer.place == EDGE for answer in answers)


@pytest.mark.parametrize(
    'decision',
    [
        Decision(version='small'),
        Decision(point={'cpu': 5}),
        Decision({'exit1': 0.5}),
        Decision(offload=Offload(NETWORK, quality=99)),
    ],
)
def test_what_the_world_cannot_do_is_refused(decision):
    with pytest.raises(ControllerError):
        Timeline(Conditions.of(WIFI, 1, 3)).carry(decision)


def test_a_log_of_ones_own_is_played(tmp_path):
    file = tmp_path / 'log.csv'
    file.write_text('t,Mbit/s\n100,8\n100.5,0\n101,2\n')
    trace = load_trace(file)
    assert trace.seconds == pytest.approx(2.0)
    assert set(trace.rate_bps) == {8e6, 0.0, 2e6}
    assert trace.rate_bps[49] == 8e6
    assert trace.rate_bps[50] == 0.0
    world = Conditions.of(replace(WIFI, trace=trace), 1, 100)  # 25 s: it is repeated
    assert len(world.bits) > 2500


@pytest.mark.parametrize(
    ('text', 'says'),
    [
        ('', 'has no line'),
        ('t,Mbit/s\n', 'has no line'),
        ('0,1\n1,fast\n', 'line 2'),
        ('0,1\n1\n', 'line 2'),
        ('0,1,2\n', 'line 1'),
        ('0,1\n1,-3\n', 'a rate of -3'),
        ('0,1\n1,nan\n', 'a rate of nan'),
        ('0,1\n1,inf\n', 'a rate of inf'),
        ('0,1\nnan,2\n', 'at nan s'),
        ('1,1\n0,2\n', 'follows'),
        ('0,1\n1e12,2\n', 'times are in seconds'),
    ],
)
def test_a_log_of_garbage_is_refused_by_its_line(tmp_path, text, says):
    file = tmp_path / 'log.csv'
    file.write_text(text)
    with pytest.raises(TraceError, match=says):
        load_trace(file)


def test_a_file_that_is_no_text_is_refused(tmp_path):
    file = tmp_path / 'log.csv'
    file.write_bytes(b'\xff\xfe\x00\x01' * 50)
    with pytest.raises(TraceError, match=r'no text|not seconds'):
        load_trace(file)
    with pytest.raises(OSError, match='absent'):
        load_trace(tmp_path / 'absent.csv')


def test_negative_weights_make_no_world():
    with pytest.raises(ValueError, match='0 or more'):
        Price(energy=-0.5)
    with pytest.raises(ValueError, match='deadline'):
        Price(deadline_s=0.0)
