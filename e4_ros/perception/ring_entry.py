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

"""One entry of a ring: a JPEG that any viewer opens, with what perception answered inside it.

The answer is JSON in the JPEG's comment segments (ITU T.81, B.2.4.5), so that picture and answer
are one file, which is there whole or not at all.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import cv2
import numpy as np

from e4_ros.perception.image_file import ImageError, decode
from e4_ros.vision.detections import Detections

QUALITY = 95
"""Of the JPEGs, with all of their colours; docs/learning.md has what less does to a teacher."""

_HOW = [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
if hasattr(cv2, 'IMWRITE_JPEG_SAMPLING_FACTOR'):  # OpenCV 4.6 and later
    _HOW += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]

_COMMENT = b'\xff\xfe'
_MARK = b'e4_ros.ring/1\0'
_MOST = 65533 - len(_MARK)  # bytes of text in a comment segment
_LARGEST = 65500  # side of an image that a JPEG can hold, as OpenCV sees it


@dataclass(frozen=True)
class RingEntry:
    """What perception knew of a frame when its answer was out.

    Attributes:
        stamp_s: stamp of the image in seconds.
        exit: exit that answered it; ``full`` is a frame on which the whole network ran.
        detections: the answer, as published.
        frame_id: the camera's frame, of the image's header.
    """

    stamp_s: float
    exit: str
    detections: Detections
    frame_id: str = ''


def encode_entry(frame: np.ndarray, entry: RingEntry) -> bytes:
    """Bytes of an entry's file.

    Args:
        frame: ``(H, W, 3)`` uint8 RGB.
        entry: what was answered.

    Raises:
        ImageError: no JPEG can hold the frame.
    """
    if max(frame.shape[:2]) > _LARGEST:
        raise ImageError(f'a JPEG holds {_LARGEST} pixels a side, not {frame.shape[:2]}')
    picture = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode('.jpg', picture, _HOW)
    data, text = encoded.tobytes(), _text(entry)
    # Behind the first segment, which readers of JFIF expect where it is.
    head = 4 + int.from_bytes(data[4:6], 'big')
    pieces = [text[at : at + _MOST] for at in range(0, len(text), _MOST)]
    comments = [
        _COMMENT + (2 + len(_MARK) + len(piece)).to_bytes(2, 'big') + _MARK + piece
        for piece in pieces
    ]
    return b''.join([data[:head], *comments, data[head:]])


def decode_entry(data: bytes) -> tuple[np.ndarray, RingEntry]:
    """Frame ``(H, W, 3)`` uint8 RGB and answer of an entry's file.

    Raises:
        ImageError: the file is cut off, or no entry.
    """
    try:
        about = json.loads(_comments(data))
        detections = Detections.of(
            np.array(about['boxes'], np.float32).reshape(-1, 4),
            np.array(about['scores'], np.float32),
            np.array(about['labels'], np.int64),
        )
        entry = RingEntry(
            float(about['stamp_s']), str(about['exit']), detections, str(about['frame_id'])
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ImageError(f'this is no entry of a ring: {error}') from None
    return decode(data), entry


def _text(entry: RingEntry) -> bytes:
    found = entry.detections
    about = {
        'stamp_s': entry.stamp_s,
        'exit': entry.exit,
        'frame_id': entry.frame_id,
        'boxes': np.round(found.boxes.astype(float), 2).tolist(),
        'scores': np.round(found.scores.astype(float), 4).tolist(),
        'labels': found.labels.tolist(),
    }
    return json.dumps(about, separators=(',', ':')).encode()


def _comments(data: bytes) -> bytes:
    """Our text in the segments before the picture itself."""
    at, pieces = 2, []
    while data[at : at + 1] == b'\xff' and data[at + 1 : at + 2] != b'\xda':
        length = int.from_bytes(data[at + 2 : at + 4], 'big')
        body = data[at + 4 : at + 2 + length]
        if data[at : at + 2] == _COMMENT and body.startswith(_MARK):
            pieces.append(body[len(_MARK) :])
        at += 2 + max(length, 2)
    return b''.join(pieces)
