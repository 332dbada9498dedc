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

"""Obstacles in a scene that is known exactly: where they are, how large, how fast, how sure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from e4_ros.benchmarks.ros.obstacles import BARS, CAMERA, camera_pose, errors_at
from e4_ros.benchmarks.ros.scene import Block, boxes_of, depth_of
from e4_ros.perception.obstacles import (
    Camera,
    CameraError,
    ObstacleFinder,
    Pose,
    Settings,
    footprint_points,
)
from e4_ros.perception.obstacles.motion import Filters
from e4_ros.vision.detections import Detections

POSE = camera_pose(0.0, 'static')
PERSON = Block((4.0, 0.5))


def detections(boxes: np.ndarray, ids=None) -> Detections:
    count = len(boxes)
    found = Detections.of(boxes, np.full(count, 0.9))
    return replace(
        found,
        ids=np.arange(1, count + 1) if ids is None else np.asarray(ids),
        velocities=np.zeros((count, 2), np.float32),
    )


def look(
    blocks, finder=None, camera=CAMERA, pose=POSE, mode='depth', time_s=0.0, ids=None, **changed
):
    finder = finder or ObstacleFinder(Settings(mode))
    seen = detections(boxes_of(blocks, time_s, camera, pose), ids)
    depth = None if mode == 'ground' else depth_of(blocks, time_s, camera, pose)
    return finder.find(seen, time_s, camera, pose, **{'depth': depth, **changed})


@pytest.mark.parametrize('robot', ['static', 'moving'])
@pytest.mark.parametrize('distance_m', [1.0, 4.0, 15.0])
def test_positions_are_within_the_bars_and_what_stands_does_not_move(distance_m, robot):
    for mode, errors in errors_at(distance_m, robot, 0.0, np.random.default_rng(0)).items():
        position_m, velocity_mps = np.mean(errors, axis=0)
        assert position_m <= BARS[mode] * distance_m, mode
        assert velocity_mps <= 0.1, mode


def test_an_obstacle_has_the_size_and_the_direction_of_what_it_is():
    (obstacle,) = look([PERSON])
    assert np.allclose(obstacle.position, [4, 0.5, 0.85], atol=0.1)
    assert np.allclose(obstacle.size, [0.5, 0.5, 1.7], atol=0.1)
    assert obstacle.yaw == pytest.approx(np.arctan2(0.5, 4), abs=0.01)
    assert (obstacle.index, obstacle.track_id) == (0, 1)


def test_depth_may_have_any_resolution_and_holes():
    depth = depth_of([PERSON], 0.0, CAMERA.scaled(212, 159), POSE)
    depth[np.random.default_rng(1).random(depth.shape) < 0.6] = np.nan
    (obstacle,) = look([PERSON], depth=depth)
    assert np.allclose(obstacle.position[:2], [4, 0.5], atol=0.1)


def test_depth_of_another_shape_is_refused():
    with pytest.raises(CameraError, match='640×480 images, which 640×360'):
        look([PERSON], depth=np.ones((360, 640), np.float32))


def test_a_wall_behind_an_object_is_not_the_object():
    wall = Block((6.0, 0.0), size=(0.1, 8.0, 3.0))
    seen = detections(boxes_of([PERSON], 0.0, CAMERA, POSE))
    depth = depth_of([PERSON, wall], 0.0, CAMERA, POSE)
    (obstacle,) = ObstacleFinder(Settings()).find(seen, 0.0, CAMERA, POSE, depth)
    assert np.allclose(obstacle.position[:2], [4, 0.5], atol=0.1)


def test_the_ground_before_low_things_is_not_the_object():
    dog = Block((3.0, 0.0), size=(0.3, 0.3, 0.3))
    (obstacle,) = look([dog])
    assert np.allclose(obstacle.position, [3, 0, 0.15], atol=0.06)


@pytest.mark.parametrize(
    'lens',
    [
        (np.array([-0.25, 0.06, 0.001, 0.0, 0.0]), False),
        (np.array([0.4, 0.1, 0, 0, 0.01, 0.7, 0.2, 0.05]), False),
        (np.array([-0.02, 0.004, -0.001, 0.0]), True),
    ],
    ids=['plumb_bob', 'rational_polynomial', 'fisheye'],
)
@pytest.mark.parametrize('mode', ['depth', 'ground'])
def test_a_distorting_lens_does_not_move_obstacles(lens, mode):
    distortion, is_fisheye = lens
    matrix = np.array([[300.0, 0, 319.5], [0, 300, 239.5], [0, 0, 1]])
    camera = Camera(640, 480, matrix, distortion, is_fisheye, np.eye(3))
    (obstacle,) = look([PERSON], camera=camera, mode=mode)
    assert np.linalg.norm(obstacle.position[:2] - [4, 0.5]) < BARS[mode] * 4


def test_the_ground_may_be_at_another_height():
    finder = ObstacleFinder(Settings('ground', ground_z=-0.2))
    low = Pose(POSE.rotation, POSE.translation - [0, 0, 0.2])
    seen = detections(boxes_of([PERSON], 0.0, CAMERA, POSE))
    (obstacle,) = finder.find(seen, 0.0, CAMERA, low)
    assert np.allclose(obstacle.position, [4, 0.5, 0.65], atol=0.15)


def test_what_has_no_place_is_counted_by_the_reason():
    finder = ObstacleFinder(Settings('ground'))
    sky, far = [300, 10, 330, 60], [300, 100, 310, 162]
    assert not finder.find(detections(np.array([sky, far], float)), 0.0, CAMERA, POSE)
    assert finder.lost == {'above_horizon': 1, 'too_far': 1}
    finder = ObstacleFinder(Settings())
    nothing = np.full((480, 640), np.nan, np.float32)
    assert not look([PERSON], finder, depth=nothing)
    down = Pose.of_camera(0, 0, 3, 0, np.pi / 2, 0)
    middle = detections(np.array([[310, 230, 330, 250]], float))
    assert not finder.find(middle, 1.0, CAMERA, down, nothing)
    assert finder.lost == {'no_depth': 1, 'out_of_view': 1}


@pytest.mark.parametrize('mode', ['depth', 'ground'])
def test_a_box_that_is_none_is_no_obstacle_and_hides_no_other(mode):
    good = boxes_of([PERSON], 0.0, CAMERA, POSE)
    boxes = np.concatenate([[[np.nan] * 4], [[np.inf] * 4], [[50, 50, 40, 40]], good])
    depth = depth_of([PERSON], 0.0, CAMERA, POSE) if mode == 'depth' else None
    seen = replace(detections(boxes), boxes=boxes.astype(np.float32))
    found = ObstacleFinder(Settings(mode)).find(seen, 0.0, CAMERA, POSE, depth)
    assert [one.index for one in found if np.hypot(*(one.position[:2] - [4, 0.5])) < 0.2] == [3]


def test_no_detections_are_no_obstacles():
    empty = replace(Detections.empty(), ids=np.zeros(0, np.int64))
    depth = np.ones((480, 640), np.float32)
    assert ObstacleFinder(Settings()).find(empty, 0.0, CAMERA, POSE, depth) == []
    assert ObstacleFinder(Settings('ground')).find(empty, 0.0, CAMERA, POSE) == []


def test_a_foot_that_the_picture_cuts_off_makes_the_range_unsure():
    near = Block((0.75, 0.0), size=(0.3, 0.3, 1.7))
    (obstacle,) = look([near], mode='ground')
    assert obstacle.covariance[0, 0] > 0.4**2
    (obstacle,) = look([PERSON], mode='ground')
    assert obstacle.covariance[0, 0] < 0.2**2


def test_the_covariance_is_as_large_as_the_errors_are():
    """Normalised errors squared are 2 on the average of two dimensions, where it is right."""
    random, errors = np.random.default_rng(2), []
    for _ in range(300):
        boxes = boxes_of([PERSON], 0.0, CAMERA, POSE) + random.normal(0, 2, (1, 4))
        (obstacle,) = ObstacleFinder(Settings('ground')).find(detections(boxes), 0.0, CAMERA, POSE)
        off = obstacle.position[:2] - PERSON.start
        errors.append(off @ np.linalg.solve(obstacle.covariance[:2, :2], off))
    assert 0.5 < np.mean(errors) < 4


def test_without_tracks_there_is_a_position_but_no_velocity():
    (seen,) = boxes_of([PERSON], 0.0, CAMERA, POSE)[None]
    plain = Detections.of(seen, np.array([0.5]))
    (obstacle,) = ObstacleFinder(Settings('ground')).find(plain, 0.0, CAMERA, POSE)
    assert obstacle.track_id == 0
    assert np.isnan(obstacle.velocity).all()
    assert np.isfinite(obstacle.covariance[:2, :2]).all()
    assert np.isnan(obstacle.covariance[2:, 2:]).all()


def test_a_clock_that_goes_back_makes_all_objects_new_ones():
    finder = ObstacleFinder(Settings())
    walking = Block((4.0, 0.0), velocity=(0.0, 1.0))
    for time_s in np.arange(0, 2, 0.1):
        (obstacle,) = look([walking], finder, time_s=time_s)
    assert obstacle.velocity[1] == pytest.approx(1, abs=0.1)
    (obstacle,) = look([walking], finder, time_s=0.5)
    assert np.array_equal(obstacle.velocity, [0, 0])


def test_an_object_that_was_away_for_long_is_a_new_one():
    finder = ObstacleFinder(Settings())
    walking = Block((4.0, -1.0), velocity=(0.0, 1.0))
    for time_s in (*np.arange(0, 1, 0.1), 2.0):
        (obstacle,) = look([walking], finder, time_s=time_s)
    assert obstacle.velocity[1] == pytest.approx(1, abs=0.1)
    look([PERSON], finder, time_s=3.0, ids=[2])
    look([PERSON], finder, time_s=4.1, ids=[2])
    (obstacle,) = look([PERSON], finder, time_s=4.2)
    assert np.array_equal(obstacle.velocity, [0, 0])


SURE = 0.01 * np.eye(2)[None]


def measure(filters: Filters, place, time_s: float) -> tuple[np.ndarray, np.ndarray]:
    """State and covariance of an object that was measured."""
    states, covariances = filters.update([5], np.array([place], float), SURE, time_s)
    return states[0], covariances[0]


def test_one_outlier_moves_nobody_and_three_are_the_truth():
    filters = Filters(1.0)
    for step in range(10):
        measure(filters, (0, 0), step / 10)
    state, _ = measure(filters, (8, 0), 1.0)
    assert np.linalg.norm(state[:2]) < 0.1
    measure(filters, (8, 0), 1.1)
    state, _ = measure(filters, (8, 0), 1.2)
    assert np.allclose(state, [8, 0, 0, 0])


def test_the_filter_learns_a_constant_velocity_and_says_how_sure_it_is():
    random, filters = np.random.default_rng(0), Filters(0.2)
    for step in range(50):
        truth = np.array([0.1, -0.05]) * step
        state, covariance = measure(filters, truth + random.normal(0, 0.1, 2), step / 10)
    off = state[2:] - [1, -0.5]
    assert np.linalg.norm(off) < 0.2
    assert off @ np.linalg.solve(covariance[2:, 2:], off) < 12
    assert np.allclose(covariance, covariance.T)


def test_objects_do_not_disturb_each_other():
    together, alone = Filters(1.0), Filters(1.0)
    for step in range(10):
        places = np.array([[step / 10, 0], [5, -step / 10]])
        both, _ = together.update([1, 2][:: 1 - 2 * (step % 2)], places[:: 1 - 2 * (step % 2)],
                                  np.tile(SURE, (2, 1, 1)), step / 10)  # fmt: skip
        one, _ = alone.update([2], places[1:], SURE, step / 10)
    assert np.allclose(both[0 if step % 2 else 1], one[0])


def test_a_footprint_is_as_wide_as_the_obstacle_from_its_foot_to_its_top():
    (obstacle,) = look([PERSON])
    points = footprint_points([obstacle], 0.1)
    assert points.dtype == np.float32
    away = np.linalg.norm(points[:, :2] - obstacle.position[:2], axis=1)
    assert away.max() == pytest.approx(obstacle.size[1] / 2, abs=1e-3)
    assert points[:, 2].min() == pytest.approx(0, abs=0.1)
    assert points[:, 2].max() == pytest.approx(1.7, abs=0.1)
    ring = points[np.isclose(points[:, 2], points[0, 2])][:-1, :2]
    assert np.linalg.norm(ring - np.roll(ring, 1, axis=0), axis=1).max() <= 0.1
    assert footprint_points([], 0.1).shape == (0, 3)
