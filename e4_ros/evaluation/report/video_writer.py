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

"""Write an H.264 video that every browser plays."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import cv2
import numpy as np


class VideoWriter:
    """An mp4 of frames at a constant rate; the first frame decides on its size.

    Encoding happens in the caller's thread, so that nothing competes with a measured network.

    Args:
        path: Path of the file; its folder must exist.
        fps: Frames a second.
        quality: x264's constant rate factor: 18 is nearly without loss, 28 is small.
    """

    def __init__(self, path: Path, fps: float, quality: int = 23) -> None:
        self.frames = 0
        self._container = av.open(str(path), 'w', options={'movflags': 'faststart'})
        options = {'crf': str(quality), 'preset': 'veryfast'}
        self._stream = self._container.add_stream('h264', rate=_rate(fps), options=options)
        self._stream.pix_fmt = 'yuv420p'
        self._stream.codec_context.thread_count = 1

    def write(self, frame: np.ndarray) -> None:
        """Append a frame ``(H, W, 3)`` uint8 RGB; one of another size than the first is scaled."""
        if not self.frames:
            height, width = frame.shape[:2]
            self._stream.height, self._stream.width = height - height % 2, width - width % 2
        frame = _fitted(frame, self._stream.height, self._stream.width)
        picture = av.VideoFrame.from_ndarray(frame, format='rgb24')
        picture.pts, picture.time_base = self.frames, 1 / Fraction(self._stream.codec_context.rate)
        self._container.mux(self._stream.encode(picture))
        self.frames += 1

    def close(self) -> None:
        """Finish the file. Without a single frame there is nothing to play, and no error."""
        if self.frames:
            self._container.mux(self._stream.encode())
        self._container.close()

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _rate(fps: float) -> Fraction:
    return Fraction(max(fps, 0.1)).limit_denominator(1001)


def _fitted(frame: np.ndarray, height: int, width: int) -> np.ndarray:
    """Scale into the size with black bars, or cut one odd row or column off."""
    if frame.shape[0] - height in (0, 1) and frame.shape[1] - width in (0, 1):
        return np.ascontiguousarray(frame[:height, :width])
    scale = min(height / frame.shape[0], width / frame.shape[1])
    size = max(round(frame.shape[1] * scale), 1), max(round(frame.shape[0] * scale), 1)
    canvas = np.zeros((height, width, 3), np.uint8)
    y, x = (height - size[1]) // 2, (width - size[0]) // 2
    canvas[y : y + size[1], x : x + size[0]] = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    return canvas
