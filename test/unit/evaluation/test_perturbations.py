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

import numpy as np
import pytest

from e4_ros.evaluation.perturbations import (
    PERTURBATIONS,
    cut_to,
    perturbed,
    through_window,
    window_corners,
)

SHAPE = (48, 64, 3)


@pytest.fixture(scope='module')
def clip():
    """One textured picture, filmed without motion."""
    picture = np.random.default_rng(1).integers(60, 255, SHAPE, np.uint8)
    return [(index / 10, picture) for index in range(40)]


@pytest.mark.parametrize('name', PERTURBATIONS)
def test_only_what_comes_after_is_changed(clip, name):
    changed = perturbed(name, clip, 15)
    assert [stamp for stamp, _ in changed] == [stamp for stamp, _ in clip]
    assert all(frame.shape == SHAPE and frame.dtype == np.uint8 for _, frame in changed)
    same = [np.array_equal(a, b) for (_, a), (_, b) in zip(changed, clip, strict=True)]
    assert same[:15] == [True] * 15
    assert not any(same[16:])


@pytest.mark.parametrize('name', PERTURBATIONS)
def test_the_same_thing_happens_every_time(clip, name):
    once, again = perturbed(name, clip, 15), perturbed(name, clip, 15)
    assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(once, again, strict=True))


def test_nothing_happens_to_a_clip_that_has_ended(clip):
    assert perturbed('darkened', clip[:10], 10) == clip[:10]


def test_night_is_dark_and_a_covered_lens_shows_nothing(clip):
    night, covered = (perturbed(name, clip, 0)[0][1] for name in ('darkened', 'covered'))
    assert night.mean() < 0.2 * clip[0][1].mean()

    def resemblance(image):
        return np.corrcoef(image.ravel(), clip[0][1].ravel())[0, 1]

    assert resemblance(night) > 0.8
    assert abs(resemblance(covered)) < 0.2


def test_a_pan_moves_on_from_frame_to_frame(clip):
    first, second, later = (perturbed('panned', clip, 0)[i][1].astype(int) for i in (0, 15, 30))
    assert abs(first - second).mean() > 20
    assert abs(second - later).mean() > 20


def test_a_cut_keeps_the_size_and_repeats_a_clip_that_is_too_short(clip):
    other = [(0.0, np.full((20, 100, 3), level, np.uint8)) for level in (10, 200)]
    cut = cut_to(clip, other, 37)
    assert [frame.mean() for _, frame in cut[37:]] == [10, 200, 10]
    assert all(frame.shape == SHAPE for _, frame in cut)
    assert cut[36][1] is clip[36][1]


def test_a_window_wanders_at_a_walking_camera_s_pace_and_stays_in_the_picture():
    corners = np.array(window_corners(400, (576, 768, 3), (384, 512)))
    assert corners.min() >= 0
    assert corners[:, 0].max() <= 256
    assert corners[:, 1].max() <= 192
    steps = np.hypot(*np.diff(corners, axis=0).T)
    assert 2 < np.median(steps) < 4
    assert (corners.max(0) - corners.min(0) > 150).all(), 'it sees the whole picture in time'
    smooth = (corners[2:] + corners[:-2]) / 2 - corners[1:-1]
    assert 0.5 < np.median(np.abs(smooth)) < 3, 'it jitters'
    assert window_corners(400, (576, 768, 3), (384, 512)) == [tuple(c) for c in corners.tolist()]


def test_a_window_shows_its_part_of_each_frame(clip):
    corners = window_corners(len(clip), SHAPE, (24, 32))
    seen = through_window(clip, corners, (24, 32))
    assert [stamp for stamp, _ in seen] == [stamp for stamp, _ in clip]
    for (_, frame), (_, part), (x, y) in zip(clip, seen, corners, strict=True):
        assert np.array_equal(part, frame[y : y + 24, x : x + 32])


def test_a_window_larger_than_the_picture_is_refused():
    with pytest.raises(ValueError, match='does not fit'):
        window_corners(3, SHAPE, (480, 640))


def test_a_window_of_the_picture_s_size_stays_where_it_is():
    assert set(window_corners(20, SHAPE, SHAPE[:2])) == {(0, 0)}
