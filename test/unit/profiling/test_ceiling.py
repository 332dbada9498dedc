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

from e4_ros.profiling.planning.ceiling import LONGEST_RETRY_S, Ceiling

FAST, SLOW = {'cpu': 1_000_000, 'gpu': 900_000}, {'cpu': 1_000_000, 'gpu': 500_000}


class Clock:
    s = 100.0

    def __call__(self) -> float:
        return self.s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ceiling(clock) -> Ceiling:
    return Ceiling(frames=3, retry_s=10, now=clock)


def test_clocks_that_come_are_no_ceiling(ceiling):
    assert not any(ceiling.observe(FAST, FAST) for _ in range(10))
    assert ceiling.highest_hz == {}


def test_a_late_clock_is_no_ceiling(ceiling):
    seen = [SLOW, SLOW, FAST] * 5
    assert not any(ceiling.observe(FAST, got) for got in seen)


def test_a_clock_a_little_off_its_table_has_come(ceiling):
    assert not any(ceiling.observe({'gpu': 306_000}, {'gpu': 305_900}) for _ in range(10))


def test_an_unknown_clock_says_nothing(ceiling):
    assert not any(ceiling.observe(FAST, {'cpu': 0}) for _ in range(10))


def test_a_clock_held_down_is_noticed_once_with_the_best_it_reached(ceiling):
    got = [{'gpu': hz} for hz in (400_000, 500_000, 450_000)]
    assert [ceiling.observe(FAST, g) for g in got] == [False, False, True]
    assert 500_000 <= ceiling.highest_hz['gpu'] < 520_000
    assert not ceiling.observe({'gpu': 500_000}, {'gpu': 500_000})


def test_it_is_lifted_after_a_while_and_waits_longer_when_that_was_in_vain(ceiling, clock):
    def held() -> None:
        assert [ceiling.observe(FAST, SLOW) for _ in range(3)] == [False, False, True]

    held()
    for wait_s in (10, 20, 40):
        clock.s += wait_s - 0.1
        assert not ceiling.observe(SLOW, SLOW)
        clock.s += 0.2
        assert ceiling.observe(SLOW, SLOW)
        assert ceiling.highest_hz == {}
        held()
    for _ in range(10):
        clock.s += LONGEST_RETRY_S + 1
        assert ceiling.observe(SLOW, SLOW)
        held()


def test_a_limit_that_went_away_for_long_begins_anew(ceiling, clock):
    for wait_s in (10.1, 1000.0, 10.1):
        for _ in range(3):
            ceiling.observe(FAST, SLOW)
        assert ceiling.highest_hz
        clock.s += wait_s
        assert ceiling.observe(SLOW, FAST)
        clock.s += 500
