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

"""Pictures as JPEG and back, whoever has sent them."""

from __future__ import annotations

import math

import cv2
import numpy as np

from e4_ros.offload.codec import CodecError

try:
    import simplejpeg
except ImportError:  # on robots that have the packages of ROS alone
    simplejpeg = None

MOST_PIXELS = 1 << 24
"""Of a picture that is decoded: 4096 × 4096."""


def encode(picture: np.ndarray, quality: int) -> bytes:
    """A JPEG of an ``(H, W, 3)`` uint8 RGB picture.

    Args:
        picture: the picture; a part of a frame is copied.
        quality: 1 to 100.
    """
    picture = np.ascontiguousarray(picture)
    if simplejpeg is not None:
        jpeg: bytes = simplejpeg.encode_jpeg(picture, quality, 'RGB', '420')
        return jpeg
    flags = [cv2.IMWRITE_JPEG_QUALITY, quality]
    return cv2.imencode('.jpg', cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), flags)[1].tobytes()


def decode(jpeg: bytes, most: tuple[int, int]) -> np.ndarray:
    """The ``(H, W, 3)`` uint8 RGB picture in a JPEG.

    Args:
        jpeg: the file's bytes.
        most: height and width that it may have at most; nothing larger is decoded.

    Raises:
        CodecError: it is none, damaged, or larger.
    """
    height, width = _size(jpeg)
    if not (0 < height <= most[0] and 0 < width <= most[1]) or math.prod(most) > MOST_PIXELS:
        raise CodecError(
            f'a picture of {width}×{height} pixels came where {most[1]}×{most[0]} (and at most '
            f'{MOST_PIXELS} pixels in all) were announced'
        )
    if simplejpeg is not None:
        try:
            picture: np.ndarray = simplejpeg.decode_jpeg(jpeg, 'RGB')
        except ValueError as error:
            raise CodecError(f'the JPEG is damaged: {error}') from None
        return picture
    found = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    if found is None or found.shape[:2] != (height, width):
        raise CodecError('the JPEG is damaged')
    return cv2.cvtColor(found, cv2.COLOR_BGR2RGB)


def _size(jpeg: bytes) -> tuple[int, int]:
    """Height and width that a JPEG's frame header says, without decoding anything."""
    place = 2 if jpeg[:2] == b'\xff\xd8' else len(jpeg)
    while place + 9 <= len(jpeg) and jpeg[place] == 0xFF:
        marker, length = jpeg[place + 1], int.from_bytes(jpeg[place + 2 : place + 4], 'big')
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return (
                int.from_bytes(jpeg[place + 5 : place + 7], 'big'),
                int.from_bytes(jpeg[place + 7 : place + 9], 'big'),
            )
        place += 2 + max(length, 2)
    raise CodecError('what came is no JPEG')
