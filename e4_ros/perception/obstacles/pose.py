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

"""Rigid transforms between coordinate frames, and the quaternions of messages."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
"""Turns a camera's optical axes (x right, y down, z ahead) into body axes (x ahead, z up)."""


class Pose(NamedTuple):
    """Where one frame lies in another; maps points of the former to the latter.

    Attributes:
        rotation: ``(3, 3)``, orthonormal.
        translation: ``(3,)`` in metres.
    """

    rotation: np.ndarray
    translation: np.ndarray

    @classmethod
    def identity(cls) -> Pose:
        """The pose of a frame in itself."""
        return cls(np.eye(3), np.zeros(3))

    @classmethod
    def of_camera(cls, x: float, y: float, z: float, roll: float, pitch: float, yaw: float) -> Pose:
        """Pose of a camera's optical frame that is mounted like a body.

        Args:
            x: metres ahead; ``y`` to the left, ``z`` upwards.
            y: see ``x``.
            z: see ``x``.
            roll: radians about x; ``pitch`` about y, so that looking down is positive; ``yaw``
                about z.
            pitch: see ``roll``.
            yaw: see ``roll``.
        """
        (cr, sr), (cp, sp), (cy, sy) = ((math.cos(a), math.sin(a)) for a in (roll, pitch, yaw))
        body = np.array(
            [
                [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
                [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
                [-sp, cp * sr, cp * cr],
            ]
        )
        return cls(body @ OPTICAL, np.array([x, y, z], float))

    def apply(self, points: np.ndarray) -> np.ndarray:
        """Points ``(..., 3)`` of the inner frame in the outer one."""
        moved: np.ndarray = points @ self.rotation.T + self.translation
        return moved

    def after(self, inner: Pose) -> Pose:
        """The pose of ``inner``'s frame in this pose's outer one."""
        return Pose(self.rotation @ inner.rotation, self.apply(inner.translation))

    def inverse(self) -> Pose:
        """The outer frame's pose in the inner one."""
        back = self.rotation.T
        return Pose(back, -back @ self.translation)


def unit_quaternion(quaternion: np.ndarray) -> np.ndarray:
    """A quaternion ``(4,)`` x, y, z, w of length 1.

    Raises:
        ValueError: it has no length, or one that is not finite, so it is no rotation.
    """
    length = float(np.linalg.norm(quaternion))
    if not math.isfinite(length) or length < 1e-6:
        raise ValueError(f'the quaternion {quaternion.tolist()} is no rotation')
    return quaternion / length


def rotation_of(quaternion: np.ndarray) -> np.ndarray:
    """Rotation ``(3, 3)`` of a unit quaternion x, y, z, w."""
    x, y, z, w = quaternion
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def slerp(before: np.ndarray, after: np.ndarray, share: float) -> np.ndarray:
    """The rotation between two unit quaternions, the shorter way round.

    Args:
        before: ``(4,)``.
        after: ``(4,)``.
        share: 0 for ``before`` to 1 for ``after``.
    """
    cosine = float(before @ after)
    if cosine < 0:
        after, cosine = -after, -cosine
    if cosine > 0.9995:  # so close that a straight line is as good, and does not divide by 0
        return unit_quaternion(before + share * (after - before))
    angle = math.acos(cosine)
    mixed = math.sin((1 - share) * angle) * before + math.sin(share * angle) * after
    return unit_quaternion(mixed)
