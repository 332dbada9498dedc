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

"""ROS image messages to RGB arrays: one strict door for the node and for bags.

A message is checked here before OpenCV sees it: a wrong ``step`` or too little data would become a
sheared or a half picture. Then `cv_bridge` converts it where it is installed, else OpenCV does. A
message is anything with the fields of ``sensor_msgs/Image`` or ``sensor_msgs/CompressedImage``.
"""

from __future__ import annotations

import sys
from typing import Any, Protocol, cast

import cv2
import numpy as np

from e4_ros.perception.compressed_image import CompressedImage, from_compressed
from e4_ros.perception.cv_bridge_door import PackedImage, cv_bridge
from e4_ros.perception.encodings import (
    ENCODINGS,
    PLANAR_420,
    BitDepth,
    check_encoding,
    nv24_to_rgb,
    scaled_to_8,
)
from e4_ros.perception.image_file import DEFAULT_MAX_PIXELS, ImageError, check_size

__all__ = ['DEFAULT_MAX_PIXELS', 'BitDepth', 'ImageError', 'to_rgb']


class RawImage(Protocol):
    """The fields of ``sensor_msgs/Image`` that are read."""

    height: int
    width: int
    encoding: str
    is_bigendian: Any
    step: int
    data: Any


def to_rgb(
    message: RawImage | CompressedImage,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    depth: BitDepth | None = None,
) -> np.ndarray:
    """Turn an image message into RGB.

    An ``rgb8`` message without row padding is not copied: the array is a view of ``message.data``.

    Args:
        message: A ``sensor_msgs/Image`` or ``sensor_msgs/CompressedImage`` of rclpy or rosbags.
        max_pixels: Upper bound of height × width; protects memory from a broken header.
        depth: Bits that the camera fills of samples of 16, as far as its images have told; learns
            from this one. None takes them for full.

    Returns:
        ``(H, W, 3)`` uint8, RGB, C-contiguous. May be read-only.

    Raises:
        ImageError: wrong encoding, no pixels, too many pixels, less data than the header says,
            rows shorter than the width, or compressed data that does not decode.
    """
    if hasattr(message, 'format'):
        return from_compressed(cast('CompressedImage', message), max_pixels, depth)
    return _from_raw(cast('RawImage', message), max_pixels, depth)


def _from_raw(message: RawImage, max_pixels: int, depth: BitDepth | None) -> np.ndarray:
    encoding, height, width = message.encoding, message.height, message.width
    check_encoding(encoding)
    check_size(width, height, max_pixels)
    if encoding == 'nv24':
        return _from_nv24(message)
    octets, code = ENCODINGS[encoding]
    pixels = _pack(message, octets)
    deep = encoding.endswith('16')
    if deep:
        pixels = pixels.view(np.uint16)
        if bool(message.is_bigendian) != (sys.byteorder == 'big'):
            pixels = pixels.byteswap()
        if depth is not None:
            pixels = depth.spread(pixels)
    bridge = cv_bridge() if code is not None or deep else None  # rgb8 needs no conversion
    if bridge is not None and encoding not in PLANAR_420:  # which cv_bridge does not know
        return _by_bridge(bridge, message, pixels.view(np.uint8), octets)
    if deep:
        octets //= 2
    rows = height * 3 // 2 if encoding in PLANAR_420 else height
    image = pixels.reshape(rows, width) if octets == 1 else pixels.reshape(rows, width, octets)
    if code is not None:
        try:
            image = cv2.cvtColor(image, code)
        except cv2.error as error:
            raise ImageError(f'cannot convert {encoding!r} to rgb8: {error}') from None
    return scaled_to_8(image) if deep else image


def _from_nv24(message: RawImage) -> np.ndarray:
    """Brightness and, at the same resolution, colour in pairs; its rows are two steps long."""
    height, width, step = message.height, message.width, message.step
    data = np.frombuffer(message.data, np.uint8)
    if step < width:
        raise _short_step(message, width)
    needed = step * (3 * height - 2) + 2 * width
    if data.size < needed:
        raise _truncated(message, data.size, needed)
    strided = np.lib.stride_tricks.as_strided
    brightness = strided(data, (height, width), (step, 1))
    colour = strided(data[step * height :], (height, width, 2), (2 * step, 2, 1))
    return nv24_to_rgb(brightness, colour)


def _by_bridge(bridge: Any, message: RawImage, pixels: np.ndarray, octets: int) -> np.ndarray:
    packed = PackedImage(
        *(message.height, message.width, message.encoding, sys.byteorder == 'big'),
        *(message.width * octets, pixels),
    )
    try:
        return np.ascontiguousarray(bridge.imgmsg_to_cv2(packed, 'rgb8'))
    except Exception as error:  # CvBridgeError exists only where cv_bridge does
        raise ImageError(f'cv_bridge cannot convert {message.encoding!r}: {error}') from None


def _pack(message: RawImage, octets: int) -> np.ndarray:
    """Check ``step`` and the length of ``data``, and drop the padding at the rows' ends."""
    row = message.width * octets
    rows = message.height * 3 // 2 if message.encoding in PLANAR_420 else message.height
    data = np.frombuffer(message.data, np.uint8)
    if message.step < row:
        raise _short_step(message, row)
    needed = message.step * (rows - 1) + row
    if data.size < needed:
        raise _truncated(message, data.size, needed)
    if message.step == row:
        data = data[:needed]
    else:
        data = np.lib.stride_tricks.as_strided(data, (rows, row), (message.step, 1))
        data = np.ascontiguousarray(data).reshape(-1)
    return data


def _short_step(message: RawImage, row: int) -> ImageError:
    return ImageError(
        f'step is {message.step} bytes but a row of {message.width} pixels of '
        f'{message.encoding!r} needs {row}; the sender fills in `step` wrongly'
    )


def _truncated(message: RawImage, size: int, needed: int) -> ImageError:
    return ImageError(
        f'truncated: {size} bytes of data, {message.width}×{message.height} '
        f'{message.encoding!r} with step {message.step} needs {needed}'
    )
