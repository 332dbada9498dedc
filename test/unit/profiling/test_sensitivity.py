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

import pytest

from e4_ros.energy.board_model import SegmentWork
from e4_ros.energy.boards import load_board
from e4_ros.profiling.planning.sensitivity import sweep

WORKS = [
    SegmentWork('prepare', 0, 1.35e6, 8, 'cpu'),
    SegmentWork('stage0', 300e6, 90e6, 30),
    SegmentWork('stage1', 300e6, 50e6, 30),
]
PATHS = {'temporal': [0], 'exit1': [0, 1], 'full': [0, 1, 2]}
SHARES = {'temporal': 0.6, 'exit1': 0.2, 'full': 0.2}


@pytest.fixture(scope='module')
def found():
    return {
        (c.parameter, c.value): c for c in sweep(load_board('jetson_nano'), WORKS, PATHS, SHARES)
    }


def test_a_steeper_power_curve_saves_more(found):
    savings = [found['power exponent', e].saving_percent for e in ('1.5', '2', '3')]
    assert savings == sorted(savings)


def test_loads_that_no_clock_changes_eat_the_saving(found):
    less, more = found['other loads', 'x0.5'], found['other loads', 'x2']
    assert less.saving_percent > found['', ''].saving_percent > more.saving_percent


def test_without_delay_the_fixed_point_loses_most(found):
    assert (
        found['effect delay', 'none'].fixed_loses_percent
        >= found['effect delay', 'x0.5'].fixed_loses_percent
        >= found['effect delay', 'x2'].fixed_loses_percent
        >= 0
    )
