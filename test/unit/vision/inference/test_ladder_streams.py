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

"""Streams of every pace and none: the real network with tracks on what cameras really send."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import numpy as np
import pytest

from e4_ros.evaluation.sources import open_source
from e4_ros.perception.setup import EngineOptions, set_up
from e4_ros.vision.detections import Detections
from e4_ros.vision.inference.exit_thresholds import TRACK
from e4_ros.vision.tracking.tracker import Tracker


@pytest.fixture
def ladder():
    return set_up(EngineOptions(threads=1)).engine


@pytest.fixture(scope='module')
def street():
    """Four seconds of a street at ten frames a second, with people on it."""
    return [frame for _, frame in islice(open_source('bikes'), 115, 155)]


def play(ladder, frames, fps, begin_s=1000.0):
    """Answers of a stream, and how many frames each exit answered."""
    results = [ladder.process(frame, begin_s + i / fps) for i, frame in enumerate(frames)]
    return results, Counter(result.exit for result in results)


@pytest.mark.parametrize('fps', [10, 120])
def test_a_frozen_video_needs_the_network_seldom_and_its_tracks_stay_where_they_are(
    ladder, street, fps
):
    results, taken = play(ladder, [street[0]] * 60, fps)
    assert taken[TRACK] >= 40
    assert ladder.risk.key_share < 0.4
    first, last = results[20].detections, results[-1].detections
    assert len(last)
    kept = np.isin(last.ids, first.ids)
    assert kept.all()
    assert np.abs(last.velocities).max() < 1.0
    order = [first.ids.tolist().index(name) for name in last.ids]
    np.testing.assert_allclose(last.boxes, first.boxes[order], atol=6.0)


@pytest.mark.parametrize(('level', 'noise'), [(0, 0), (128, 0), (255, 0), (20, 1)])
def test_frames_of_one_colour_have_nothing_to_say_and_need_the_network_seldom(ladder, level, noise):
    rng = np.random.default_rng(0)
    noisy = level + rng.normal(0, noise, (50, 240, 320, 3))
    results, taken = play(ladder, noisy.clip(0, 255).astype(np.uint8), 10)
    assert not any(len(result.detections) for result in results)
    assert taken[TRACK] >= 30


def test_what_a_covered_lens_uncovers_is_looked_at_by_the_network(ladder, street):
    blank = np.zeros_like(street[0])
    frames = [*street[:10], *[blank] * 10, *street[10:12]]
    results, _ = play(ladder, frames, 10)
    assert results[10].exit != TRACK, 'the lens is covered'
    assert results[20].exit != TRACK, 'and free again'
    assert len(results[20].detections)


def test_two_frames_a_second_are_answered_with_ids_that_go_on(ladder, street):
    results, taken = play(ladder, street[::5] * 2, 2)
    assert sum(taken.values()) == 16
    first = set(results[0].detections.ids.tolist())
    assert first & set(results[1].detections.ids.tolist()), 'half a second is no new stream'
    assert all(np.isfinite(result.detections.boxes).all() for result in results)


def test_at_120_frames_a_second_the_network_runs_no_more_often_in_a_second_than_at_ten(
    ladder, street
):
    slow = list(street[:20])
    fast = [frame for frame in slow for _ in range(12)]
    keys = []
    for frames, fps in ((slow, 10), (fast, 120)):
        ladder.reset()
        results, taken = play(ladder, frames, fps)
        keys.append(len(results) - taken[TRACK])
    assert keys[1] <= 2 * keys[0]


def test_velocities_are_those_of_the_clock_whatever_the_pace():
    rng = np.random.default_rng(0)
    wide = rng.integers(0, 255, (60, 120, 3)).astype(np.uint8)
    wide = np.kron(wide, np.ones((8, 8, 1), np.uint8))
    for fps in (2, 10, 120):
        tracker = Tracker()
        for index in range(6):
            x = 4 * index  # the camera pans by four pixels a frame
            tracker.look(wide[:, x : x + 640], index / fps)
            box = np.array([[300.0 - x, 100, 380 - x, 300]])
            tracker.update(Detections.of(box, np.array([0.9])))
        np.testing.assert_allclose(tracker.answer().velocities, [[-4 * fps, 0]], atol=0.4 * fps)


def test_another_size_begins_anew_and_ids_are_never_used_again(ladder, street):
    before = play(ladder, street[:5], 10)[0][-1].detections
    smaller = np.ascontiguousarray(street[5][::2, ::2])
    result = ladder.process(smaller, 1000.5)
    assert result.exit != TRACK
    assert not set(result.detections.ids.tolist()) & set(before.ids.tolist())
    assert (result.detections.boxes[:, 2] <= smaller.shape[1]).all()


def test_a_reset_forgets_the_tracks_and_goes_on_counting_their_ids(ladder, street):
    before = play(ladder, street[:5], 10)[0][-1].detections
    ladder.reset()
    after = ladder.process(street[5], 1000.5).detections
    assert len(before)
    assert len(after)
    assert after.ids.min() > before.ids.max()


@pytest.mark.parametrize('gap_s', [-5.0, 1e6])
def test_a_clock_that_jumps_begins_anew_and_the_answer_is_the_networks(ladder, street, gap_s):
    play(ladder, street[:5], 10)
    result = ladder.process(street[5], 1000.5 + gap_s)
    assert result.exit != TRACK
    assert len(result.detections)
