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

import pytest

from e4_ros.offload.request import FEATURES, FRAME, LOCAL, NETWORK, TAIL, TEACHER, Offload
from e4_ros.perception.schedule import CameraState, Schedule
from e4_ros.perception.weights import Weights


def test_what_makes_sense_can_be_asked_for():
    assert not LOCAL.service
    assert Offload(TAIL, FEATURES, 'add_5', bits=4).cut == 'add_5'
    assert Offload(TEACHER, FRAME, quality=50, deadline_s=1.0).service == TEACHER


@pytest.mark.parametrize(
    'asked',
    [
        {'service': 'brain'},
        {'service': TAIL, 'form': FRAME},
        {'service': TAIL, 'form': FEATURES},
        {'service': NETWORK, 'form': FEATURES, 'cut': 'add_5'},
        {'service': NETWORK, 'form': FRAME, 'cut': 'add_5'},
        {'service': NETWORK, 'form': 'film'},
        {'service': NETWORK, 'quality': 0},
        {'service': TAIL, 'form': FEATURES, 'cut': 'add_5', 'bits': 3},
        {'service': NETWORK, 'deadline_s': 0.0},
        {'service': NETWORK, 'deadline_s': float('nan')},
        {'service': NETWORK, 'meanwhile': 'wait'},
    ],
)
def test_what_makes_none_is_refused(asked):
    with pytest.raises(ValueError, match=r'features|' + str(list(asked.values())[-1])):
        Offload(**asked)


BAD = [(-1, 1, 1), (0, 0, 0), (float('nan'), 1, 1), (float('inf'), 1, 1)]


@pytest.mark.parametrize('given', BAD)
def test_weights_that_weigh_nothing_are_refused(given):
    with pytest.raises(ValueError, match='0 or more'):
        Weights(*given)


def test_weights_sum_to_one():
    weights = Weights(2, 1, 1)
    assert (weights.accuracy, weights.latency, weights.energy) == (0.5, 0.25, 0.25)


def test_slack_is_what_is_left_of_the_deadline():
    assert CameraState(waiting=1, age_s=0.03, deadline_s=0.1).slack_s == pytest.approx(0.07)
    assert CameraState().slack_s == float('inf')


@pytest.mark.parametrize('given', [{'batch': 0}, {'instances': 0}, {'wait_s': -1.0}])
def test_a_schedule_that_runs_nothing_is_refused(given):
    with pytest.raises(ValueError, match='no schedule'):
        Schedule(**given)
