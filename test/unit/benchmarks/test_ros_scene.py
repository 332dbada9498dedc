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

"""The exact scene is exact: pixels, boxes and depth against geometry done by hand."""

from __future__ import annotations

import numpy as np
import pytest

from e4_ros.benchmarks.ros.obstacles import BARS, DISTANCES_M, measure
from e4_ros.benchmarks.ros.scene import Block, boxes_of, depth_of
from e4_ros.perception.obstacles import Camera, Pose

CAMERA = Camera.pinhole(200, 100, 100.0, 100.0, 99.5, 49.5)
LEVEL = Pose.of_camera(0, 0, 1.0, 0, 0, 0)
CUBE = Block((3.0, 0.0), velocity=(0.0, 1.0), size=(2.0, 1.0, 1.0))


def test_a_box_frames_the_nearest_side():
    # The near side is 2 m away and 1 m wide and high, its top at the height of the camera.
    assert np.allclose(boxes_of([CUBE], 0.0, CAMERA, LEVEL), [[75, 50, 125, 100]])


def test_a_box_that_leaves_the_picture_is_cut_off_at_its_border():
    (box,) = boxes_of([CUBE], 2.0, CAMERA, LEVEL)  # 1.5 to 2.5 m to the left
    assert box[0] == pytest.approx(0, abs=0.3)
    assert box[2] == pytest.approx(100 - 100 * 1.5 / 4, abs=0.3)


def test_depth_is_that_of_the_box_before_the_ground():
    depth = depth_of([CUBE], 0.0, CAMERA, LEVEL)
    assert depth[75, 100] == pytest.approx(2.0)
    assert depth[99, 10] == pytest.approx(100 / 49.5)  # ground, 1 m below
    assert np.isnan(depth[10, 100])


def test_a_turned_box_shows_its_corner():
    diamond = Block((3.0, 0.0), size=(1.0, 1.0, 2.0), yaw=np.pi / 4)
    depth = depth_of([diamond], 0.0, CAMERA, LEVEL)
    assert depth[50, 99:101].min() == pytest.approx(3 - np.sqrt(0.5), abs=0.02)


def test_the_benchmark_has_a_row_for_each_mode_robot_noise_and_distance():
    rows = measure(DISTANCES_M[-1:])
    assert len(rows) == len(BARS) * 2 * 2
    assert {'mode', 'distance_m', 'position_error_m', 'velocity_error_mps'} <= rows[0].keys()
    assert len({(r['mode'], r['robot'], r['box_noise_px']) for r in rows}) == len(rows)
