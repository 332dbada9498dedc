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

"""A scene that is known exactly: a camera over a plane, and upright boxes that stand or move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from e4_ros.perception.obstacles import Camera, Pose


def _edges() -> np.ndarray:
    """Points on the twelve edges of a cube of side 1 around 0."""
    along = np.linspace(-0.5, 0.5, 401)
    corners = [(a, b) for a in (-0.5, 0.5) for b in (-0.5, 0.5)]
    flat = [np.stack([along, np.full(401, a), np.full(401, b)], -1) for a, b in corners]
    return np.concatenate([np.roll(edge, axis, axis=1) for edge in flat for axis in range(3)])


_EDGES = _edges()


@dataclass(frozen=True)
class Block:
    """An upright box on the plane z = 0.

    Attributes:
        start: ``(2,)`` metres, its middle at time 0.
        velocity: ``(2,)`` metres a second.
        size: ``(3,)`` metres along, across and upwards.
        yaw: its direction in radians.
    """

    start: tuple[float, float]
    velocity: tuple[float, float] = (0.0, 0.0)
    size: tuple[float, float, float] = (0.5, 0.5, 1.7)
    yaw: float = 0.0

    def middle(self, time_s: float) -> np.ndarray:
        """``(2,)`` metres at a time."""
        return np.asarray(self.start) + time_s * np.asarray(self.velocity)

    def pose(self, time_s: float) -> Pose:
        """Where its middle is in the world."""
        cosine, sine = np.cos(self.yaw), np.sin(self.yaw)
        turn = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1.0]])
        return Pose(turn, np.array([*self.middle(time_s), self.size[2] / 2]))


def boxes_of(
    blocks: Sequence[Block], time_s: float, camera: Camera, camera_pose: Pose
) -> np.ndarray:
    """The blocks in the image, as a perfect detector frames them.

    Args:
        blocks: What to look at; some of each must be in view.
        time_s: When.
        camera: What looks.
        camera_pose: Its optical frame's pose in the world.

    Returns:
        ``(N, 4)`` x0, y0, x1, y1 in pixels around what is in the image.
    """
    found = []
    for block in blocks:
        world = block.pose(time_s).apply(_EDGES * np.asarray(block.size))
        pixels = camera.project(camera_pose.inverse().apply(world)) + 0.5  # boxes count from edges
        seen = ((pixels >= 0) & (pixels <= (camera.width, camera.height))).all(1)
        found.append(np.concatenate([pixels[seen].min(0), pixels[seen].max(0)]))
    return np.array(found).reshape(-1, 4)


def depth_of(
    blocks: Sequence[Block], time_s: float, camera: Camera, camera_pose: Pose
) -> np.ndarray:
    """The depth image of plane and blocks.

    Returns:
        ``(H, W)`` float32 metres along the optical axis; NaN where nothing is.
    """
    depth = _plane(camera.ray_table, camera_pose)
    for block, box in zip(blocks, boxes_of(blocks, time_s, camera, camera_pose), strict=True):
        (x0, y0), (x1, y1) = np.floor(box[:2]).astype(int), np.ceil(box[2:]).astype(int)
        part = depth[y0:y1, x0:x1]
        inside = block.pose(time_s).inverse().after(camera_pose)
        rays = camera.ray_table[y0:y1, x0:x1] @ inside.rotation.T
        np.fmin(part, _slabs(rays, inside.translation, block.size), out=part)
    return depth.astype(np.float32)


def _plane(rays: np.ndarray, camera_pose: Pose) -> np.ndarray:
    down = rays @ camera_pose.rotation[2]
    with np.errstate(divide='ignore', invalid='ignore'):
        depth = -camera_pose.translation[2] / down
    return np.where((down < 0) & (depth < 100), depth, np.nan)


def _slabs(rays: np.ndarray, origin: np.ndarray, size: Sequence[float]) -> np.ndarray:
    """Where rays from ``origin`` enter a box around 0, in multiples of the rays; NaN for never."""
    half = np.asarray(size) / 2
    with np.errstate(divide='ignore', invalid='ignore'):
        sides = np.stack([(-half - origin) / rays, (half - origin) / rays])
    enters = sides.min(0).max(-1)
    leaves = sides.max(0).min(-1)
    return np.where((enters > 0) & (enters < leaves), enters, np.nan)
