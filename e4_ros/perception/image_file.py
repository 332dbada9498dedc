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

"""Bytes of an image file (JPEG, PNG, WebP, TIFF, BMP …) to an RGB array, checked before decoding.

A decoder believes the header: it would allocate what a broken one asks for, and turn a JPEG that
was cut off into a picture with a grey half.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator

import cv2
import numpy as np

from e4_ros.perception.strict_jpeg import DamageError, decode_strictly

DEFAULT_MAX_PIXELS = 50_000_000
"""Largest image accepted by default: 8000 × 6000 passes, a few more pixels do not."""

_JPEG_START, _JPEG_END = b'\xff\xd8', b'\xff\xd9'
_SCAN, _EXIF = 0xDA, 0xE1
_PNG_START = b'\x89PNG\r\n\x1a\n'
# Decoding to RGB saves a pass over the picture; OpenCV 4.10 and later can.
_READ_RGB = getattr(cv2, 'IMREAD_COLOR_RGB', None)


class ImageError(ValueError):
    """An image that cannot be used; the text says what is wrong and what to do."""


def decode(data: bytes | memoryview, max_pixels: int = DEFAULT_MAX_PIXELS) -> np.ndarray:
    """Decode the bytes of an image file.

    Args:
        data: the whole file; it is not copied.
        max_pixels: upper bound of height × width.

    Returns:
        ``(H, W, 3)`` uint8, RGB; an EXIF orientation is applied, alpha is dropped.

    Raises:
        ImageError: the bytes are no image, stop early, are a damaged JPEG (as far as that is
            noticed, see `e4_ros.perception.strict_jpeg`), or hold more than ``max_pixels`` pixels.
    """
    view = _checked(data, max_pixels)
    if view[:2] == _JPEG_START and all(marker != _EXIF for marker, _ in _segments(view)):
        try:
            image = decode_strictly(view)
        except DamageError as error:
            raise ImageError(
                f'the JPEG is damaged, and its picture wrong from there on ({error}); look at the '
                'cable, the bus or the network between camera and computer'
            ) from None
        if image is not None:
            return image
    how = cv2.IMREAD_COLOR if _READ_RGB is None else _READ_RGB
    image = _by_opencv(view, how)
    return image if _READ_RGB is not None else cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def decode_as_stored(data: bytes | memoryview, max_pixels: int = DEFAULT_MAX_PIXELS) -> np.ndarray:
    """Decode without turning samples into anything: depth of 16 bits and one channel stay.

    Args:
        data: as with `decode`.
        max_pixels: as with `decode`.

    Returns:
        ``(H, W)``, or ``(H, W, 3)`` or ``(H, W, 4)`` with blue first; uint8 or uint16.

    Raises:
        ImageError: as with `decode`.
    """
    return _by_opencv(_checked(data, max_pixels), cv2.IMREAD_UNCHANGED)


def _checked(data: bytes | memoryview, max_pixels: int) -> memoryview:
    view = memoryview(data).cast('B')
    if not view:
        raise ImageError('the compressed image holds no data')
    check_size(*_size(view), max_pixels)
    if view[:2] == _JPEG_START and not _has_end(view):
        raise ImageError(
            f'the JPEG ends early ({len(view)} bytes and no end marker): it was cut off'
        )
    return view


def _by_opencv(view: memoryview, how: int) -> np.ndarray:
    try:
        image = cv2.imdecode(np.frombuffer(view, np.uint8), how)
    except cv2.error as error:
        raise ImageError(f'the image does not decode: {error}') from None
    if image is None:
        raise ImageError('the image does not decode; check the sender or the file')
    return image


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Raise `ImageError` for an image without pixels or with too many."""
    if width <= 0 or height <= 0:
        raise ImageError(f'the image is {width}×{height}: it has no pixels')
    if width * height > max_pixels:
        raise ImageError(
            f'the image is {width}×{height}, over the limit of {max_pixels} pixels; '
            'let the camera send less, or raise max_pixels'
        )


def _size(view: memoryview) -> tuple[int, int]:
    """Width and height as the header says; what cameras send is read here, the rest by Pillow."""
    size = None
    if view[:2] == _JPEG_START:
        size = _jpeg_size(view)
    elif view[:8] == _PNG_START and len(view) >= 24:
        size = _number(view[16:20]), _number(view[20:24])
    return size or _any_size(view)


def _jpeg_size(view: memoryview) -> tuple[int, int] | None:
    """Size in the first start-of-frame segment (ITU T.81, B.2.2); None where there is none."""
    for marker, at in _segments(view):
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC) and at + 9 <= len(view):
            return _number(view[at + 7 : at + 9]), _number(view[at + 5 : at + 7])
    return None


def _segments(view: memoryview) -> Iterator[tuple[int, int]]:
    """Markers of a JPEG's header and where they begin, up to where its picture starts."""
    at = 2
    while at + 4 <= len(view) and view[at] == 0xFF:
        marker = view[at + 1]
        # Fill bytes, and markers that stand alone, have no length.
        if marker == 0xFF:
            at += 1
        elif marker == 0x01 or 0xD0 <= marker <= 0xD8:
            at += 2
        else:
            yield marker, at
            if marker == _SCAN:
                return
            at += 2 + _number(view[at + 2 : at + 4])


def _number(octets: memoryview) -> int:
    return int.from_bytes(octets, 'big')


def _any_size(view: memoryview) -> tuple[int, int]:
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(view)) as header:
                return header.size
    except Image.DecompressionBombError as error:
        raise ImageError(str(error)) from None
    except Image.UnidentifiedImageError:  # its text is the address of an object
        raise ImageError('the data is no image; known are JPEG, PNG, WebP, TIFF and BMP') from None
    except (OSError, ValueError, SyntaxError) as error:
        raise ImageError(
            f'the data is no image ({error}); known are JPEG, PNG, WebP, TIFF and BMP'
        ) from None


def _has_end(view: memoryview) -> bool:
    """Whether the picture is there to its end.

    After the end marker cameras pad with zeros up to the buffer's size, and phones append a video
    (motion photos). A preview in the header has an end marker of its own, so the one that counts
    comes after the start of the picture.
    """
    start = next((at for marker, at in _segments(view) if marker == _SCAN), len(view))
    return _JPEG_END in bytes(view[start:])
