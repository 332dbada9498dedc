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

"""A calibrated camera: pixels to rays and back, as ``sensor_msgs/CameraInfo`` describes it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import cv2
import numpy as np

# Numbers of coefficients that OpenCV knows for each of ROS's distortion models.
_COEFFICIENTS = {
    'plumb_bob': (4, 5),
    'rational_polynomial': (8, 12, 14),
    'equidistant': (4,),
    'fisheye': (4,),
}
_FISHEYE = ('equidistant', 'fisheye')
_WIDEST = 20.0  # tangent of 87 degrees: what lies further out is no ray ahead of the camera

# The usual five iterations are a quarter of a pixel off in the corners of a wide lens.
_EXACTLY = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 30, 1e-4)


class CameraError(ValueError):
    """A camera_info that describes no camera; the text says what is wrong with it."""


class CameraInfo(Protocol):
    """The fields of ``sensor_msgs/CameraInfo`` that are read."""

    width: int
    height: int
    distortion_model: str
    d: Any
    k: Any
    r: Any
    p: Any
    binning_x: int
    binning_y: int
    roi: Any


@dataclass(frozen=True, eq=False)
class Camera:
    """A camera in its optical frame: x to the right, y down, z ahead.

    The centre of the first pixel is at 0, 0, as in OpenCV; boxes count from its corner.

    Attributes:
        width: of the image in pixels.
        height: of the image in pixels.
        matrix: ``(3, 3)`` intrinsics.
        distortion: coefficients in OpenCV's order; empty for none.
        is_fisheye: whether they are those of OpenCV's fisheye model.
        rectification: ``(3, 3)``, turns rays of the lens into the optical frame.
    """

    width: int
    height: int
    matrix: np.ndarray
    distortion: np.ndarray
    is_fisheye: bool
    rectification: np.ndarray

    @classmethod
    def pinhole(cls, width: int, height: int, fx: float, fy: float, cx: float, cy: float) -> Camera:
        """A camera without distortion."""
        matrix = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], float)
        return cls(width, height, matrix, np.zeros(0), False, np.eye(3))

    @classmethod
    def of_info(cls, info: CameraInfo, rectified: bool = False) -> Camera:
        """The camera that a message describes, binning and region of interest included.

        Args:
            info: A ``sensor_msgs/CameraInfo`` of rclpy or rosbags.
            rectified: the images are those of ``image_rect``, without distortion.

        Raises:
            CameraError: no size, no intrinsics, a model that is not known, or another number of
                coefficients than it has.
        """
        if not info.width or not info.height:
            raise CameraError('camera_info has no size (width and height are 0)')
        matrix = _matrix(info.p, 4, 'P') if rectified else _matrix(info.k, 3, 'K')
        distortion, is_fisheye = np.zeros(0), False
        turn = np.eye(3)
        if not rectified:
            distortion, is_fisheye = _distortion(info)
            given = np.asarray(info.r, float).reshape(3, 3)
            turn = given if np.any(given) else turn
        matrix, (width, height) = _as_read_out(matrix, info)
        return cls(width, height, matrix, distortion, is_fisheye, turn)

    def scaled(self, width: int, height: int) -> Camera:
        """The same camera with its image at another resolution.

        Raises:
            CameraError: the image would have another shape, so it is no scaled one.
        """
        if (width, height) == (self.width, self.height):
            return self
        if (width, height) in self._copies:
            return self._copies[width, height]
        across, down = width / self.width, height / self.height
        if abs(across / down - 1) > 0.02:
            raise CameraError(
                f'camera_info is of {self.width}×{self.height} images, which {width}×{height} '
                'are not a scaled version of'
            )
        matrix = _scaled(self.matrix, across, down)
        copy = replace(self, width=width, height=height, matrix=matrix)
        self._copies[width, height] = copy
        return copy

    def rays(self, pixels: np.ndarray) -> np.ndarray:
        """Directions in which pixels look.

        Args:
            pixels: ``(N, 2)`` x and y, centre of the first pixel at 0, 0; may lie outside.

        Returns:
            ``(N, 3)`` in the optical frame, z = 1; NaN where a lens so wide sees nothing ahead.
        """
        points = np.ascontiguousarray(pixels, np.float64).reshape(-1, 1, 2)
        if not len(points):
            return np.zeros((0, 3))
        if self.is_fisheye:
            flat = cv2.fisheye.undistortPoints(
                points, self.matrix, self.distortion, R=self.rectification
            )
        else:
            coefficients = self.distortion if len(self.distortion) else np.zeros(4)
            flat = cv2.undistortPointsIter(
                points, self.matrix, coefficients, self.rectification, np.eye(3), _EXACTLY
            )
        rays = np.concatenate([flat.reshape(-1, 2), np.ones((len(points), 1))], axis=1)
        rays[~(np.abs(rays[:, :2]) < _WIDEST).all(axis=1)] = np.nan
        return rays

    def project(self, points: np.ndarray) -> np.ndarray:
        """Pixels ``(N, 2)`` of points ``(N, 3)`` in the optical frame; NaN for what lies behind."""
        turned = points @ self.rectification  # its inverse, on rows
        ahead = turned[:, 2] > 1e-3
        if not len(self.distortion):
            flat = turned[:, :2] / np.where(ahead, turned[:, 2], np.nan)[:, None]
            straight: np.ndarray = flat @ self.matrix[:2, :2].T + self.matrix[:2, 2]
            return straight
        pixels = np.full((len(points), 2), np.nan)
        if ahead.any():
            seen = np.ascontiguousarray(turned[ahead], np.float64).reshape(-1, 1, 3)
            lens = cv2.fisheye if self.is_fisheye else cv2
            bent, _ = lens.projectPoints(
                seen, np.zeros(3), np.zeros(3), self.matrix, self.distortion
            )
            pixels[ahead] = bent.reshape(-1, 2)
        return pixels

    @cached_property
    def _copies(self) -> dict[tuple[int, int], Camera]:
        """Cameras at other resolutions, so that their tables of rays are made once, too."""
        return {}

    @cached_property
    def ray_table(self) -> np.ndarray:
        """``(H, W, 3)`` float32: the ray of every pixel; made once."""
        rows, columns = np.mgrid[: self.height, : self.width]
        pixels = np.stack([columns, rows], axis=-1).reshape(-1, 2)
        return self.rays(pixels).reshape(self.height, self.width, 3).astype(np.float32)


def _matrix(numbers: Any, columns: int, name: str) -> np.ndarray:
    matrix = np.asarray(numbers, float).reshape(3, columns)[:, :3].copy()
    if not np.isfinite(matrix).all() or matrix[0, 0] <= 0 or matrix[1, 1] <= 0:
        raise CameraError(
            f'camera_info holds no calibration ({name} is {matrix[0, 0]:g} at its beginning): '
            'calibrate the camera, or give its driver the calibration file'
        )
    return matrix


def _distortion(info: CameraInfo) -> tuple[np.ndarray, bool]:
    model, coefficients = info.distortion_model, np.asarray(info.d, float)
    if not np.isfinite(coefficients).all():
        raise CameraError('camera_info has distortion coefficients that are not finite')
    if not model and not np.any(coefficients):
        return np.zeros(0), False
    if model not in _COEFFICIENTS:
        raise CameraError(
            f'camera_info has the distortion model {model!r}; known are {", ".join(_COEFFICIENTS)}'
        )
    is_fisheye = model in _FISHEYE
    if not len(coefficients) and not is_fisheye:
        return coefficients, False
    if len(coefficients) not in _COEFFICIENTS[model]:
        wanted = ' or '.join(map(str, _COEFFICIENTS[model]))
        raise CameraError(
            f'camera_info has {len(coefficients)} distortion coefficients, {model} has {wanted}'
        )
    if not is_fisheye and not np.any(coefficients):
        return np.zeros(0), False
    return coefficients, is_fisheye


def _as_read_out(matrix: np.ndarray, info: CameraInfo) -> tuple[np.ndarray, tuple[int, int]]:
    """Intrinsics of the image that is sent: a part of the sensor, pixels put together."""
    roi, width, height = info.roi, info.width, info.height
    if roi.width and roi.height:
        matrix[0, 2] -= roi.x_offset
        matrix[1, 2] -= roi.y_offset
        width, height = roi.width, roi.height
    across, down = max(info.binning_x, 1), max(info.binning_y, 1)
    if width < across or height < down:
        raise CameraError(f'camera_info bins {width}×{height} pixels by {across}×{down}')
    return _scaled(matrix, 1 / across, 1 / down), (width // across, height // down)


def _scaled(matrix: np.ndarray, across: float, down: float) -> np.ndarray:
    scaled = matrix.copy()
    scaled[0] *= across
    scaled[1] *= down
    scaled[0, 2] += (across - 1) / 2  # pixels are counted from their centres
    scaled[1, 2] += (down - 1) / 2
    return scaled
