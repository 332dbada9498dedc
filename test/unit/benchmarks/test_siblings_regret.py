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

"""Regret: the same worlds for all, intervals over seeds, and what cannot be compared."""

from __future__ import annotations

import json
import math

import pytest

from e4_ros.benchmarks.siblings.regret import Run, Timed, as_text, regret_rows
from e4_ros.perception.controller import Observation, Outcome
from e4_ros.perception.controllers.base import DepthOnly


def runs(costs, **more):
    return [Run(cost, **more) for cost in costs]


def test_regret_is_counted_on_each_seeds_own_world():
    rows = regret_rows({'exact': runs([1, 10]), 'other': runs([1.1, 11])}, 'exact')
    assert [row['regret_percent'] for row in rows] == pytest.approx([0, 10])
    assert rows[1]['regret_percent_low'] == pytest.approx(10)  # the worlds differ, the regret not
    assert rows[1]['cost_low'] < rows[1]['cost'] < rows[1]['cost_high']


def test_the_interval_is_students_t():
    other = runs([1.0, 1.1, 1.2])
    (_, row) = regret_rows({'exact': runs([1, 1, 1]), 'other': other}, 'exact')
    assert row['regret_percent'] == pytest.approx(10)
    half = 4.302653 * 10 / math.sqrt(3)  # two degrees of freedom, 97.5 %
    assert row['regret_percent_high'] == pytest.approx(10 + half, rel=1e-5)
    assert row['regret_percent_low'] == pytest.approx(10 - half, rel=1e-5)


def test_a_row_is_plain_and_a_single_seed_has_no_interval():
    (row,) = regret_rows({'exact': runs([2.0], measures={'f1': 0.9})}, 'exact')
    assert json.loads(json.dumps(row, allow_nan=False)) == row
    assert row['regret_percent_low'] is None
    assert row['decision_us'] is None
    assert row['f1'] == 0.9


def test_the_cheapest_comes_first_for_people():
    rows = regret_rows(
        {
            'exact': runs([2, 2], decision_us=80.0, measures={'late_percent': 1.5}),
            'learnt': runs([1, 1], training_frames=3000),
        },
        'exact',
    )
    heads, body = as_text(rows)
    assert heads == ['policy', 'cost', 'regret %', 'late %', 'decision µs', 'learnt on']
    assert body[0] == ['learnt', '1', '-50.0', '', '', '3,000 frames']
    assert body[1] == ['exact', '2', '0.0', '1.5', '80', '']


@pytest.mark.parametrize(
    ('found', 'against', 'says'),
    [
        ({'exact': [1.0]}, 'other', 'no runs'),
        ({'exact': [1.0], 'other': [1.0, 2.0]}, 'exact', 'same seeds'),
        ({'exact': []}, 'exact', 'same seeds'),
        ({'exact': [0.0]}, 'exact', 'not all numbers above 0'),
        ({'exact': [1.0], 'other': [math.nan]}, 'exact', 'costs of other'),
    ],
)
def test_what_cannot_be_compared_is_refused(found, against, says):
    with pytest.raises(ValueError, match=says):
        regret_rows({name: runs(costs) for name, costs in found.items()}, against)


def test_decisions_are_timed_and_otherwise_the_controllers_own():
    timed = Timed(DepthOnly(exits=False))
    assert math.isnan(timed.decision_us)
    timed.observe(Outcome('full', 0.1))
    assert timed.decide(Observation()).thresholds == {}
    assert 0 < timed.decision_us < 1e6
