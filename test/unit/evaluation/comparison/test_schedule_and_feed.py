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

"""Blocks in random order, and the frames that each of them gets."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import pytest

from e4_ros.evaluation.comparison.feed import FeedError, LiveFeed, RecordedFeed, record
from e4_ros.evaluation.comparison.schedule import places, schedule
from e4_ros.evaluation.comparison.timing import Clock, RealClock

_BLACK = np.zeros((4, 6, 3), np.uint8)


class _Clock(Clock):
    """Time that passes when somebody waits or works."""

    def __init__(self) -> None:
        self.time_s = 100.0

    def now(self) -> float:
        """Seconds."""
        return self.time_s

    def sleep_until(self, time_s: float) -> None:
        """Let time pass."""
        self.time_s = max(self.time_s, time_s)


def test_every_arm_runs_once_in_every_round_and_in_another_order() -> None:
    plan = schedule(5.0, 4, seed=0)
    assert len(plan.orders) == 5
    assert all(sorted(order) == [0, 1, 2, 3] for order in plan.orders)
    assert len(set(plan.orders)) > 1
    assert plan.total_s <= 300.0
    assert plan.orders == schedule(5.0, 4, seed=0).orders
    assert [number for number, _ in places(plan.orders)] == sorted(4 * [0, 1, 2, 3, 4])


def test_longer_comparisons_have_longer_blocks_and_then_more_rounds() -> None:
    assert schedule(8.0, 4, 0).block_s > schedule(5.0, 4, 0).block_s
    assert schedule(30.0, 4, 0).block_s == 25.0
    assert len(schedule(30.0, 4, 0).orders) > 5


def test_too_little_time_for_a_round_is_refused_with_what_to_give() -> None:
    with pytest.raises(ValueError, match='too short for one round of 4 blocks of 20 s; give'):
        schedule(1.0, 4, 0, block_s=20.0)
    need = schedule(1.55, 4, 0, block_s=20.0)
    assert len(need.orders) == 1


def test_every_block_of_a_recording_gets_the_same_frames_in_time() -> None:
    feed, clock = RecordedFeed('f', [_BLACK] * 5, 0.1), _Clock()
    for _ in range(2):
        feed.begin(clock)
        began_s = clock.now()
        seen = []
        while (arrived := feed.next(clock, began_s + 0.5)) is not None:
            seen.append((arrived.index, round(clock.now() - began_s, 6)))
        assert seen == [(0, 0.0), (1, 0.1), (2, 0.2), (3, 0.3), (4, 0.4)]
        assert clock.now() == pytest.approx(began_s + 0.5)


def test_a_slow_network_gets_the_newest_frame() -> None:
    feed, clock = RecordedFeed('f', [_BLACK] * 10, 0.1), _Clock()
    feed.begin(clock)
    end_s, seen = clock.now() + 1.0, []
    while (arrived := feed.next(clock, end_s)) is not None:
        seen.append(arrived.index)
        clock.time_s += 0.25  # to answer
    assert seen == [0, 2, 5, 7]


def test_a_recording_shorter_than_a_block_is_played_again_and_says_so() -> None:
    feed = record('short', [(0.1 * i, _BLACK + i) for i in range(3)], block_s=1.0)
    assert feed.period_s == pytest.approx(0.1)
    assert 'A block plays 3 frames (0.3 s) again and again' in feed.notes[0]
    clock = _Clock()
    feed.begin(clock)
    frames = [feed.next(clock, clock.now() + 1.0) for _ in range(4)]
    assert frames[3] is not None
    assert frames[3].frame[0, 0, 0] == 0


def test_no_more_of_a_recording_is_kept_than_a_block_plays() -> None:
    def endless() -> Iterator[tuple[float, np.ndarray]]:
        for i in range(10**9):
            yield i / 25, _BLACK

    assert len(record('long', endless(), block_s=2.0, source_fps=25.0).frames) == 50
    assert len(record('long', endless(), block_s=2.0, fps=5.0).frames) == 10


def test_a_frame_in_eleven_seconds_is_too_few_and_fps_plays_it_faster() -> None:
    frames = [(11.0 * i, _BLACK) for i in range(4)]
    with pytest.raises(FeedError, match=r'a frame every 11 s, too few .* `--fps 5` plays it'):
        record('slow', frames, block_s=15.0)
    assert record('slow', frames, block_s=0.8, fps=5.0).period_s == 0.2


def _camera(count: int) -> Iterator[tuple[float, np.ndarray]]:
    for i in range(count):
        time.sleep(0.01)
        yield 0.01 * i, _BLACK


def test_a_camera_has_its_own_pace_and_gives_the_newest_frame() -> None:
    feed, clock = LiveFeed('cam', _camera(2000)), RealClock()
    try:
        assert feed.period_s == pytest.approx(0.01, rel=0.8)
        feed.begin(clock)
        first = feed.next(clock, clock.now() + 1.0)
        time.sleep(0.1)
        second = feed.next(clock, clock.now() + 1.0)
        assert first is not None
        assert second is not None
        assert second.index > first.index + 1
        assert feed.next(clock, clock.now()) is None
    finally:
        feed.close()


def test_a_camera_that_ends_is_told() -> None:
    feed, clock = LiveFeed('cam', _camera(12)), RealClock()
    time.sleep(0.2)
    feed.begin(clock)
    with pytest.raises(FeedError, match='cam: the stream ended'):
        feed.next(clock, clock.now() + 0.5)


def test_a_camera_without_frames_is_refused() -> None:
    with pytest.raises(FeedError, match='cam: the stream ended'):
        LiveFeed('cam', [])
