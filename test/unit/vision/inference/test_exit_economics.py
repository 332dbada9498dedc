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

from e4_ros.vision.inference.exit_economics import ExitCost, ExitEconomics

TEMPORAL = ExitCost(asked_s=1e-3, saved_s=7e-3)
MID = ExitCost(asked_s=1e-3, saved_s=4e-3)


def feed(economics, names, rate, frames, taken=None):
    """Frames of which a share is answered by the last of ``names``; how many asked anything."""
    rng = np.random.default_rng(0)
    asked_frames = 0
    for _ in range(frames):
        asked = [name for name in names if economics.asks(name)]
        if 'temporal' in names and 'temporal' not in asked:
            asked = []
        asked_frames += bool(asked)
        goal = taken or names[-1]
        early = goal in asked and rng.random() < rate
        economics.note(asked, goal if early else 'full')
    return asked_frames


def test_exit_that_answers_often_enough_is_always_asked():
    economics = ExitEconomics({'exit1': MID})
    assert feed(economics, ['exit1'], rate=0.5, frames=2000) == 2000


def test_exit_that_never_answers_is_asked_a_few_times_in_hundreds_of_frames():
    economics = ExitEconomics({'exit1': MID})
    assert feed(economics, ['exit1'], rate=0.0, frames=250) < 15
    assert feed(economics, ['exit1'], rate=0.0, frames=10_000) < 250


def test_exit_comes_back_when_the_scene_does():
    economics = ExitEconomics({'exit1': MID})
    feed(economics, ['exit1'], rate=0.0, frames=1000)
    feed(economics, ['exit1'], rate=0.9, frames=400)
    assert feed(economics, ['exit1'], rate=0.9, frames=500) == 500


def test_loss_is_bounded_by_a_few_answers():
    """Whatever the rate, asking costs no more than about a hundredth of the full network."""
    for rate in (0.0, 0.1, 0.2, 0.24):
        economics = ExitEconomics({'exit1': MID})
        asked = feed(economics, ['exit1'], rate, frames=5000)
        balance_s = asked * (rate * MID.saved_s - MID.asked_s)
        assert balance_s > -0.02 * 5000 * MID.saved_s


def test_exits_behind_rest_alone_where_the_temporal_exit_pays():
    economics = ExitEconomics({'temporal': TEMPORAL, 'exit1': MID})
    rng = np.random.default_rng(0)
    for _ in range(100):
        asked = [name for name in ('temporal', 'exit1') if economics.asks(name)]
        economics.note(asked, 'temporal' if rng.random() < 0.4 else 'full')
    assert economics.asks('temporal')
    assert economics.resting == ['exit1']


def test_temporal_exit_is_kept_for_the_sake_of_the_one_behind_it():
    economics = ExitEconomics({'temporal': TEMPORAL, 'exit1': MID})
    feed(economics, ['temporal', 'exit1'], rate=0.9, frames=500, taken='exit1')
    assert economics.resting == []


def test_both_rest_where_neither_pays():
    economics = ExitEconomics({'temporal': TEMPORAL, 'exit1': MID})
    asked = feed(economics, ['temporal', 'exit1'], rate=0.0, frames=250)
    assert asked < 30
    assert 'temporal' in economics.resting


def test_rate_in_calibration_decides_the_start():
    costs = {'temporal': TEMPORAL, 'exit1': MID}
    assert ExitEconomics(costs, {'temporal': 0.6, 'exit1': 0.2}).resting == []
    assert ExitEconomics(costs, {'temporal': 0.6, 'exit1': 0.02}).resting == ['exit1']
    assert ExitEconomics(costs, {'temporal': 0.02, 'exit1': 0.02}).resting == ['temporal', 'exit1']
    assert ExitEconomics(costs, {'temporal': 0.02, 'exit1': 0.8}).resting == []


def test_unknown_rates_let_all_be_tried():
    assert ExitEconomics({'temporal': TEMPORAL, 'exit1': MID}, {'temporal': 0.0}).resting == []


def test_verdict_speaks_plainly():
    verdict = ExitEconomics({'exit1': MID}, {'exit1': 0.1}).verdicts['exit1']
    assert 'takes 1.00 ms' in verdict
    assert 'saves 4.00 ms' in verdict
    assert 'more than 25%' in verdict
    assert '10%' in verdict
    assert 'rests' in verdict
    dear = ExitEconomics({'exit1': ExitCost(asked_s=5e-3, saved_s=4e-3)}).verdicts['exit1']
    assert 'never pays' in dear


def test_exit_of_unknown_cost_is_always_asked():
    economics = ExitEconomics({})
    economics.note(['exit1'], 'full')
    assert economics.asks('exit1')


@pytest.mark.parametrize('cost', [ExitCost(0.0, 4e-3), ExitCost(1e-6, 4e-3)])
def test_exit_that_costs_next_to_nothing_never_rests(cost):
    economics = ExitEconomics({'exit1': cost})
    assert feed(economics, ['exit1'], rate=0.0, frames=3000) == 3000
