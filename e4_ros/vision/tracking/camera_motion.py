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

"""The camera's own motion, from points of the background."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from e4_ros.vision.tracking.flow import Flow

_LEAST = 8  # points that a similarity is believed from
_INLIER = 1.5  # pixels
_AGREE = 0.4  # share of the points that must move with the camera


@dataclass(frozen=True)
class CameraMotion:
    """A similarity from the picture before to this one: shift, turn and zoom.

    Attributes:
        matrix: ``(2, 3)``, in pixels of the small picture.
        known: whether enough of the background agrees on it; if not, the matrix is the identity.
    """

    matrix: np.ndarray
    known: bool

    @property
    def moves(self) -> float:
        """Pixels of the small picture by which its corner nearest the origin moves."""
        return float(np.hypot(*self.matrix[:, 2]))

    def carry(self, points: np.ndarray) -> np.ndarray:
        """Points ``(N, 2)`` of a resting scene, moved as the camera makes them move."""
        return points @ self.matrix[:, :2].T + self.matrix[:, 2]


UNKNOWN = CameraMotion(np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]), known=False)


def camera_motion(flow: Flow) -> CameraMotion:
    """Estimate the camera's motion from the flow of points of the background, by RANSAC.

    Args:
        flow: flow of points that are spread over the picture, best outside all objects.
    """
    points, moved = flow.points[flow.good], flow.moved[flow.good]
    if len(points) < max(_LEAST, _AGREE * len(flow.points)):
        return UNKNOWN
    shift = moved - points
    common = np.median(shift, 0)
    if np.abs(shift - common).max() < 0.5:  # all agree: no need to search
        return CameraMotion(np.column_stack([np.eye(2), common]), known=True)
    matrix, inliers = cv2.estimateAffinePartial2D(
        points, moved, method=cv2.RANSAC, ransacReprojThreshold=_INLIER, maxIters=200
    )
    if matrix is None or np.count_nonzero(inliers) < max(_LEAST, _AGREE * len(points)):
        return UNKNOWN
    return CameraMotion(matrix, known=True)
