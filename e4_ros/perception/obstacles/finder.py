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

"""Detections of one image to obstacles: placed in metres, and followed by a filter for each id."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from e4_ros.perception.obstacles.bearings import Bearings, bearings_of
from e4_ros.perception.obstacles.camera import Camera
from e4_ros.perception.obstacles.motion import Filters
from e4_ros.perception.obstacles.pose import Pose
from e4_ros.perception.obstacles.surfaces import (
    MAX_DEPTH_M,
    Surfaces,
    surfaces_by_depth,
    surfaces_by_ground,
)
from e4_ros.vision.detections import Detections

MODES = ('depth', 'cloud', 'ground')

_ACROSS_SIGMA_M = 0.02


@dataclass(frozen=True)
class Settings:
    """How obstacles are found.

    Attributes:
        mode: ``depth`` and ``cloud`` measure the distance, ``ground`` computes it from where a box
            meets the ground.
        ground_z: height of the ground in the target frame, metres.
        max_range_m: objects further away are no obstacles.
        box_sigma_px: standard deviation of a box's edges in pixels.
        acceleration: of objects, m/s², standard deviation; less is smoother, more is quicker.
    """

    mode: str = 'depth'
    ground_z: float = 0.0
    max_range_m: float = 20.0
    box_sigma_px: float = 2.0
    acceleration: float = 1.0


@dataclass(frozen=True)
class Obstacle:
    """One object in the target frame, whose z points up.

    Attributes:
        index: of its detection.
        track_id: of its track; 0 where nobody tracks.
        position: ``(3,)`` metres, the middle of it.
        size: ``(3,)`` metres along the view, across it and upwards.
        yaw: direction of the view, radians about z; `size` counts along it.
        velocity: ``(2,)`` metres a second; NaN where nobody tracks.
        covariance: ``(4, 4)`` of x, y, vx, vy; NaN for what is not known.
        z_variance: of the middle's height, m².
    """

    index: int
    track_id: int
    position: np.ndarray
    size: np.ndarray
    yaw: float
    velocity: np.ndarray
    covariance: np.ndarray
    z_variance: float


class _Places(NamedTuple):
    """The measurements of N objects, as the fields of `Obstacle`; covariances of x and y."""

    middle: np.ndarray
    size: np.ndarray
    yaw: np.ndarray
    covariance: np.ndarray
    z_variance: np.ndarray


@dataclass
class ObstacleFinder:
    """Follows the objects of one camera; belongs to one thread.

    Attributes:
        lost: objects without a place, by the reason: ``no_depth``, ``above_horizon``, ``too_far``,
            ``out_of_view``.
    """

    settings: Settings
    lost: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._filters = Filters(self.settings.acceleration)

    def find(
        self,
        detections: Detections,
        stamp_s: float,
        camera: Camera,
        pose: Pose,
        depth: np.ndarray | None = None,
        depth_camera: Camera | None = None,
    ) -> list[Obstacle]:
        """Obstacles of one image.

        Args:
            detections: Of the image.
            stamp_s: When it was taken. Where this goes back, all objects are new ones.
            camera: What took it.
            pose: Its optical frame's pose in the target frame at that time.
            depth: ``(H, W)`` metres in the camera's view, at any resolution; None for the ground.
            depth_camera: The camera at the depth image's resolution; made where it is not given.

        Raises:
            CameraError: the depth image has another shape than the camera's.
        """
        bearings = bearings_of(detections.boxes, camera, pose, self.settings.box_sigma_px)
        if depth is None:
            surfaces = surfaces_by_ground(
                detections.boxes, bearings, camera.height, self.settings.ground_z
            )
        else:
            small = depth_camera or camera.scaled(depth.shape[1], depth.shape[0])
            scale = (small.width / camera.width, small.height / camera.height)
            boxes = detections.boxes * np.array([*scale, *scale])
            surfaces = surfaces_by_depth(
                boxes, bearings, depth, small, pose, self.settings.ground_z
            )
        places = _places(bearings, surfaces, self.settings.box_sigma_px)
        nothing = 'above_horizon' if depth is None else 'no_depth'
        placed = []
        for index, reason in enumerate(self._why_not(bearings, surfaces, nothing)):
            if reason:
                self.lost[reason] += 1
            else:
                placed.append(index)
        return self._follow(placed, detections.ids, places, stamp_s)

    def _why_not(self, bearings: Bearings, surfaces: Surfaces, nothing: str) -> list[str]:
        """Why each box has no place; empty for those that have one."""
        is_unseen = ~np.isfinite(bearings.ahead[:, 0] + bearings.top)
        is_far = surfaces.near > self.settings.max_range_m
        reasons = np.select(
            [is_unseen, np.isnan(surfaces.near), is_far], ['out_of_view', nothing, 'too_far'], ''
        )
        return [str(reason) for reason in reasons]

    def _follow(
        self, placed: list[int], ids: np.ndarray | None, places: _Places, stamp_s: float
    ) -> list[Obstacle]:
        """Obstacles of what has a place; filtered where somebody tracks it."""
        tracks = np.zeros(len(placed), int) if ids is None else ids[placed]
        middle, spread = places.middle[placed], np.full((len(placed), 4, 4), np.nan)
        spread[:, :2, :2] = places.covariance[placed]
        states = np.concatenate([middle[:, :2], np.full((len(placed), 2), np.nan)], axis=1)
        own = np.flatnonzero(tracks)
        states[own], spread[own] = self._filters.update(
            tracks[own].tolist(), middle[own, :2], spread[own, :2, :2], stamp_s
        )
        return [
            Obstacle(
                index,
                int(tracks[row]),
                np.array([*states[row, :2], middle[row, 2]]),
                places.size[index],
                float(places.yaw[index]),
                states[row, 2:],
                spread[row],
                float(places.z_variance[index]),
            )
            for row, index in enumerate(placed)
        ]


def _places(bearings: Bearings, surfaces: Surfaces, sigma_px: float) -> _Places:
    """Where objects are whose nearest sides are known; NaN where they are not."""
    near, ahead = surfaces.near, bearings.ahead
    width = 2 * bearings.half_width * surfaces.edge
    # Seen from one side: what is as deep as it is wide has its middle half of that behind.
    deep = np.minimum(width, MAX_DEPTH_M)
    top, bottom = bearings.camera[2] + np.stack([bearings.top, bearings.bottom]) * near
    flat = bearings.camera[:2] + (near + deep / 2)[:, None] * ahead
    across = ahead[:, ::-1] * [-1, 1]
    across_sigma = _ACROSS_SIGMA_M + sigma_px * bearings.pixel * near
    covariance = _outer(surfaces.sigma[:, None] * ahead) + _outer(across_sigma[:, None] * across)
    return _Places(
        np.column_stack([flat, (top + bottom) / 2]),
        np.column_stack([deep, width, top - bottom]),
        np.arctan2(ahead[:, 1], ahead[:, 0]),
        covariance,
        across_sigma**2 + (bearings.bottom * surfaces.sigma) ** 2,
    )


def _outer(vectors: np.ndarray) -> np.ndarray:
    product: np.ndarray = vectors[:, :, None] * vectors[:, None, :]
    return product
