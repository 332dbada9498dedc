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

"""Change that no track explains, on pictures that are made for it."""

from __future__ import annotations

import cv2
import numpy as np

from e4_ros.vision.tracking.camera_motion import UNKNOWN, CameraMotion
from e4_ros.vision.tracking.change import ChangeWatch

NOBODY = np.zeros((0, 4))
GROUND = cv2.GaussianBlur(
    np.random.default_rng(0).integers(60, 200, (240, 420), np.uint8), (0, 0), 3
)


def scene(left=0, thing=None):
    picture = GROUND[:, left : left + 320].copy()
    if thing is not None:
        x, y = thing
        picture[y : y + 60, x : x + 30] = 255
    return picture


def moved(pixels):
    return CameraMotion(np.array([[1.0, 0, -pixels], [0, 1, 0]]), known=True)


def watch_from(picture, boxes=NOBODY):
    watch = ChangeWatch()
    watch.look(picture, boxes, UNKNOWN, 0.0)
    watch.key(boxes, NOBODY)
    return watch


def test_a_picture_that_stays_is_no_change():
    change = watch_from(scene()).look(scene(), NOBODY, moved(0), 0.1)
    assert change.unexplained == 0
    assert change.uncovered == 0


def test_what_comes_in_is_a_change():
    change = watch_from(scene()).look(scene(thing=(100, 80)), NOBODY, moved(0), 0.1)
    area = 30 * 60 / (320 * 240)
    assert 0.5 * area < change.unexplained < 2 * area


def test_what_a_track_explains_is_none():
    box = np.array([[100.0, 80, 130, 140]])
    watch = watch_from(scene(thing=(100, 80)), box)
    change = watch.look(scene(thing=(110, 80)), box + np.array([10, 0, 10, 0]), moved(0), 0.1)
    assert change.unexplained == 0


def test_the_cameras_motion_is_taken_out_and_uncovers():
    change = watch_from(scene()).look(scene(left=40), NOBODY, moved(40), 0.1)
    assert change.unexplained < 0.002
    assert abs(change.uncovered - 40 / 320) < 0.03


def test_motion_in_which_the_network_finds_nothing_counts_less_and_less():
    watch = watch_from(scene())
    seen = []
    for step in range(12):
        picture = scene(thing=(100 + 4 * (step % 2), 80)) if step % 2 else scene()
        seen.append(watch.look(picture, NOBODY, moved(0), 0.1).unexplained)
        watch.key(NOBODY, NOBODY)
    assert seen[1] > 0.01
    assert seen[-1] < 0.2 * seen[1]


def test_where_an_object_began_motion_counts_again():
    watch = watch_from(scene())
    for step in range(12):
        watch.look(scene(thing=(100, 80)) if step % 2 else scene(), NOBODY, moved(0), 0.1)
        watch.key(NOBODY, NOBODY)
    born = np.array([[95.0, 75, 135, 145]])
    watch.look(scene(), NOBODY, moved(0), 0.1)
    watch.key(NOBODY, born)
    assert watch.look(scene(thing=(100, 80)), NOBODY, moved(0), 0.1).unexplained > 0.01


def test_a_picture_of_one_colour_is_no_change():
    grey = np.full((240, 320), 128, np.uint8)
    assert watch_from(grey).look(grey, NOBODY, UNKNOWN, 0.1).unexplained == 0
