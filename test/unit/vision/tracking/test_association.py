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

"""Key frames: which detection belongs to which track, and which tracks are undecided."""

from __future__ import annotations

import numpy as np
import pytest

from e4_ros.vision.detections import Detections
from e4_ros.vision.tracking.association import confirm, undecided
from e4_ros.vision.tracking.score_noise import START, ScoreNoise
from e4_ros.vision.tracking.tracks import Tracks

HERE = [100.0, 100.0, 140.0, 180.0]
BESIDE = [104.0, 100.0, 144.0, 180.0]  # overlaps HERE by .8
LEFT, RIGHT = [96.0, 100.0, 136.0, 180.0], [108.0, 100.0, 148.0, 180.0]  # by .8 and .7


def found(boxes, scores, labels=None):
    return Detections.of(np.array(boxes), np.array(scores), labels)


def tracks(*scores: float, reported: bool = False) -> Tracks:
    places = np.arange(len(scores))[:, None] * [100.0, 0, 100.0, 0] + HERE
    made = Tracks.born(found(places, scores), np.arange(len(scores)) + 1)
    made.reported[:] = reported
    return made


def test_an_unsure_box_does_not_take_the_track_from_the_sure_one():
    kept, new = confirm(tracks(0.8), found([RIGHT, LEFT], [0.8, 0.2]), 0.1, 0.3)
    assert kept.scores.tolist() == pytest.approx([0.8]), 'though the unsure one overlaps more'
    assert new.scores.tolist() == pytest.approx([0.2])


def test_of_two_boxes_of_a_class_that_nearly_cover_each_other_one_is_a_copy():
    _, new = confirm(Tracks.none(), found([HERE, BESIDE], [0.8, 0.6]), 0.1, 0.3)
    assert new.scores.tolist() == pytest.approx([0.8])
    both = found([HERE, BESIDE], [0.8, 0.6], np.array([2, 7]))
    assert confirm(Tracks.none(), both, 0.1, 0.3)[1].labels.tolist() == [2, 7]


def test_scores_that_stay_make_less_noise_than_scores_that_jump():
    steady, jumpy = ScoreNoise(), ScoreNoise()
    assert steady.rms == pytest.approx(START)
    for look in range(300):
        steady.learn(np.array([0.26]), np.array([0.26 + 0.02 * (-1) ** look]), 0.255)
        jumpy.learn(np.array([0.26]), np.array([0.9 if look % 2 else 0.0]), 0.255)
    assert 0.02 < steady.rms < 0.09
    assert jumpy.rms == pytest.approx(np.sqrt((0.26**2 + 0.64**2) / 2), abs=0.05)


def test_noise_counts_where_objects_are_reported_or_dropped():
    noise = ScoreNoise()
    for _ in range(300):
        noise.learn(np.array([0.9]), np.array([0.5]), 0.255)
    assert noise.rms == pytest.approx(START, abs=0.01)


def test_noise_follows_a_network_that_changes():
    noise = ScoreNoise()
    for jump in (0.2, 0.05):
        for _ in range(2000):
            noise.learn(np.array([0.25]), np.array([0.25 + jump]), 0.255)
        assert noise.rms == pytest.approx(jump, abs=0.01)


def test_a_look_at_the_whole_teaches_noise_and_one_at_a_part_does_not():
    whole, part = ScoreNoise(), ScoreNoise()
    for _ in range(20):
        seen = found([HERE], [0.25])
        confirm(tracks(0.25), seen, 0.1, 0.3, noise=whole)
        confirm(tracks(0.25), seen, 0.1, 0.3, np.array([0.0, 0, 320, 240]), part)
    assert whole.rms < START
    assert part.rms == pytest.approx(START)


def test_a_track_is_undecided_near_the_score_that_would_change_what_is_said_of_it():
    silent = undecided(tracks(0.9, 0.3, 0.21, 0.1), 0.3, noise=0.2)
    assert silent.argmax() == 1, 'one that is not reported yet waits for .3'
    said = undecided(tracks(0.9, 0.3, 0.21, 0.1, reported=True), 0.3, noise=0.2)
    assert said.argmax() == 2, 'one that is reported is dropped at .21'
    assert silent.max() <= 1
    assert silent.min() >= 0


def test_the_steadier_the_scores_the_fewer_tracks_are_undecided():
    near = tracks(0.15, 0.2, 0.25)
    shares = [undecided(near, 0.3, noise).sum() for noise in (0.05, 0.1, 0.27)]
    assert shares == sorted(shares)
    assert shares[0] < 0.1 < 1 < shares[-1]
    assert undecided(near, 0.3, noise=0.0).tolist() == [0, 0, 0]
