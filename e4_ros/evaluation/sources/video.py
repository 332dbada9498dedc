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

"""Video files and V4L2 cameras, decoded by PyAV (FFmpeg)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import av.container
import av.video.stream
import numpy as np

from e4_ros.evaluation.sources.base import Source, SourceError


class VideoSource(Source):
    """A video file. Frames that FFmpeg cannot decode are dropped; a cut-off file gives its rest."""

    def __init__(self, path: Path | str, name: str | None = None) -> None:
        super().__init__()
        self._path = path
        self.name = name or Path(path).name
        with self._open() as container:
            stream = self._stream(container)
            rate = stream.average_rate or stream.guessed_rate
            self.fps = float(rate) if rate else None
            self.frame_count = stream.frames or None
            for frame in self._decoded(container):
                self.size = upright(frame).shape[:2]
                break

    def _frames(self) -> Iterator[tuple[float, np.ndarray]]:
        count = 0
        with self._open() as container:
            for frame in self._decoded(container):
                stamp = frame.time if frame.time is not None else count / (self.fps or 10.0)
                yield float(stamp), upright(frame)
                count += 1
        if self.frame_count and count + self.dropped < self.frame_count:
            self._report(f'ended early: {count} of {self.frame_count} frames')

    def _decoded(self, container: av.container.InputContainer) -> Iterator[av.VideoFrame]:
        stream = self._stream(container)
        # Threads of the decoder would take cores from the network whose latency is measured.
        stream.codec_context.thread_count = 1
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.FFmpegError as error:
                self._report(f'reading stopped: {error.strerror}')
                return
            try:
                frames = packet.decode()
            except av.FFmpegError as error:
                self._drop(f'a frame does not decode: {error.strerror}')
                continue
            yield from frames

    def _open(self) -> av.container.InputContainer:
        try:
            return av.open(str(self._path))
        except av.FFmpegError as error:
            raise SourceError(
                f'{self.name} cannot be read as a video ({error.strerror}); check that it is one '
                'and that it is complete: an MP4 that was cut off has lost its index'
            ) from None

    def _stream(self, container: av.container.InputContainer) -> av.video.stream.VideoStream:
        if not container.streams.video:
            raise SourceError(f'{self.name} has no video stream; only sound or data is in it')
        return container.streams.video[0]


class CameraSource(VideoSource):
    """A V4L2 camera, ``/dev/videoN``; endless, and stamped by its driver."""

    repeatable = False

    def _open(self) -> av.container.InputContainer:
        try:
            return av.open(str(self._path), format='v4l2')
        except av.FFmpegError as error:
            raise SourceError(
                f'the camera {self._path} cannot be opened ({error.strerror}); `ls /dev/video*` '
                'lists cameras, another program may hold it, and the group `video` may open it'
            ) from None


def upright(frame: av.VideoFrame) -> np.ndarray:
    """Convert to RGB and undo the rotation that phones write into the file's header."""
    rgb = frame.to_ndarray(format='rgb24')
    quarters = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(rgb, quarters)) if quarters else rgb
