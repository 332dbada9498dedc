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

"""``sensor_msgs/CompressedImage`` to RGB: what its ``format`` says of the picture inside.

Image transport writes ``ENCODING; CODEC compressed STORED``, where ENCODING is the raw image's and
STORED how its colours lie in the file; other senders write the codec alone.
"""

from __future__ import annotations

import re
from typing import Any, Protocol

import cv2
import numpy as np

from e4_ros.perception.encodings import (
    ENCODINGS,
    BitDepth,
    refuse_measurements,
    scaled_to_8,
)
from e4_ros.perception.image_file import ImageError, decode, decode_as_stored

_VIDEO = re.compile(r'\b(h\.?26[45]|x26[45]|avc|hevc|av1|vp[89]|mpeg[124])', re.IGNORECASE)


class CompressedImage(Protocol):
    """The fields of ``sensor_msgs/CompressedImage`` that are read."""

    format: str
    data: Any


def from_compressed(
    message: CompressedImage, max_pixels: int, depth: BitDepth | None = None
) -> np.ndarray:
    """Turn a compressed image into RGB; see `e4_ros.perception.images.to_rgb`.

    A mosaic of a Bayer sensor is made a colour picture, samples of 16 bits are scaled, and what old
    writers stored with red and blue swapped is swapped back.

    Raises:
        ImageError: depth, a packet of a video stream, or data that does not decode.
    """
    encoding, _, stored = (part.strip() for part in message.format.partition(';'))
    _refuse(message.format, encoding)
    data = memoryview(message.data)
    if encoding.startswith('bayer_') or encoding.endswith('16'):
        return _from_samples(decode_as_stored(data, max_pixels), encoding, depth)
    image = decode(data, max_pixels)
    # A file says itself where red is; the official subscriber believes the format, as these
    # senders mean it.
    return np.ascontiguousarray(image[..., ::-1]) if 'compressed rgb' in stored else image


def _refuse(form: str, encoding: str) -> None:
    if 'compresseddepth' in form.lower():
        raise ImageError(
            f"format {form!r} is a depth image; subscribe to the camera's colour or grey topic"
        )
    if not encoding.startswith('8'):  # eight bits are grey or colour by the file's own header
        refuse_measurements(encoding)
    if _VIDEO.search(encoding):
        raise ImageError(
            f'format {form!r} is a packet of a video stream, which is no picture by itself; let '
            'the camera send JPEG (`compressed`), or decode the stream before: '
            '`ros2 run image_transport republish`'
        )


def _from_samples(image: np.ndarray, encoding: str, depth: BitDepth | None) -> np.ndarray:
    """A mosaic, or samples of 16 bits, as they lie in the file, to RGB."""
    deep = image.dtype == np.uint16
    if deep and depth is not None:
        image = depth.spread(image)
    if image.ndim == 3:  # OpenCV gives blue first, and keeps alpha
        code = cv2.COLOR_BGRA2RGB if image.shape[2] == 4 else cv2.COLOR_BGR2RGB
    else:
        mosaic = ENCODINGS.get(encoding) if encoding.startswith('bayer_') else None
        code = cv2.COLOR_GRAY2RGB if mosaic is None or mosaic[1] is None else mosaic[1]
    image = cv2.cvtColor(image, code)
    return scaled_to_8(image) if deep else image
