"""ROS image messages to RGB arrays: one strict door for the node and for bags.

A message is checked here before OpenCV sees it: a wrong ``step`` or too little data would become a
sheared or a half picture. Then `cv_bridge` converts it where it is installed, else OpenCV does. A
message is anything with the fields of ``sensor_msgs/Image`` or ``sensor_msgs/CompressedImage``.
"""

from __future__ import annotations

import re
import sys
from typing import Any, Protocol, cast

import cv2
import numpy as np

from e4_ros.perception.cv_bridge_door import PackedImage, cv_bridge
from e4_ros.perception.image_file import DEFAULT_MAX_PIXELS, ImageError, check_size, decode

__all__ = ['DEFAULT_MAX_PIXELS', 'ImageError', 'to_rgb']

# The encodings of sensor_msgs/image_encodings.hpp that are pictures: bytes a pixel, and OpenCV's
# conversion to RGB. OpenCV names a Bayer pattern by its second row.
_GREY, _SAME = cv2.COLOR_GRAY2RGB, None
_BAYER = {
    'rggb': cv2.COLOR_BayerBG2RGB,
    'bggr': cv2.COLOR_BayerRG2RGB,
    'gbrg': cv2.COLOR_BayerGR2RGB,
    'grbg': cv2.COLOR_BayerGB2RGB,
}
_UYVY, _YUYV = cv2.COLOR_YUV2RGB_UYVY, cv2.COLOR_YUV2RGB_YUYV
_PLANAR_420 = {'nv12': cv2.COLOR_YUV2RGB_NV12, 'nv21': cv2.COLOR_YUV2RGB_NV21}
_ENCODINGS: dict[str, tuple[int, int | None]] = {
    'mono8': (1, _GREY),
    'mono16': (2, _GREY),
    **{f'bayer_{order}8': (1, code) for order, code in _BAYER.items()},
    **{f'bayer_{order}16': (2, code) for order, code in _BAYER.items()},
    **{name: (1, code) for name, code in _PLANAR_420.items()},
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


class RawImage(Protocol):
    """The fields of ``sensor_msgs/Image`` that are read."""

    height: int
    width: int
    encoding: str
    is_bigendian: Any
    step: int
    data: Any


class CompressedImage(Protocol):
    """The fields of ``sensor_msgs/CompressedImage`` that are read."""

    format: str
    data: Any


def to_rgb(message: RawImage | CompressedImage, max_pixels: int = DEFAULT_MAX_PIXELS) -> np.ndarray:
    """Turn an image message into RGB.

    An ``rgb8`` message without row padding is not copied: the array is a view of ``message.data``.

    Args:
        message: A ``sensor_msgs/Image`` or ``sensor_msgs/CompressedImage`` of rclpy or rosbags.
        max_pixels: Upper bound of height × width; protects memory from a broken header.

    Returns:
        ``(H, W, 3)`` uint8, RGB, C-contiguous. May be read-only.

    Raises:
        ImageError: wrong encoding, no pixels, too many pixels, less data than the header says,
            rows shorter than the width, or compressed data that does not decode.
    """
    if hasattr(message, 'format'):
        return _from_compressed(cast('CompressedImage', message), max_pixels)
    return _from_raw(cast('RawImage', message), max_pixels)


def _from_raw(message: RawImage, max_pixels: int) -> np.ndarray:
    encoding, height, width = message.encoding, message.height, message.width
    _check_encoding(encoding)
    check_size(width, height, max_pixels)
    octets, code = _ENCODINGS[encoding]
    pixels = _pack(message, octets)
    deep = encoding.endswith('16')
    bridge = cv_bridge() if code is not None or deep else None  # rgb8 needs no conversion
    if bridge is not None and encoding not in _PLANAR_420:  # which cv_bridge does not know
        return _by_bridge(bridge, message, pixels, octets)
    if deep:
        pixels = pixels.view(np.uint16)
        if bool(message.is_bigendian) != (sys.byteorder == 'big'):
            pixels = pixels.byteswap()
        octets //= 2
    rows = height * 3 // 2 if encoding in _PLANAR_420 else height
    image = pixels.reshape(rows, width) if octets == 1 else pixels.reshape(rows, width, octets)
    if code is not None:
        try:
            image = cv2.cvtColor(image, code)
        except cv2.error as error:
            raise ImageError(f'cannot convert {encoding!r} to rgb8: {error}') from None
    return cv2.convertScaleAbs(image, alpha=1 / 257) if deep else image


def _by_bridge(bridge: Any, message: RawImage, pixels: np.ndarray, octets: int) -> np.ndarray:
    packed = PackedImage(
        *(message.height, message.width, message.encoding, message.is_bigendian),
        *(message.width * octets, pixels),
    )
    try:
        return np.ascontiguousarray(bridge.imgmsg_to_cv2(packed, 'rgb8'))
    except Exception as error:  # CvBridgeError exists only where cv_bridge does
        raise ImageError(f'cv_bridge cannot convert {message.encoding!r}: {error}') from None


def _pack(message: RawImage, octets: int) -> np.ndarray:
    """Check ``step`` and the length of ``data``, and drop the padding at the rows' ends."""
    row = message.width * octets
    rows = message.height * 3 // 2 if message.encoding in _PLANAR_420 else message.height
    data = np.frombuffer(message.data, np.uint8)
    if message.step < row:
        raise ImageError(
            f'step is {message.step} bytes but a row of {message.width} pixels of '
            f'{message.encoding!r} needs {row}; the sender fills in `step` wrongly'
        )
    needed = message.step * (rows - 1) + row
    if data.size < needed:
        raise ImageError(
            f'truncated: {data.size} bytes of data, {message.width}×{message.height} '
            f'{message.encoding!r} with step {message.step} needs {needed}'
        )
    if message.step == row:
        data = data[:needed]
    else:
        data = np.lib.stride_tricks.as_strided(data, (rows, row), (message.step, 1))
        data = np.ascontiguousarray(data).reshape(-1)
    return data


def _check_encoding(encoding: str) -> None:
    if encoding in _ENCODINGS:
        return
    if encoding in _DEPTH:
        raise ImageError(
            f'encoding {encoding!r} is depth or raw measurements (NaN where nothing was seen), '
            "not a picture; subscribe to the camera's colour or grey topic"
        )
    if _GENERIC.fullmatch(encoding):
        raise ImageError(
            f'encoding {encoding!r} does not name its colours; publish it as mono8, bgr8 or rgb8'
        )
    raise ImageError(
        f'unknown encoding {encoding!r}; known are {", ".join(sorted(_ENCODINGS))}, '
        'or publish the image compressed'
    )


def _from_compressed(message: CompressedImage, max_pixels: int) -> np.ndarray:
    if 'compressedDepth' in message.format:
        raise ImageError(
            f'format {message.format!r} is a depth image; '
            "subscribe to the camera's colour or grey topic"
        )
    return decode(memoryview(message.data), max_pixels)
