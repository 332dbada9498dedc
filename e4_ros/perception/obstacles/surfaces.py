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

"""How far away the nearest side of each detected object is: by a depth image, or by the ground."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from e4_ros.perception.obstacles.bearings import Bearings
from e4_ros.perception.obstacles.camera import Camera
from e4_ros.perception.obstacles.pose import Pose

MAX_DEPTH_M = 1.0
"""An object reaches no further behind its nearest side: what lies deeper is its background."""

_ROWS, _COLUMNS = 24, 24  # of the samples that are taken of a box
_GROUND_M = 0.07  # what is lower is ground, noise included
_SHARE = 0.15  # of a box's samples that make something an object
_FEWEST = 6
_GAP_M = 0.3  # between an object and what stands behind it
_NEAREST = 0.1  # share of the columns that may lie nearer than the nearest side: noise

# Standard deviations of a measured range: what calibration and shape leave, and what stereo adds.
_DEPTH_SIGMA_M, _DEPTH_SIGMA, _STEREO_SIGMA = 0.03, 0.01, 0.001
_TILT_SIGMA = 0.005  # of the camera, radians: mounting, suspension, the floor


class Surfaces(NamedTuple):
    """Nearest sides of N boxes.

    Attributes:
        near: ``(N,)`` horizontal range in metres; NaN where none was found.
        edge: ``(N,)``, range at which the object's outline lies.
        sigma: ``(N,)``, standard deviation of ``near`` in metres.
    """

    near: np.ndarray
    edge: np.ndarray
    sigma: np.ndarray


def surfaces_by_depth(
    boxes: np.ndarray,
    bearings: Bearings,
    depth: np.ndarray,
    camera: Camera,
    pose: Pose,
    ground_z: float,
) -> Surfaces:
    """Find the nearest thing in each box that is large enough and does not lie on the ground.

    Args:
        boxes: ``(N, 4)`` in pixels of the depth image, which has the same view as the camera.
        bearings: Theirs.
        depth: ``(H, W)`` float32 metres along the optical axis; NaN where nothing was measured.
        camera: The camera, scaled to the depth image.
        pose: Its optical frame's pose in the frame whose z points up.
        ground_z: Height of the ground in that frame.
    """
    height, width = depth.shape
    x0, y0, x1, y1 = np.nan_to_num(np.asarray(boxes, float)).T[:, :, None]
    across, down = (np.arange(n) / n + 0.5 / n for n in (_COLUMNS, _ROWS))
    columns = np.clip(x0 + across * (x1 - x0), 0, width - 1).astype(int)[:, None, :]
    rows = np.clip(y0 + down * (y1 - y0), 0, height - 1).astype(int)[:, :, None]
    distance = depth[rows, columns].astype(float)
    points = pose.apply(camera.ray_table[rows, columns] * distance[..., None])
    along = (points[..., :2] - bearings.camera[:2]) * bearings.ahead[:, None, None, :]
    ranges = np.where(distance > 0, along.sum(-1), np.nan)  # (N, rows, columns)
    # A point may lie anywhere in its pixel, and of a cloud in the one beside it.
    margin = _GROUND_M + 1.5 / camera.matrix[1, 1] * ranges
    low = points[..., 2] < ground_z + margin
    raised = np.where(low, np.nan, ranges)
    is_flat = np.isfinite(raised).sum((1, 2)) < _FEWEST  # a mat, or a foot alone
    near, edge = _nearest(np.where(is_flat[:, None, None], ranges, raised))
    sigma = _DEPTH_SIGMA_M + _DEPTH_SIGMA * near + _STEREO_SIGMA * near**2
    return Surfaces(near, edge, sigma)


def surfaces_by_ground(
    boxes: np.ndarray, bearings: Bearings, height_px: int, ground_z: float
) -> Surfaces:
    """Find where the lower edges of the boxes meet the ground.

    A box that the image's lower edge cuts off shows no foot: its object is somewhere between the
    camera and the nearest ground that is seen, and is put there with a deviation as large as that.

    Args:
        boxes: ``(N, 4)`` in pixels of the image.
        bearings: Theirs.
        height_px: Height of the image.
        ground_z: Height of the ground.
    """
    above_ground = bearings.camera[2] - ground_z
    near = _range(above_ground, bearings.bottom)
    farther = _range(above_ground, bearings.bottom_above)
    nearer = _range(above_ground, bearings.bottom_below)
    by_pixels = np.where(np.isfinite(farther), (farther - nearer) / 2, near - nearer)
    by_tilt = _TILT_SIGMA * (above_ground**2 + near**2) / max(above_ground, 1e-3)
    sigma = np.sqrt(_DEPTH_SIGMA_M**2 + by_pixels**2 + by_tilt**2)
    is_cut = np.asarray(boxes)[:, 3] >= height_px - 1.5
    return Surfaces(near, near, np.where(is_cut, np.maximum(sigma, near), sigma))


def _range(above_ground: float, slopes: np.ndarray) -> np.ndarray:
    falling = (slopes < -1e-6) & (above_ground > 0)
    return np.where(falling, above_ground / -np.where(falling, slopes, -1.0), np.nan)


def _nearest(ranges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ranges of the nearest sides and of the outlines, ``(N,)`` each; NaN where nothing is.

    Args:
        ranges: ``(N, rows, columns)``, samples of each box.
    """
    inner = ranges[:, :, _COLUMNS // 8 : -(_COLUMNS // 8)]  # the sides of a box are background
    in_order = np.sort(inner.reshape(len(ranges), inner[0].size if len(inner) else 0), axis=1)
    spans = [_front(one[:count]) for one, count in zip(in_order, np.isfinite(in_order).sum(1),
             strict=True)]  # fmt: skip
    start, end = np.array(spans, float).reshape(-1, 2).T[:, :, None, None]
    is_object = (ranges >= start) & (ranges <= end)
    counts = is_object.sum(1)
    columns = np.sort(np.where(is_object, ranges, np.inf), axis=1)
    medians = np.take_along_axis(columns, counts[:, None] // 2 % _ROWS, axis=1)[:, 0]
    enough = counts >= np.maximum(1, counts.max(1, initial=0)[:, None] // 4)
    nearest_first = np.sort(np.where(enough, medians, np.inf), axis=1)
    each, number = np.arange(len(ranges)), enough.sum(1)
    near = nearest_first[each, (_NEAREST * number).astype(int)]
    near = np.where(number > 0, near, np.nan)
    first, last = enough.argmax(1), _COLUMNS - 1 - enough[:, ::-1].argmax(1)
    sides = (medians[each, first] + medians[each, last]) / 2
    return near, np.clip(sides, near, near + MAX_DEPTH_M / 2)


def _front(ranges: np.ndarray) -> tuple[float, float]:
    """From where to where the nearest thing reaches that has its share of samples close together.

    Args:
        ranges: ``(M,)``, samples of one box in rising order.
    """
    count = max(_FEWEST, int(_SHARE * len(ranges)))
    if len(ranges) < count:
        return np.nan, np.nan
    way = ranges[count - 1 :] - ranges[: len(ranges) - count + 1]
    is_dense = way <= _GAP_M + 0.02 * ranges[: len(way)]
    first = int(is_dense.argmax())
    if not is_dense[first]:
        return np.nan, np.nan
    rest = ranges[first:]
    is_gap = rest[1:] - rest[:-1] > _GAP_M
    last = int(is_gap.argmax()) if is_gap.any() else len(rest) - 1
    return rest[0], min(rest[last], rest[0] + MAX_DEPTH_M)
