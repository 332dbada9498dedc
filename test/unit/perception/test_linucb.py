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

import numpy as np
import pytest

from e4_ros.perception.controllers.linucb import Residual

CONSTANT = np.ones(1)


def test_what_the_table_leaves_out_is_learnt():
    learnt = Residual(1, curiosity=0.0)
    for _ in range(200):
        learnt.observe('edge', CONSTANT, expected=10.0, cost=30.0)
    assert learnt.expect('edge', CONSTANT, 10.0) == pytest.approx(30.0, rel=0.05)


def test_a_choice_that_nobody_tried_is_credited_the_doubt():
    learnt = Residual(1, curiosity=1.0)
    for _ in range(50):
        learnt.observe('edge', CONSTANT, 10.0, 10.0)
    assert learnt.expect('never', CONSTANT, 10.0) < learnt.expect('edge', CONSTANT, 10.0)


def test_a_drift_is_followed():
    learnt = Residual(1, curiosity=0.0, forget=0.9)
    for cost in [10.0] * 500 + [20.0] * 60:
        learnt.observe('edge', CONSTANT, 10.0, cost)
    assert learnt.expect('edge', CONSTANT, 10.0) == pytest.approx(20.0, rel=0.05)


def test_a_cost_that_is_none_teaches_nothing():
    learnt = Residual(1)
    learnt.observe('edge', CONSTANT, 10.0, float('nan'))
    learnt.observe('edge', CONSTANT, float('inf'), 1.0)
    assert learnt.expect('edge', CONSTANT, 10.0) == learnt.expect('never', CONSTANT, 10.0)
