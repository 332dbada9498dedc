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

"""What the kernel's governors choose, by the rules of their sources."""

from __future__ import annotations

import pytest

from e4_ros.perception.controllers.governors import Podgov, Schedutil, TegraActmon

TABLE = tuple(range(100, 1300, 100))  # megahertz, say
TOP = len(TABLE) - 1


def test_podgov_climbs_by_a_third_of_the_top_clock_where_it_is_too_busy():
    governor = Podgov(TABLE)
    assert TABLE[governor.choose(0.95, 0.0, 0)] == 500
    assert TABLE[governor.choose(0.95, 0.0, 4)] == 900
    assert TABLE[governor.choose(0.95, 0.0, 8)] == 1200


def test_podgov_remembers_the_highest_load_of_a_hundred_windows():
    governor = Podgov(TABLE)
    clock = governor.choose(1.0, 0.0, TOP)
    visited = []
    for _ in range(150):
        clock = governor.choose(0.0, 0.0, clock)
        visited.append(TABLE[clock])
    assert min(visited[:98]) >= 1000, 'the burst is not forgotten'
    assert visited[-1] == 100


def test_podgov_comes_to_rest_near_seventy_per_cent_of_load():
    governor, clock, work = Podgov(TABLE), TOP, 420.0
    for _ in range(300):
        clock = governor.choose(min(work / TABLE[clock], 1.0), 0.0, clock)
    assert TABLE[clock] == pytest.approx(work / 0.7, abs=100)


def test_schedutil_takes_a_task_that_wakes_for_as_large_as_it_was():
    governor = Schedutil(TABLE, 0.01)
    for _ in range(20):
        governor.choose(0.9, 0.6, TOP)  # it sleeps now and then, and takes 60 % of the top clock
    for _ in range(8):
        asleep = governor.choose(0.0, 0.0, TOP)
    awake = governor.choose(1.0, 0.1, asleep)
    assert asleep < 4
    assert awake > asleep, 'util_est'


def test_memory_goes_up_at_once_down_slowly_and_keeps_its_floor():
    memory = [204_000_000, 665_600_000, 2_133_000_000]
    governor = TegraActmon(memory, gpu=[300, 1_000])
    assert governor.choose(1.0, 1.0, 0) == 1
    assert governor.choose(0.9, 0.9, 1) == 2
    for _ in range(10):
        last = governor.choose(0.0, 0.0, 2)
    assert last == 1, 'one step at a time'
    assert governor.floor({'cpu': 1_190_400_000, 'gpu': 300}) == 0
    assert governor.floor({'cpu': 1_344_000_000, 'gpu': 300}) == 1
    assert governor.floor({'cpu': 729_600_000, 'gpu': 1_000}) == 2
