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

from e4_ros.vision.detections import Detections
from e4_ros.vision.tracking.constant_velocity import ConstantVelocityTracks


def at(x, label=0, score=0.9):
    return Detections.of(np.array([[x, 10, x + 20, 50]]), np.array([score]), np.array([label]))


def test_object_goes_on_at_its_speed():
    tracks = ConstantVelocityTracks()
    tracks.update(at(0), 0.0)
    tracks.update(at(5), 0.1)
    moved = tracks.predict(0.3)
    np.testing.assert_allclose(moved.boxes, [[15, 10, 35, 50]], atol=1e-4)
    assert moved.scores[0] == np.float32(0.9)


def test_growing_box_goes_on_growing():
    tracks = ConstantVelocityTracks()
    tracks.update(Detections.of(np.array([[0, 0, 10, 10]]), np.array([0.9])), 0.0)
    tracks.update(Detections.of(np.array([[-1, -1, 11, 11]]), np.array([0.9])), 1.0)
    np.testing.assert_allclose(tracks.predict(2.0).boxes, [[-2, -2, 12, 12]], atol=1e-5)


def test_new_object_stands_still():
    tracks = ConstantVelocityTracks()
    tracks.update(at(0), 0.0)
    tracks.update(at(200), 0.1)
    np.testing.assert_array_equal(tracks.predict(5.0).boxes, at(200).boxes)


def test_objects_of_different_classes_are_not_the_same():
    tracks = ConstantVelocityTracks()
    tracks.update(at(0, label=1), 0.0)
    tracks.update(at(5, label=2), 0.1)
    np.testing.assert_array_equal(tracks.predict(1.0).boxes, at(5).boxes)


def test_crossing_objects_keep_their_own_speed():
    tracks = ConstantVelocityTracks()
    for step in range(4):
        boxes = np.array(
            [[step * 4, 0, step * 4 + 30, 60], [100 - step * 4, 0, 130 - step * 4, 60]]
        )
        tracks.update(Detections.of(boxes, np.array([0.9, 0.8])), step * 0.1)
    moved = tracks.predict(0.4)
    np.testing.assert_allclose(moved.boxes[:, 0], [16, 84], atol=0.5)


def test_without_an_answer_there_is_nothing():
    tracks = ConstantVelocityTracks()
    assert len(tracks.predict(1.0)) == 0
    tracks.update(at(0), 0.0)
    tracks.reset()
    assert len(tracks.predict(1.0)) == 0


def test_empty_answer_ends_all_tracks():
    tracks = ConstantVelocityTracks()
    tracks.update(at(0), 0.0)
    tracks.update(Detections.empty(), 0.1)
    assert len(tracks.predict(0.2)) == 0
