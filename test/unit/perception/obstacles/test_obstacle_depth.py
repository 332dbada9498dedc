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

"""Depth images and clouds as messages: every encoding, holes, and what is broken."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from e4_ros.perception.obstacles import (
    Camera,
    DepthError,
    Pose,
    depth_of_image,
    points_of_cloud,
)
from e4_ros.perception.obstacles.depth import depth_of_points


@dataclass
class Image:
    """The fields of sensor_msgs/Image."""

    height: int
    width: int
    encoding: str
    step: int
    data: bytes
    is_bigendian: int = 0


@dataclass
class Field:
    name: str
    offset: int
    datatype: int = 7


@dataclass
class Cloud:
    """The fields of sensor_msgs/PointCloud2."""

    height: int
    width: int
    fields: list
    point_step: int
    row_step: int
    data: bytes
    is_bigendian: bool = False


@pytest.mark.parametrize('encoding', ['16UC1', 'mono16'])
@pytest.mark.parametrize('is_bigendian', [0, 1])
def test_millimetres_become_metres_and_nought_is_a_hole(encoding, is_bigendian):
    raw = np.array([[1500, 0, 65535]], '>u2' if is_bigendian else '<u2')
    depth = depth_of_image(Image(1, 3, encoding, 6, raw.tobytes(), is_bigendian))
    assert depth.dtype == np.float32
    assert np.allclose(depth, [[1.5, np.nan, 65.535]], equal_nan=True)


def test_metres_stay_metres_and_what_is_no_distance_is_a_hole():
    raw = np.array([[1.25, np.nan, np.inf, -np.inf, -1.0, 0.0]], '<f4')
    depth = depth_of_image(Image(1, 6, '32FC1', 24, raw.tobytes()))
    assert np.array_equal(np.isfinite(depth), [[True] + [False] * 5])
    assert depth[0, 0] == 1.25


def test_padding_at_the_ends_of_rows_is_left_out():
    rows = np.array([[1000, 2000, 9], [3000, 4000, 9]], '<u2')
    depth = depth_of_image(Image(2, 2, '16UC1', 6, rows.tobytes()[:-2]))
    assert np.allclose(depth, [[1, 2], [3, 4]])


@pytest.mark.parametrize(
    ('image', 'says'),
    [
        (Image(1, 1, 'rgb8', 3, bytes(3)), "16UC1 or 32FC1, not 'rgb8'"),
        (Image(0, 0, '16UC1', 0, b''), 'no pixels'),
        (Image(2, 2, '16UC1', 4, bytes(7)), 'truncated: 7 bytes'),
        (Image(2, 2, '32FC1', 4, bytes(64)), 'step 4'),
    ],
)
def test_a_broken_depth_image_is_refused_with_the_reason(image, says):
    with pytest.raises(DepthError, match=says):
        depth_of_image(image)


def cloud_of(points: np.ndarray, height: int = 1) -> Cloud:
    """Points with a colour between x and y, as drivers send them."""
    count = points.shape[0]
    raw = np.zeros((count, 5), '<f4')
    raw[:, [0, 2, 3]] = points
    fields = [Field('x', 0), Field('rgb', 4), Field('y', 8), Field('z', 12)]
    width = count // height
    return Cloud(height, width, fields, 20, 20 * width, raw.tobytes())


POINTS = np.array([[0, 0, 2.0], [0.5, 0, 2.0], [np.nan, 0, 1], [0, 0, 4.0]])


def test_points_are_found_wherever_their_fields_lie():
    assert np.allclose(points_of_cloud(cloud_of(POINTS)), POINTS, equal_nan=True)


def test_doubles_of_the_other_byte_order_are_read():
    raw = POINTS.astype('>f8').tobytes()
    fields = [Field(name, 8 * axis, 8) for axis, name in enumerate('xyz')]
    points = points_of_cloud(Cloud(1, 4, fields, 24, 96, raw, is_bigendian=True))
    assert np.allclose(points, POINTS, equal_nan=True)


def test_of_a_large_cloud_a_part_that_spans_it_is_kept():
    many = np.repeat(np.arange(100_000.0)[:, None], 3, axis=1)
    kept = points_of_cloud(cloud_of(many))
    assert 1_000 < len(kept) < 50_000
    assert (kept[0, 0], kept[-1, 0]) == (0, 99_999)


def test_an_organised_cloud_keeps_its_shape():
    points = points_of_cloud(cloud_of(POINTS, height=2))
    assert points.shape == (2, 2, 3)
    assert np.isnan(points[1, 0, 0])


@pytest.mark.parametrize(
    ('change', 'says'),
    [
        ({'fields': [Field('x', 0), Field('y', 4)]}, 'it has x, y'),
        ({'fields': [Field('x', 0, 4), Field('y', 4), Field('z', 8)]}, 'of type float'),
        ({'fields': []}, 'it has none'),
        ({'data': bytes(10)}, 'truncated: 10 bytes'),
        ({'point_step': 12}, '12 bytes, too few'),
    ],
)
def test_a_broken_cloud_is_refused_with_the_reason(change, says):
    cloud = cloud_of(POINTS)
    for name, value in change.items():
        setattr(cloud, name, value)
    with pytest.raises(DepthError, match=says):
        points_of_cloud(cloud)


def test_a_cloud_without_points_is_one():
    empty = cloud_of(np.zeros((0, 3)))
    points = points_of_cloud(empty)
    assert points.shape == (0, 3)
    assert np.isnan(depth_of_points(points, Pose.identity(), CAMERA)[0]).all()


CAMERA = Camera.pinhole(240, 180, 150.0, 150.0, 119.5, 89.5)  # small enough for a cloud as it is


def test_of_two_points_in_one_pixel_the_nearer_one_is_seen():
    points = np.array([[0.01, 0.01, 4.0], [0.005, 0.005, 2.0], [0, 0, -1], [np.nan, 0, 1]])
    depth, camera = depth_of_points(points, Pose.identity(), CAMERA)
    assert depth.shape == (camera.height, camera.width)
    assert np.array_equal(np.argwhere(depth == 2.0).mean(0), [90, 120])
    assert np.nanmax(depth) == 2.0


def test_a_cloud_of_another_sensor_is_seen_from_where_the_camera_is():
    lidar = Pose(np.array([[0, -1.0, 0], [0, 0, -1], [1, 0, 0]]), np.array([0, 0.2, 0]))
    depth, _ = depth_of_points(np.array([[5.0, -0.01, 0]]), lidar, CAMERA)  # ahead of the lidar
    row, column = np.argwhere(depth == 5.0).mean(0)
    assert (row, column) == (round(89.5 + 150 * 0.2 / 5), 120)


def test_a_large_cloud_is_thinned_out_without_leaving_columns_empty():
    points = CAMERA.scaled(640, 480).ray_table * 3.0
    depth, _ = depth_of_points(points.reshape(-1, 3), Pose.identity(), CAMERA)
    assert np.isfinite(depth).mean() > 0.95


def test_an_organised_cloud_of_the_camera_itself_is_taken_pixel_by_pixel():
    points = np.zeros((120, 160, 3), np.float32)
    points[..., 2] = 3.0
    points[0, 0] = np.nan
    depth, camera = depth_of_points(points, Pose.identity(), CAMERA)
    assert (camera.width, camera.height) == (160, 120)
    assert np.isnan(depth[0, 0])
    assert np.nanmax(depth) == np.nanmin(depth) == 3.0
