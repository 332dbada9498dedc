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

"""What is weighed: three numbers, a battery, and what is refused."""

from __future__ import annotations

import math

import pytest

from e4_ros.perception.preference import charge_of, weights_of, with_battery
from e4_ros.perception.weights import Weights


def test_three_numbers_count_in_proportion():
    assert weights_of([2, 1, 1]) == Weights(0.5, 0.25, 0.25)


@pytest.mark.parametrize(
    ('values', 'says'),
    [
        ([1.0, 1.0], 'three weights'),
        ([], 'three weights'),
        ([-1.0, 1.0, 1.0], 'must be 0 or more'),
        ([0.0, 0.0, 0.0], 'not all 0'),
        ([math.nan, 1.0, 1.0], 'must be 0 or more'),
        ([math.inf, 1.0, 1.0], 'must be 0 or more'),
    ],
)
def test_what_weighs_nothing_is_refused(values, says):
    with pytest.raises(ValueError, match=says):
        weights_of(values)


def test_energy_takes_over_as_the_battery_runs_down():
    asked = Weights(0.6, 0.3, 0.1)
    assert with_battery(asked, 0.3, 0.3) is asked
    assert with_battery(asked, 1.0, 0.3) is asked
    energy = [with_battery(asked, charge, 0.3).energy for charge in (0.3, 0.2, 0.1, 0.05, 0.0)]
    assert energy == sorted(energy)
    assert energy[0] == pytest.approx(0.1)
    assert energy[-1] == pytest.approx(1.0)
    half = with_battery(asked, 0.15, 0.3)
    assert (half.accuracy, half.latency) == pytest.approx((0.3, 0.15))


@pytest.mark.parametrize('charge', [math.nan, 0.0, 0.2])
def test_without_a_reserve_or_a_charge_nothing_changes(charge):
    asked = Weights(1, 1, 1)
    assert with_battery(asked, charge, 0.0) is asked
    assert with_battery(asked, math.nan, 0.5) is asked


@pytest.mark.parametrize(
    ('said', 'means'),
    [
        ((0.4,), 0.4),
        ((0.0,), 0.0),
        ((math.nan, 1.5, 3.0), 0.5),
        ((math.nan, 1.5, math.nan), math.nan),
        ((math.nan,), math.nan),
        ((55.0,), math.nan),  # percent, which the message does not mean
        ((-0.1,), math.nan),
        ((math.nan, 4.0, 3.0), math.nan),
    ],
)
def test_a_battery_that_says_nothing_of_use_says_nan(said, means):
    assert charge_of(*said) == pytest.approx(means, nan_ok=True)
