"""How far away the nearest side of each detected object is: by a depth image, or by the ground."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from e4_ros.perception.obstacles.bearings import Bearings
from e4_ros.perception.obstacles.camera import Camera
from e4_ros.perception.obstacles.pose import Pose

MAX_DEPTH_M = 1.0
"""An object reaches no further behind its nearest side: what lies deeper is its background."""

_ROWS, _COLUMNS = 32, 24  # of the samples that are taken of a box
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
    x0, y0, x1, y1 = np.asarray(boxes, float).T[:, :, None]
    across, down = (np.arange(n) / n + 0.5 / n for n in (_COLUMNS, _ROWS))
    columns = np.clip(x0 + across * (x1 - x0), 0, width - 1).astype(int)[:, None, :]
    rows = np.clip(y0 + down * (y1 - y0), 0, height - 1).astype(int)[:, :, None]
    distance = depth[rows, columns].astype(float)
    points = pose.apply(camera.ray_table[rows, columns] * distance[..., None])
    along = (points[..., :2] - bearings.camera[:2]) * bearings.ahead[:, None, None, :]
    ranges = np.where(distance > 0, along.sum(-1), np.nan)  # (N, rows, columns)
    low = points[..., 2] < ground_z + _GROUND_M
    raised = np.where(low, np.nan, ranges)
    found = [_nearest(one if np.isfinite(one).sum() >= _FEWEST else ranges[i])
             for i, one in enumerate(raised)]  # fmt: skip
    near, edge = np.array(found, float).reshape(-1, 2).T
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


def _nearest(ranges: np.ndarray) -> tuple[float, float]:
    """Range of the nearest side and of the outline, in samples ``(rows, columns)`` of one box."""
    inner = ranges[:, _COLUMNS // 8 : -(_COLUMNS // 8)]  # the sides of a box are background
    start = _front(inner)
    if start is None:
        return np.nan, np.nan
    flat = np.sort(ranges[ranges >= start], axis=None)
    gaps = np.flatnonzero(np.diff(flat) > _GAP_M)
    end = flat[gaps[0]] if len(gaps) else flat[-1]
    end = min(end, start + MAX_DEPTH_M)
    is_object = (ranges >= start) & (ranges <= end)
    counts = is_object.sum(0)
    enough = np.flatnonzero(counts >= max(1, counts.max() // 4))
    in_order = np.sort(np.where(is_object, ranges, np.inf)[:, enough], axis=0)
    medians = in_order[counts[enough] // 2, np.arange(len(enough))]
    near = np.sort(medians)[int(_NEAREST * len(medians))]
    edge = np.clip((medians[0] + medians[-1]) / 2, near, near + MAX_DEPTH_M / 2)
    return float(near), float(edge)


def _front(ranges: np.ndarray) -> float | None:
    """Where the nearest thing begins that has its share of the samples within a short way."""
    flat = ranges[np.isfinite(ranges)]
    count = max(_FEWEST, int(_SHARE * len(flat)))
    if len(flat) < count:
        return None
    flat.sort()
    way = flat[count - 1 :] - flat[: len(flat) - count + 1]
    dense = np.flatnonzero(way <= _GAP_M + 0.02 * flat[: len(way)])
    return float(flat[dense[0]]) if len(dense) else None
