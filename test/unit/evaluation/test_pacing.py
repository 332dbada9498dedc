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

import itertools
import threading
import time
from functools import partial

import pytest

from e4_ros.evaluation.sources.pacing import Pace, Player


class Stage:
    """Plays items and keeps when each came out."""

    def __init__(self, items, pace=None, ready=lambda: True, emit=None):
        self.came: list[tuple[float, object]] = []
        self.over = threading.Event()
        self.error: Exception | None = None
        self._emit = emit
        self.player = Player(
            items if callable(items) else lambda: items,
            self._take,
            pace or Pace(),
            ready,
            self._finished,
        )

    def _take(self, time_s, item):
        self.came.append((time.monotonic(), item))
        if self._emit is not None:
            self._emit(item)

    def _finished(self, error):
        self.error = error
        self.over.set()

    def play(self) -> list:
        self.player.start()
        assert self.over.wait(10)
        return [item for _, item in self.came]

    def has(self, count: int) -> bool:
        return len(self.came) >= count

    def gaps(self) -> list[float]:
        times = [when for when, _ in self.came]
        return [b - a for a, b in itertools.pairwise(times)]


def test_items_come_in_order_and_never_early():
    stage = Stage([(5.0, 'a'), (5.05, 'b'), (5.15, 'c')])
    assert stage.play() == ['a', 'b', 'c']
    assert stage.error is None
    first, second = stage.gaps()
    assert first >= 0.049
    assert second >= 0.099


def test_speed_divides_the_times():
    stage = Stage([(0.0, 'a'), (10.0, 'b')], Pace(speed=100.0))
    stage.play()
    assert 0.099 <= stage.gaps()[0] < 5.0


def test_a_late_item_moves_the_ones_after_it():
    stage = Stage([(0.0, 0), (0.01, 1), (0.1, 2)], emit=lambda i: i or time.sleep(0.2))
    stage.play()
    assert stage.gaps()[1] >= 0.089  # not squeezed together to catch up


def test_it_waits_until_someone_is_ready():
    ready = threading.Event()
    stage = Stage([(0.0, 'a')], ready=ready.is_set)
    stage.player.start()
    assert not stage.over.wait(0.2)
    assert not stage.came
    ready.set()
    assert stage.over.wait(5)
    assert len(stage.came) == 1


def test_looping_opens_the_items_anew_until_it_is_stopped():
    rounds = []

    def items():
        rounds.append(1)
        return [(0.0, len(rounds))]

    stage = Stage(items, Pace(loop=True))
    stage.player.start()
    while len(stage.came) < 5:
        time.sleep(0.001)
    stage.player.stop()
    assert [item for _, item in stage.came][:5] == [1, 2, 3, 4, 5]
    assert not stage.over.is_set()


def test_stop_does_not_wait_for_the_next_item():
    stage = Stage([(0.0, 'a'), (1000.0, 'b')])
    stage.player.start()
    while not stage.came:
        time.sleep(0.001)
    begin = time.monotonic()
    stage.player.stop()
    assert time.monotonic() - begin < 4
    assert len(stage.came) == 1


def test_what_ends_the_items_is_handed_on():
    def items():
        yield 0.0, 'a'
        raise ValueError('torn')

    stage = Stage(items)
    assert stage.play() == ['a']
    with pytest.raises(ValueError, match='torn'):
        raise stage.error


def until(condition) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, 'it never came to that'
        time.sleep(0.001)


def test_time_goes_on_between_items_and_never_passes_one():
    stage = Stage([(5.0, 'a'), (5.2, 'b')], emit=lambda item: item == 'b' and time.sleep(0.2))
    stage.player.start()
    seen = []
    while not stage.over.is_set():
        seen.append((stage.player.time_s, len(stage.came)))
        time.sleep(0.001)
    times = [time_s for time_s, _ in seen if time_s]
    assert times == sorted(times)
    assert len({round(time_s, 2) for time_s in times}) > 10
    assert max(times) <= 5.2
    assert all(time_s <= 5.2 for time_s, came in seen if came < 2)


def test_a_pause_holds_items_and_time_and_what_follows_keeps_its_distance():
    stage = Stage([(0.0, 'a'), (0.1, 'b'), (0.2, 'c')])
    stage.player.start()
    until(lambda: len(stage.came) == 1)
    stage.player.pause()
    held = stage.player.time_s
    time.sleep(0.3)
    assert stage.player.is_paused
    assert stage.player.time_s == held
    assert len(stage.came) == 1
    stage.player.resume()
    assert stage.over.wait(10)
    assert stage.gaps()[0] >= 0.3
    assert stage.gaps()[1] >= 0.099


def test_a_step_hands_out_all_up_to_the_item_that_ends_it():
    items = [(float(i), i) for i in range(6)]
    stage = Stage(items, Pace(paused=True, speed=100.0))
    stage.player.start()
    time.sleep(0.1)
    assert not stage.came
    for count in (2, 4):
        stage.player.step(lambda item: item % 2 == 1)
        until(partial(stage.has, count))
        time.sleep(0.05)
        assert [item for _, item in stage.came] == list(range(count))
        assert stage.player.time_s == count - 1
    stage.player.resume()
    assert stage.over.wait(10)
    assert [item for _, item in stage.came] == list(range(6))


def test_a_paused_play_can_be_stopped():
    stage = Stage([(0.0, 'a')], Pace(paused=True))
    stage.player.start()
    begin = time.monotonic()
    stage.player.stop()
    assert time.monotonic() - begin < 4
    assert not stage.came
