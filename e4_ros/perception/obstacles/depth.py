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

"""Depth images and point clouds: messages to metres, and clouds to depth images.

A message is anything with the fields of ``sensor_msgs/Image`` or ``sensor_msgs/PointCloud2``.
"""

from __future__ import annotations

import contextlib
from typing import Any

import cv2
import numpy as np

from e4_ros.perception.obstacles.camera import Camera, CameraError
from e4_ros.perception.obstacles.pose import Pose

_DEPTHS = {'16UC1': ('u2', 0.001), 'mono16': ('u2', 0.001), '32FC1': ('f4', 1.0)}
_FLOATS = {7: 'f4', 8: 'f8'}  # PointField.FLOAT32, FLOAT64
_CLOUD_WIDTH = 240  # of the picture that a cloud is drawn into: fine enough for lidars
_NOWHERE_M = 1e6
_MOST_POINTS = 15_000  # of a cloud; more are thinned out evenly


class DepthError(ValueError):
    """A depth image or cloud that cannot be read; the text says why."""


def depth_of_image(message: Any) -> np.ndarray:
    """Distances along the optical axis in metres.

    Args:
        message: ``sensor_msgs/Image`` with 16UC1 (or mono16) millimetres or 32FC1 metres.

    Returns:
        ``(H, W)`` float32; NaN where nothing was measured (0, NaN, infinite or negative).

    Raises:
        DepthError: another encoding, no pixels, or less data than the header says.
    """
    if message.encoding not in _DEPTHS:
        raise DepthError(
            f'a depth image has the encoding 16UC1 or 32FC1, not {message.encoding!r}: check which '
            'topic `depth` is remapped to'
        )
    kind, metres = _DEPTHS[message.encoding]
    dtype = np.dtype(kind).newbyteorder('>' if message.is_bigendian else '<')
    height, width, step = message.height, message.width, message.step
    data = np.frombuffer(message.data, np.uint8)
    row = width * dtype.itemsize
    if not height or not width:
        raise DepthError('the depth image has no pixels')
    if step < row or data.size < step * (height - 1) + row:
        raise DepthError(
            f'the depth image is truncated: {data.size} bytes, {width}×{height} '
            f'{message.encoding} with step {step} needs {max(step, row) * height}'
        )
    raw = np.ndarray((height, width), dtype, data, strides=(step, dtype.itemsize))
    depth = np.multiply(raw, np.float32(metres), dtype=np.float32)
    depth[~((depth > 0) & (depth < np.inf))] = np.nan
    return depth


def points_of_cloud(message: Any) -> np.ndarray:
    """Points of a ``sensor_msgs/PointCloud2``.

    Returns:
        ``(H, W, 3)`` float32 metres where it is organised like an image, else ``(N, 3)``, at most
        so many as are of use; NaN where nothing was measured.

    Raises:
        DepthError: no x, y and z of type float, or less data than the header says.
    """
    fields = {field.name: field for field in message.fields}
    if not all(n in fields and fields[n].datatype in _FLOATS for n in 'xyz'):
        raise DepthError(
            f'the cloud needs fields x, y and z of type float, it has {", ".join(fields) or "none"}'
        )
    height, width = message.height, message.width
    data = np.frombuffer(message.data, np.uint8)
    if data.size < message.row_step * (height - 1) + message.point_step * width:
        raise DepthError(f'the cloud is truncated: {data.size} bytes for {height}×{width} points')
    if not height * width:
        return np.zeros((0, 3), np.float32)
    ends = (fields[n].offset + int(_FLOATS[fields[n].datatype][1]) for n in 'xyz')
    if max(ends) > message.point_step:
        raise DepthError(
            f'a point of the cloud has {message.point_step} bytes, too few for x, y, z'
        )
    axes = [_axis(message, fields[name]) for name in 'xyz']
    if height > 1:
        return np.stack(axes, axis=-1).astype(np.float32)
    kept = _thinned(width)
    return np.stack([axis[0, kept] for axis in axes], axis=-1).astype(np.float32)


def _axis(message: Any, field: Any) -> np.ndarray:
    """One coordinate of each point as it lies in the message, ``(H, W)``."""
    dtype = np.dtype(_FLOATS[field.datatype]).newbyteorder('>' if message.is_bigendian else '<')
    return np.ndarray(
        (message.height, message.width),
        dtype,
        message.data,
        offset=field.offset,
        strides=(message.row_step, message.point_step),
    )


def _thinned(count: int) -> slice | np.ndarray:
    """Which of so many points to keep: not each n-th, which could miss the same columns always."""
    if count <= _MOST_POINTS:
        return slice(None)
    return np.linspace(0, count - 1, _MOST_POINTS).astype(np.intp)


def depth_of_points(points: np.ndarray, pose: Pose, camera: Camera) -> tuple[np.ndarray, Camera]:
    """Draw a cloud as the camera would see it; of two points in a pixel the nearer one.

    One that is organised like the camera's image, and in its frame, is a depth image already.

    Args:
        points: ``(N, 3)`` or ``(H, W, 3)`` in metres.
        pose: Their frame's pose in the camera's optical frame.
        camera: The camera.

    Returns:
        A depth image ``(h, w)`` float32 with NaN where no point is, and its camera.
    """
    if points.ndim == 3 and _is_same(pose):
        with contextlib.suppress(CameraError):  # rings of a lidar are no image
            depth = np.where(points[..., 2] > 0, points[..., 2], np.nan)
            return depth, camera.scaled(depth.shape[1], depth.shape[0])
    flat = points.reshape(-1, 3)
    flat = flat[_thinned(len(flat))]
    width = min(_CLOUD_WIDTH, camera.width)
    small = camera.scaled(width, max(1, round(camera.height * width / camera.width)))
    there = pose.apply(flat)
    there = there[there[:, 2] > 0]  # NaN is not
    x, y = np.rint(small.project(there)).T
    inside = (x >= 0) & (x < small.width) & (y >= 0) & (y < small.height)
    cells = (y[inside] * small.width + x[inside]).astype(np.intp)
    nearest = np.full(small.height * small.width, _NOWHERE_M, np.float32)
    np.minimum.at(nearest, cells, there[inside, 2].astype(np.float32))
    # A point covers its neighbours, too: between the lines of a lidar there would be holes.
    depth = cv2.erode(nearest.reshape(small.height, small.width), np.ones((3, 3), np.uint8))
    depth[depth >= _NOWHERE_M] = np.nan
    return depth, small


def _is_same(pose: Pose) -> bool:
    return bool(np.allclose(pose.rotation, np.eye(3), atol=1e-4)) and bool(
        np.allclose(pose.translation, 0, atol=1e-4)
    )


def points_of_depth(depth: np.ndarray, camera: Camera) -> np.ndarray:
    """Points ``(H, W, 3)`` float32 of a depth image in its camera's optical frame."""
    points: np.ndarray = camera.ray_table * depth[..., None]
    return points
