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

"""ROS's own image conversion, `cv_bridge`, where it is installed and works."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class PackedImage:
    """The fields of a ``sensor_msgs/Image`` whose rows follow each other without padding.

    Attributes:
        height: rows of pixels.
        width: pixels in a row.
        encoding: name from sensor_msgs/image_encodings.hpp.
        is_bigendian: whether the bytes of 16 bit values come highest first.
        step: bytes in a row.
        data: all bytes, ``(height * step,)`` uint8.
    """

    height: int
    width: int
    encoding: str
    is_bigendian: Any
    step: int
    data: np.ndarray


@functools.cache
def cv_bridge() -> Any | None:
    """A ``CvBridge``, or None where there is none that works; looked for once.

    Its C++ half is loaded at the first conversion: one that was built for numpy 1 fails there under
    numpy 2, so a conversion is tried.
    """
    try:
        from cv_bridge import CvBridge

        bridge = CvBridge()
        bridge.imgmsg_to_cv2(PackedImage(1, 1, 'bgr8', 0, 3, np.zeros(3, np.uint8)), 'rgb8')
    except Exception:  # whatever a broken build raises
        return None
    return bridge


def backend() -> str:
    """Name of the library that converts images here: ``cv_bridge`` or ``OpenCV``."""
    return 'cv_bridge' if cv_bridge() else 'OpenCV'
