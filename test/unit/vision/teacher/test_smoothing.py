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

"""Tracks: linked, filled, steadied; what is not an object is left out."""

import numpy as np
import pytest

from e4_ros.vision.detections import Detections
from e4_ros.vision.teacher.smoothing import link, smooth

STAMPS = np.arange(40) / 10
BOX = np.array([100.0, 100.0, 130.0, 190.0])


def walker(start, pixels_per_frame, frames=40):
    """The true boxes of someone who walks to the right."""
    step = np.array([pixels_per_frame, 0, pixels_per_frame, 0])
    return [BOX + np.array([start, 0, start, 0]) + i * step for i in range(frames)]


def seen(boxes, score=0.9):
    return [Detections.of([box], [score]) for box in boxes]


def test_noise_is_taken_out():
    random = np.random.default_rng(0)
    truth = walker(0, 4)
    noisy = [box + random.normal(0, 4, 4) for box in truth]
    steady = smooth(seen(noisy), STAMPS)
    before = np.abs(np.array(noisy) - truth).mean()
    after = np.abs(np.array([a.boxes[0] for a in steady]) - truth).mean()
    assert after < 0.75 * before


def test_a_gap_is_filled_where_the_object_must_have_been():
    truth = walker(0, 4)
    answers = seen(truth)
    for index in (15, 16, 17, 18):
        answers[index] = Detections.empty()
    filled = smooth(answers, STAMPS)
    for index in (15, 16, 17, 18):
        np.testing.assert_allclose(filled[index].boxes[0], truth[index], atol=0.5)


def test_a_longer_absence_ends_the_track():
    answers = seen(walker(0, 4))
    for index in range(12, 22):
        answers[index] = Detections.empty()
    filled = smooth(answers, STAMPS)
    assert all(len(filled[index]) == 0 for index in range(12, 22))
    assert all(len(filled[index]) == 1 for index in (11, 22))


def test_a_flash_of_one_or_two_frames_is_no_object():
    answers = [Detections.empty()] * 40
    answers[7] = answers[8] = Detections.of([BOX], [0.95])
    assert all(len(a) == 0 for a in smooth(answers, STAMPS))


def test_what_is_never_sure_is_no_object_and_one_sure_look_carries_the_rest():
    doubtful = seen(walker(0, 4), score=0.4)
    assert all(len(a) == 0 for a in smooth(doubtful, STAMPS))
    doubtful[20] = Detections.of(doubtful[20].boxes, [0.8])
    assert all(len(a) == 1 for a in smooth(doubtful, STAMPS))


def test_people_who_pass_each_other_keep_their_tracks():
    right, left = walker(0, 5), walker(195, -5)
    below = [box + np.array([0, 30, 0, 30]) for box in left]
    crossing = [Detections.of(pair, [0.9, 0.8]) for pair in zip(right, below, strict=True)]
    tracks = link(crossing, STAMPS)
    assert len(tracks) == 2
    for track in tracks:
        moved = np.diff([box[0] for box in track.boxes])
        assert (moved > 0).all() or (moved < 0).all()


def test_classes_are_not_linked():
    changing = [Detections.of([BOX], [0.9], [index % 2]) for index in range(40)]
    tracks = link(changing, STAMPS)
    assert sorted(track.label for track in tracks) == [0, 1]


def test_too_few_frames_or_too_slow_footage_come_back_as_they_are():
    assert smooth([], []) == []
    pair = seen(walker(0, 1, 2))
    assert smooth(pair, STAMPS[:2]) == pair
    slideshow = seen(walker(0, 300))
    assert smooth(slideshow, STAMPS * 20) == slideshow


@pytest.mark.parametrize('stamps', [[0, 0], [1, 0], [0]])
def test_times_that_do_not_rise_are_refused(stamps):
    with pytest.raises(ValueError, match='each later'):
        smooth([Detections.empty()] * 2, stamps)


def test_where_nobody_looked_the_tracks_say_what_is_there():
    truth = walker(0, 4)
    answers = [each if index % 2 == 0 else None for index, each in enumerate(seen(truth))]
    filled = smooth(answers, STAMPS)
    for index, box in enumerate(truth[:39]):  # the last frame that was looked at
        np.testing.assert_allclose(filled[index].boxes[0], box, atol=0.5)


def test_few_looks_are_no_tracks_so_the_last_one_counts():
    first, second = seen(walker(0, 4, 2))
    filled = smooth([first, None, second, None], STAMPS[:4])
    assert filled == [first, first, second, second]
