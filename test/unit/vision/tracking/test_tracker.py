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

"""Tracks that follow moving things, on pictures whose motion is known."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest

from e4_ros.vision.detections import Detections
from e4_ros.vision.tracking.tracker import Tracker

SHAPE = (240, 320, 3)
STEP_S = 0.04


def texture(height: int, width: int, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 255, (height, width), np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 2)


WORLD = texture(500, 700, 0)
THING = texture(80, 40, 1)


def frame(thing=(100.0, 80.0), camera=(100.0, 100.0), scale=1.0, thing_seen=True):
    """The world from a camera's place, and a thing in it at a place of the picture."""
    shift = np.array([[1, 0, -camera[0]], [0, 1, -camera[1]]], float)
    picture = cv2.warpAffine(WORLD, shift, SHAPE[1::-1])
    if thing_seen:
        size = (round(40 * scale), round(80 * scale))
        place = np.array([[1, 0, thing[0]], [0, 1, thing[1]]], float)
        small = cv2.resize(THING, size)
        moved = cv2.warpAffine(small, place, SHAPE[1::-1])
        mask = cv2.warpAffine(np.full(small.shape, 255, np.uint8), place, SHAPE[1::-1])
        picture = np.where(mask > 127, moved, picture)
    return np.dstack([picture] * 3)


def box_of(x, y, scale=1.0):
    return np.array([[x, y, x + 40 * scale, y + 80 * scale]])


def found(boxes, scores=(0.9,), labels=None):
    return Detections.of(np.array(boxes, float), np.array(scores), labels)


def test_a_box_moves_with_what_is_in_it():
    tracker = Tracker()
    tracker.look(frame((100, 80)), 0.0)
    tracker.update(found(box_of(100, 80)))
    for step in range(1, 8):
        tracker.look(frame((100 + 3 * step, 80 + step)), step * STEP_S)
    answer = tracker.answer()
    np.testing.assert_allclose(answer.boxes, box_of(121, 87), atol=2)
    assert answer.ids.tolist() == [1]
    np.testing.assert_allclose(answer.velocities, [[3 / STEP_S, 1 / STEP_S]], rtol=0.15)


def test_a_box_grows_with_what_comes_nearer():
    tracker = Tracker()
    tracker.look(frame((100, 60)), 0.0)
    tracker.update(found(box_of(100, 60)))
    for step in range(1, 7):
        scale = 1 + 0.04 * step
        tracker.look(frame((100 - 20 * (scale - 1), 60 - 40 * (scale - 1)), scale=scale), step / 25)
    width, height = (tracker.answer().boxes[0, 2:] - tracker.answer().boxes[0, :2]).tolist()
    assert 40 * 1.08 < width < 40 * 1.28
    assert 80 * 1.08 < height < 80 * 1.28


def test_the_cameras_own_motion_is_known_and_things_without_texture_go_with_it():
    tracker = Tracker()
    tracker.look(frame(thing_seen=False), 0.0)
    tracker.update(found(box_of(100, 80)))
    for step in range(1, 6):
        motion = tracker.look(frame(camera=(100 + 4 * step, 100), thing_seen=False), step / 25)
        assert motion.camera.known
        np.testing.assert_allclose(motion.camera.matrix[:, 2], [-4, 0], atol=0.6)
    np.testing.assert_allclose(tracker.answer().boxes, box_of(80, 80), atol=2)


def test_ids_go_on_and_are_never_used_again():
    tracker = Tracker()
    seen = []
    for step in range(3):
        tracker.look(frame((100 + step, 80)), step * STEP_S)
        tracker.update(found(box_of(100 + step, 80)))
        seen += tracker.answer().ids.tolist()
    assert seen == [1, 1, 1]
    tracker.look(frame(), 0.0)  # time goes backwards: a new stream
    tracker.update(found(box_of(100, 80)))
    assert tracker.answer().ids.tolist() == [2]


def test_copies_of_an_object_use_up_no_ids():
    tracker, copies = Tracker(), found([*box_of(100, 80), *box_of(101, 81)], [0.9, 0.5])
    for step in range(10):
        tracker.look(frame((100, 80)), step * STEP_S)
        tracker.update(copies)
    tracker.update(found([*box_of(100, 80), *box_of(200, 80)], [0.9, 0.9]))
    assert tracker.tracks.ids.tolist() == [1, 2]


@pytest.mark.parametrize('how', ['size', 'gap', 'backwards'])
def test_another_stream_begins_without_tracks(how):
    tracker = Tracker()
    tracker.look(frame(), 10.0)
    tracker.update(found(box_of(100, 80)))
    other = np.zeros((100, 100, 3), np.uint8) if how == 'size' else frame()
    stamp_s = {'size': 10.04, 'gap': 14.0, 'backwards': 9.0}[how]
    assert tracker.look(other, stamp_s) is None
    assert len(tracker.answer()) == 0


def test_a_low_score_confirms_a_track_and_begins_none():
    tracker = Tracker()
    tracker.look(frame(), 0.0)
    tracker.update(found([[100, 80, 140, 160], [200, 80, 240, 160]], (0.9, 0.12)))
    assert tracker.answer().ids.tolist() == [1]
    tracker.look(frame(), STEP_S)
    tracker.update(found(box_of(100, 80), (0.12,)))
    assert tracker.answer().ids.tolist() == [1]
    assert tracker.answer().scores[0] > 0.3


def test_what_the_network_no_longer_finds_is_dropped_within_half_a_second():
    tracker = Tracker()
    for step in range(30):
        tracker.look(frame(), step * STEP_S)
        tracker.update(found(box_of(100, 80)) if step < 10 else Detections.empty())
        if step < 10:
            assert len(tracker.answer()) == 1
    assert len(tracker.answer()) == 0


def test_an_object_that_is_found_again_soon_keeps_its_id():
    tracker = Tracker()
    ids = []
    for step in range(40):
        tracker.look(frame(), step * STEP_S)
        hidden = 8 <= step < 30
        tracker.update(Detections.empty() if hidden else found(box_of(102, 81)))
        ids.append(tracker.answer().ids.tolist())
    assert ids[0] == ids[-1] == [1]
    assert [] in ids, 'it was never lost, so nothing was tried'


def test_classes_do_not_mix():
    tracker = Tracker()
    tracker.look(frame(), 0.0)
    tracker.update(found(box_of(100, 80), labels=np.array([3])))
    tracker.look(frame(), STEP_S)
    tracker.update(found(box_of(100, 80), labels=np.array([5])))
    answer = tracker.answer()
    assert dict(zip(answer.ids.tolist(), answer.labels.tolist(), strict=True)) == {1: 3, 2: 5}


def test_what_leaves_the_picture_is_gone():
    tracker = Tracker()
    tracker.look(frame((100, 80)), 0.0)
    tracker.update(found(box_of(-15, 80)))
    counts = []
    for step in range(1, 12):
        tracker.look(frame(camera=(100 + 3 * step, 100), thing_seen=False), step * STEP_S)
        counts.append(len(tracker.answer()))
    assert counts[0] == 1
    assert counts[-1] == 0
    assert all(a >= b for a, b in pairwise(counts))


@pytest.mark.parametrize('count', [0, 1, 200])
def test_any_number_of_objects_is_followed(count):
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 200, (count, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(5, 60, (count, 2))], 1)
    tracker = Tracker()
    for step in range(4):
        tracker.look(frame(), step * STEP_S)
        tracker.update(found(boxes.reshape(-1, 4), np.full(count, 0.8)))
        assert np.isfinite(tracker.answer().boxes).all()
        assert len(set(tracker.answer().ids.tolist())) == len(tracker.answer())


@pytest.mark.parametrize('shape', [(1, 1, 3), (2, 300, 3), (300, 2, 3), (48, 64, 3)])
@pytest.mark.parametrize('level', [0, 255])
def test_frames_of_one_colour_and_of_odd_sizes_lose_nothing(shape, level):
    tracker = Tracker()
    picture = np.full(shape, level, np.uint8)
    for step in range(3):
        tracker.look(picture, step * STEP_S)
        tracker.update(found([[0, 0, shape[1], shape[0]]]))
    answer = tracker.answer()
    assert answer.ids.tolist() == [1]
    assert np.isfinite(answer.boxes).all()


def test_only_what_was_looked_at_is_judged():
    tracker = Tracker()
    boxes = [[20, 20, 60, 100], [220, 20, 260, 100]]
    tracker.look(frame(), 0.0)
    tracker.update(found(boxes, (0.9, 0.8)))
    for step in range(1, 25):
        tracker.look(frame(), step * STEP_S)
        tracker.update(Detections.empty(), looked_at=np.array([0, 0, 160, 240]))
    assert tracker.answer().ids.tolist() == [2]


def test_a_look_at_a_part_counts_more_than_one_at_the_whole():
    scores = []
    for part in (None, np.array([0, 0, 160, 240])):
        tracker = Tracker()
        for step in range(10):
            tracker.look(frame(), step * STEP_S)
            tracker.update(found([[20, 20, 60, 100]], (0.3,)))
        tracker.look(frame(), 10 * STEP_S)
        tracker.update(found([[20, 20, 60, 100]], (0.9,)), looked_at=part)
        scores.append(float(tracker.answer().scores[0]))
    assert scores[0] < 0.5 < scores[1]


@pytest.mark.parametrize(('part', 'reported'), [(None, []), (np.array([0, 0, 160, 240]), [1])])
def test_what_a_closer_look_found_outlives_looks_at_the_whole_that_miss_it(part, reported):
    tracker = Tracker()
    tracker.look(frame(), 0.0)
    tracker.update(found([[20, 20, 60, 100]], (0.8,)), looked_at=part)
    for step in range(1, 11):
        tracker.look(frame(), step * STEP_S)
        tracker.update(Detections.empty())
    assert tracker.answer().ids.tolist() == reported


def test_a_closer_look_vouches_for_a_second_or_until_one_misses_it():
    part = np.array([0, 0, 160, 240])
    for miss_s in (0.4, 99.0):
        tracker = Tracker()
        tracker.look(frame(), 0.0)
        tracker.update(found([[20, 20, 60, 100]], (0.8,)), looked_at=part)
        steps = 15 if miss_s < 1 else 60
        for step in range(1, steps):
            tracker.look(frame(), step * STEP_S)
            missed = abs(step * STEP_S - miss_s) < STEP_S / 2
            tracker.update(Detections.empty(), looked_at=part if missed else None)
        assert len(tracker.answer()) == 0


def test_what_was_learnt_of_the_networks_scores_outlives_a_stream():
    tracker = Tracker()
    for step in range(40):
        tracker.look(frame((100, 80)), step * STEP_S)
        tracker.update(found(box_of(100, 80), [0.28]))
    learnt = tracker.noise.rms
    tracker.reset()
    assert tracker.noise.rms == learnt < 0.2
