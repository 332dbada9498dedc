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

"""The encodings of ``sensor_msgs/Image`` that are pictures, and what their samples mean."""

from __future__ import annotations

import re

import cv2
import numpy as np

from e4_ros.perception.image_file import ImageError

# The encodings of sensor_msgs/image_encodings.hpp that are pictures: bytes a pixel, and OpenCV's
# conversion to RGB. OpenCV names a Bayer pattern by its second row.
_GREY, _SAME = cv2.COLOR_GRAY2RGB, None
BAYER = {
    'rggb': cv2.COLOR_BayerBG2RGB,
    'bggr': cv2.COLOR_BayerRG2RGB,
    'gbrg': cv2.COLOR_BayerGR2RGB,
    'grbg': cv2.COLOR_BayerGB2RGB,
}
_UYVY, _YUYV = cv2.COLOR_YUV2RGB_UYVY, cv2.COLOR_YUV2RGB_YUYV
PLANAR_420 = {'nv12': cv2.COLOR_YUV2RGB_NV12, 'nv21': cv2.COLOR_YUV2RGB_NV21}
ENCODINGS: dict[str, tuple[int, int | None]] = {
    'mono8': (1, _GREY),
    'mono16': (2, _GREY),
    **{f'bayer_{order}8': (1, code) for order, code in BAYER.items()},
    **{f'bayer_{order}16': (2, code) for order, code in BAYER.items()},
    **{name: (1, code) for name, code in PLANAR_420.items()},
    'nv24': (1, None),
    **dict.fromkeys(('uyvy', 'yuv422'), (2, _UYVY)),
    **dict.fromkeys(('yuyv', 'yuv422_yuy2'), (2, _YUYV)),
    'rgb8': (3, _SAME),
    'bgr8': (3, cv2.COLOR_BGR2RGB),
    'rgba8': (4, cv2.COLOR_RGBA2RGB),
    'bgra8': (4, cv2.COLOR_BGRA2RGB),
    'rgb16': (6, _SAME),
    'bgr16': (6, cv2.COLOR_BGR2RGB),
    'rgba16': (8, cv2.COLOR_RGBA2RGB),
    'bgra16': (8, cv2.COLOR_BGRA2RGB),
}
_DEPTH = {'16UC1', '32FC1', '64FC1'}
_GENERIC = re.compile(r'(8|16|32)[US]C?\d*|(32|64)FC?\d*')
# Limited range, as cameras send it (ITU-R BT.601); what OpenCV takes for nv12 and nv21, too.
_FROM_YUV = np.array(
    [[1.164, 0, 1.596, 0], [1.164, -0.391, -0.813, 0], [1.164, 2.018, 0, 0]], np.float32
)
_FROM_YUV[:, 3] = _FROM_YUV[:, :3] @ (-16, -128, -128)


class BitDepth:
    """How many of their sixteen bits a camera's samples fill: 10, 12, 14 or 16.

    Cameras of 10 and 12 bits fill the low ones of ``mono16``, ``bayer_*16`` and the like, and no
    message says so. The largest value that was seen tells: the depth grows with it and never
    shrinks, so that a dark picture does not change what the next one means.
    """

    def __init__(self) -> None:
        self.bits = 10

    def spread(self, samples: np.ndarray) -> np.ndarray:
        """Samples (uint16, any shape) on the scale of all sixteen bits."""
        if self.bits < 16:
            top = int(samples.max(initial=0)).bit_length()
            self.bits = max(self.bits, min(top + top % 2, 16))
        return samples if self.bits == 16 else samples << (16 - self.bits)


def scaled_to_8(image: np.ndarray) -> np.ndarray:
    """Samples of 16 bits (uint16) to 8 (uint8), rounded."""
    return cv2.convertScaleAbs(image, alpha=1 / 257)


def nv24_to_rgb(brightness: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """Planes ``(H, W)`` and ``(H, W, 2)``, uint8, to RGB ``(H, W, 3)``; OpenCV knows no nv24."""
    return cv2.transform(np.dstack((brightness, colour)), _FROM_YUV)


def check_encoding(encoding: str) -> None:
    """Raise `ImageError`, with the reason, for an encoding that is no picture or not known."""
    if encoding in ENCODINGS:
        return
    refuse_measurements(encoding)
    raise ImageError(
        f'unknown encoding {encoding!r}; known are {", ".join(sorted(ENCODINGS))}, '
        'or publish the image compressed'
    )


def refuse_measurements(encoding: str) -> None:
    """Raise `ImageError` for depth, and for samples whose colours nobody names."""
    if encoding in _DEPTH:
        raise ImageError(
            f'encoding {encoding!r} is depth or raw measurements (NaN where nothing was seen), '
            "not a picture; subscribe to the camera's colour or grey topic"
        )
    if _GENERIC.fullmatch(encoding):
        raise ImageError(
            f'encoding {encoding!r} does not name its colours; publish it as mono8, bgr8 or rgb8'
        )
