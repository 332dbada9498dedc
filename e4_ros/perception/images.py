"""ROS image messages and image files to RGB arrays: one strict door for the node and for bags.

A message is checked here before a converter sees it, because neither converter checks it all:
`cv_bridge` trusts ``step``, `rosbags-image` ignores it, and a JPEG that was cut off decodes to a
picture with a grey half. Nothing here imports ROS; a message is anything with the fields of
``sensor_msgs/Image`` or ``sensor_msgs/CompressedImage``.
"""

from __future__ import annotations

import functools
import io
import re
import warnings
from dataclasses import dataclass, replace
from typing import Any, Protocol, cast

import numpy as np

DEFAULT_MAX_PIXELS = 50_000_000
"""Largest image accepted by default: 8000 × 6000 passes, a few more pixels do not."""

# sensor_msgs/image_encodings.hpp, the encodings that are pictures, and what the converters add.
_BYTES_PER_PIXEL = {
    **dict.fromkeys(('mono8', 'nv12', 'nv21'), 1),
    **dict.fromkeys((f'bayer_{order}8' for order in ('rggb', 'bggr', 'gbrg', 'grbg')), 1),
    **dict.fromkeys((f'bayer_{order}16' for order in ('rggb', 'bggr', 'gbrg', 'grbg')), 2),
    **dict.fromkeys(('mono16', 'uyvy', 'yuv422', 'yuyv', 'yuv422_yuy2'), 2),
    **dict.fromkeys(('rgb8', 'bgr8'), 3),
    **dict.fromkeys(('rgba8', 'bgra8'), 4),
    **dict.fromkeys(('rgb16', 'bgr16'), 6),
    **dict.fromkeys(('rgba16', 'bgra16'), 8),
}
_PLANAR_420 = {'nv12', 'nv21'}
_DEPTH = {'16UC1', '32FC1', '64FC1'}
_GENERIC = re.compile(r'(8|16|32)[US]C?\d*|(32|64)FC?\d*')
_JPEG_START, _JPEG_END = b'\xff\xd8', b'\xff\xd9'
# Cameras pad after the end marker: with zeros up to the buffer's size, or with a short trailer.
_JPEG_TRAILER = 4096


class ImageError(ValueError):
    """An image that cannot be used; the text says what is wrong and what to do."""


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


def decode(data: bytes | memoryview, max_pixels: int = DEFAULT_MAX_PIXELS) -> np.ndarray:
    """Decode the bytes of an image file (JPEG, PNG, WebP, TIFF, BMP …).

    Returns:
        ``(H, W, 3)`` uint8, RGB; an EXIF orientation is applied, alpha is dropped.

    Raises:
        ImageError: the bytes are no image, stop early, or hold more than ``max_pixels`` pixels.
    """
    import cv2

    _check_file(bytes(data), max_pixels)
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise ImageError(f'the image does not decode: {error}') from None
    if image is None:
        raise ImageError('the image does not decode; check the sender or the file')
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def backend() -> str:
    """Name of the library that converts messages here: ``cv_bridge`` or ``rosbags-image``."""
    return 'cv_bridge' if _cv_bridge() else 'rosbags-image'


@functools.cache
def _cv_bridge() -> Any | None:
    try:
        from cv_bridge import CvBridge

        bridge = CvBridge()
        # Its C++ half is loaded on first use; one built for numpy 1 fails there under numpy 2.
        bridge.imgmsg_to_cv2(_Packed(1, 1, 'bgr8', 0, 3, np.zeros(3, np.uint8)), 'rgb8')
    except Exception:
        return None
    return bridge


@dataclass(frozen=True)
class _Packed:
    """A ``sensor_msgs/Image`` whose rows follow each other without padding."""

    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: np.ndarray


def _from_raw(message: RawImage, max_pixels: int) -> np.ndarray:
    _check_encoding(message.encoding)
    _check_size(message.width, message.height, max_pixels)
    packed = _pack(message)
    bridge = _cv_bridge()
    if bridge is not None and message.encoding not in _PLANAR_420:
        try:
            return np.ascontiguousarray(bridge.imgmsg_to_cv2(packed, 'rgb8'))
        except Exception as error:  # CvBridgeError exists only where cv_bridge does
            raise ImageError(f'cv_bridge cannot convert {message.encoding!r}: {error}') from None
    return _by_rosbags(packed)


def _by_rosbags(packed: _Packed) -> np.ndarray:
    import cv2
    from rosbags.image import ImageError as ConversionError
    from rosbags.image import image_to_cvimage

    if packed.encoding in _PLANAR_420:
        # OpenCV's 4:2:0 images are one plane of 3/2 the height; rosbags-image reads `height` rows.
        packed = replace(packed, height=packed.height * 3 // 2)
    try:
        image = image_to_cvimage(packed, 'rgb8')  # type: ignore[arg-type]
    except (ConversionError, cv2.error) as error:
        raise ImageError(f'cannot convert {packed.encoding!r} to rgb8: {error}') from None
    return np.ascontiguousarray(image)


def _pack(message: RawImage) -> _Packed:
    """Check ``step`` and the length of ``data``, and drop the padding at the rows' ends."""
    row = message.width * _BYTES_PER_PIXEL[message.encoding]
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
    return _Packed(
        message.height, message.width, message.encoding, int(message.is_bigendian), row, data
    )


def _check_encoding(encoding: str) -> None:
    if encoding in _BYTES_PER_PIXEL:
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
        f'unknown encoding {encoding!r}; known are {", ".join(sorted(_BYTES_PER_PIXEL))}, '
        'or publish the image compressed'
    )


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width <= 0 or height <= 0:
        raise ImageError(f'the image is {width}×{height}: it has no pixels')
    if width * height > max_pixels:
        raise ImageError(
            f'the image is {width}×{height}, over the limit of {max_pixels} pixels; '
            'let the camera send less, or raise max_pixels'
        )


def _from_compressed(message: CompressedImage, max_pixels: int) -> np.ndarray:
    if 'compressedDepth' in message.format:
        raise ImageError(
            f'format {message.format!r} is a depth image; '
            "subscribe to the camera's colour or grey topic"
        )
    return decode(memoryview(message.data), max_pixels)


def _check_file(data: bytes, max_pixels: int) -> None:
    """Read the size from the header, before anything large is allocated."""
    from PIL import Image

    if not data:
        raise ImageError('the compressed image holds no data')
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data)) as header:
                width, height = header.size
    except Image.DecompressionBombError as error:
        raise ImageError(str(error)) from None
    except (OSError, ValueError, SyntaxError) as error:
        raise ImageError(
            f'the data is no image ({error}); known are JPEG, PNG, WebP, TIFF and BMP'
        ) from None
    _check_size(width, height, max_pixels)
    if data.startswith(_JPEG_START) and _JPEG_END not in data.rstrip(b'\0')[-_JPEG_TRAILER:]:
        raise ImageError(
            f'the JPEG ends early ({len(data)} bytes and no end marker): it was cut off'
        )
