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

"""Windows on streams of all kinds: when they look, and that each of them ends."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from e4_ros.vision.inference.clip_window import WindowSchedule

_SECONDS = st.floats(0.05, 20)


def _looks(schedule: WindowSchedule, stamps: np.ndarray) -> list[tuple[int, float, int]]:
    """Play a stream whose gate is never content: (frame, beginning of the window, look)."""
    found = []
    for index, stamp_s in enumerate(stamps):
        schedule.advance(float(stamp_s))
        for window in schedule.due():
            found.append((index, window.begin_s, window.looks))
            if schedule.is_last(window):
                schedule.close(window)
    return found


def test_sample_times_are_those_of_training():
    stamps = np.arange(0, 2, 0.01)
    looks = _looks(WindowSchedule(2.0, 2.0, 10), stamps)
    assert [stamps[frame] for frame, *_ in looks] == pytest.approx((np.arange(10) + 0.5) / 5)
    assert [look for *_, look in looks] == list(range(1, 11))


def test_windows_tile_a_stream():
    looks = _looks(WindowSchedule(1.0, 1.0, 4), np.arange(100, 103, 0.02))
    assert sorted({begin for _, begin, _ in looks}) == pytest.approx([100, 101, 102])
    assert len(looks) == 12


def test_overlapping_windows_look_at_the_same_frames():
    looks = _looks(WindowSchedule(1.0, 0.5, 4), np.arange(0, 5, 0.04))
    frames = [frame for frame, *_ in looks]
    assert len(set(frames)) <= 21, 'four a second, not eight'
    assert len(frames) > 30


def test_windows_may_leave_pauses():
    stamps = np.arange(0, 10, 0.1)
    looked = {float(stamps[frame]) for frame, *_ in _looks(WindowSchedule(1.0, 5.0, 5), stamps)}
    assert all(time % 5 < 1.01 for time in looked)


def test_a_slow_stream_is_looked_at_frame_by_frame():
    """Two frames a second, ten sample times in two: no frame stands for the same window twice."""
    looks = _looks(WindowSchedule(2.0, 2.0, 10), np.arange(0, 6, 0.5))
    assert [(frame, look) for frame, _, look in looks][:4] == [(1, 1), (2, 2), (3, 3), (4, 4)]


@pytest.mark.parametrize('jump', [-0.5, 2.5, -1000, 1e6])
def test_a_jump_begins_a_new_stream(jump):
    schedule = WindowSchedule(2.0, 2.0, 10)
    assert schedule.advance(5.0)
    assert not schedule.advance(5.5)
    assert len(schedule.due()) == 1
    assert schedule.advance(5.5 + jump)
    assert [window.begin_s for window in schedule.windows] == [5.5 + jump]


def test_stamps_that_stand_still_are_refused_in_words():
    schedule = WindowSchedule(2.0, 2.0, 10)
    for _ in range(10):
        schedule.advance(0.0)
        assert schedule.due() == []
    with pytest.raises(ValueError, match=r'11 images in a row are stamped 0 s.*header\.stamp'):
        schedule.advance(0.0)
    assert not schedule.advance(0.1), 'once time goes on, so does the stream'


@pytest.mark.parametrize('lengths', [(0, 1), (-1, 1), (1, 0), (np.nan, 1), (1, np.inf)])
def test_lengths_must_be_positive(lengths):
    with pytest.raises(ValueError, match='must be a positive number of seconds'):
        WindowSchedule(*lengths, 10)


@given(
    steps=st.lists(st.floats(-5, 30), min_size=1, max_size=200),
    window_s=_SECONDS,
    stride_s=_SECONDS,
    samples=st.integers(1, 12),
)
def test_whatever_the_stamps_windows_look_in_order_and_end(steps, window_s, stride_s, samples):
    schedule = WindowSchedule(window_s, stride_s, samples)
    looked: dict[float, int] = {}
    for stamp_s in np.cumsum(steps):
        if schedule.advance(float(stamp_s)):
            looked.clear()
        for window in schedule.due():
            assert 0 <= stamp_s - window.begin_s <= 2 * window_s + 1e-3
            assert 1 <= window.looks <= window.passed <= samples
            assert window.looks == looked.get(window.begin_s, 0) + 1
            looked[window.begin_s] = window.looks
            if schedule.is_last(window):
                looked.pop(window.begin_s)
                schedule.close(window)
        assert len(schedule.windows) <= np.ceil(2 * window_s / stride_s) + 1
        beginnings = [window.begin_s for window in schedule.windows]
        assert beginnings == sorted(beginnings)


@given(fps=st.floats(5, 60), window_s=_SECONDS, stride_s=_SECONDS, start=st.floats(0, 2e9))
def test_on_a_steady_stream_every_window_comes_to_its_end(fps, window_s, stride_s, start):
    assume(1 / fps < window_s)
    schedule = WindowSchedule(window_s, stride_s, 10)
    count = int(min(400, fps * (2 * stride_s + 2 * window_s) + 3))
    stamps = start + np.arange(count) / fps
    looks = _looks(schedule, stamps)
    begun = {begin for _, begin, _ in looks}
    for window in schedule.windows:
        assert window.begin_s + window_s * 0.95 + 1e-3 > stamps[-1], 'only the last are open'
    assert begun or stamps[-1] - stamps[0] < window_s / 20 + 1 / fps
