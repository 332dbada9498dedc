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

"""Where boxes lie as seen from the camera: bearings and slopes in a frame whose z points up."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from e4_ros.perception.obstacles.camera import Camera
from e4_ros.perception.obstacles.pose import Pose

_STEEPEST = 0.1  # horizontal part of a ray, below which it looks straight up or down


class Bearings(NamedTuple):
    """Rays through the edges of N boxes; ranges below are horizontal ones, along `ahead`.

    Attributes:
        camera: ``(3,)``, where the camera is.
        ahead: ``(N, 2)``, horizontal unit vectors to the middle of each box; NaN where a box
            cannot be placed: the lens sees nothing there, or the camera looks straight down.
        half_width: ``(N,)``, half a box's width at a range of 1.
        top: ``(N,)``, metres upwards for each metre of range, at the upper edge.
        bottom: ``(N,)``, the same at the lower edge.
        bottom_above: ``(N,)``, the same some pixels above the lower edge.
        bottom_below: ``(N,)``, the same as many pixels below it.
        pixel: ``(N,)``, width of one pixel at a range of 1.
    """

    camera: np.ndarray
    ahead: np.ndarray
    half_width: np.ndarray
    top: np.ndarray
    bottom: np.ndarray
    bottom_above: np.ndarray
    bottom_below: np.ndarray
    pixel: np.ndarray


def bearings_of(boxes: np.ndarray, camera: Camera, pose: Pose, sigma_px: float) -> Bearings:
    """Bearings of boxes.

    Args:
        boxes: ``(N, 4)`` x0, y0, x1, y1 in pixels of the camera's image.
        camera: The camera.
        pose: Its optical frame's pose in the frame whose z points up.
        sigma_px: Pixels above and below the lower edge at which it is looked at as well.
    """
    x0, y0, x1, y1 = np.where(np.isfinite(boxes), boxes, np.nan).T
    x = (x0 + x1) / 2
    pixels = np.stack(
        [
            *(np.stack([side, end], -1) for end in (y0, y1) for side in (x0, x1)),
            np.stack([x, y0], -1),
            np.stack([x, y1], -1),
            np.stack([x, y1 - sigma_px], -1),
            np.stack([x, y1 + sigma_px], -1),
        ]
    )
    rays = camera.rays(pixels.reshape(-1, 2) - 0.5) @ pose.rotation.T  # boxes count from corners
    *corners, top, bottom, above, below = rays.reshape(8, -1, 3)
    sides = np.stack([_flat(corner) for corner in corners]).reshape(2, 2, -1, 2)
    # A camera that looks down sees upright objects wider at their top, one that looks up at their
    # foot, and that is where they touch the box: the angle between its sides is smaller there.
    cosines = np.clip(sides.prod(1).sum(-1), -1, 1)
    end = np.where(cosines[0] >= cosines[1], 0, 1)
    each = np.arange(len(end))
    ahead = sides[end, 0, each] + sides[end, 1, each]
    ahead /= np.linalg.norm(ahead, axis=1, keepdims=True)
    cosine = cosines[end, each]
    half_width = np.sqrt((1 - cosine) / (1 + cosine))  # tangent of half the angle
    return Bearings(
        pose.translation,
        ahead,
        half_width,
        _slope(top, ahead),
        _slope(bottom, ahead),
        _slope(above, ahead),
        _slope(below, ahead),
        2 * half_width / np.maximum(x1 - x0, 1),
    )


def _flat(rays: np.ndarray) -> np.ndarray:
    """Horizontal unit vectors ``(N, 2)``; NaN where a ray goes straight up or down."""
    length = np.linalg.norm(rays[:, :2], axis=1, keepdims=True)
    steep = length < _STEEPEST * np.linalg.norm(rays, axis=1, keepdims=True)
    return rays[:, :2] / np.where(steep, np.nan, length)


def _slope(rays: np.ndarray, ahead: np.ndarray) -> np.ndarray:
    along = (rays[:, :2] * ahead).sum(1)
    return rays[:, 2] / np.where(along > 1e-6, along, np.nan)
