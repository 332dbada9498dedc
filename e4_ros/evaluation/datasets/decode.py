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

"""Sample frames of a clip, decoded by PyAV (FFmpeg)."""

from __future__ import annotations

from collections.abc import Iterator

import av
import numpy as np

from e4_ros.evaluation.sources.base import SourceError
from e4_ros.evaluation.sources.video import VideoSource, upright


class ClipVideo(VideoSource):
    """A part of a video, of which only the sampled frames are converted."""

    def sample(self, count: int, start_s: float = 0.0, end_s: float | None = None) -> np.ndarray:
        """Evenly spaced frames in order of time; the last one before each sample time.

        Args:
            count: number of frames; a clip of fewer frames repeats some.
            start_s: start of the clip in the video, in seconds.
            end_s: end of the clip in seconds; None for the end of the video.

        Returns:
            ``(count, H, W, 3)`` uint8 RGB.

        Raises:
            SourceError: not one frame of the clip can be decoded.
        """
        end_s = self.end_s() if end_s is None else end_s
        wanted = start_s + (np.arange(count) + 0.5) / count * (end_s - start_s)
        chosen: list[np.ndarray] = []
        last: av.VideoFrame | None = None
        for time, frame in self._from(start_s):
            while last is not None and len(chosen) < count and wanted[len(chosen)] < time:
                chosen.append(upright(last))
            last = frame
            if len(chosen) == count or time >= end_s:
                break
        if last is None:
            reason = '; '.join(self.problems) or 'no frame there'
            raise SourceError(f'{self._path}: nothing to see from {start_s:g} s on ({reason})')
        chosen += [upright(last)] * (count - len(chosen))
        return np.stack(chosen)

    def end_s(self) -> float:
        """Where the video ends, in seconds, as its header says or else its last frame."""
        with self._open() as container:
            stream = self._stream(container)
            if stream.duration and stream.time_base:
                return float((stream.start_time or 0) * stream.time_base) + float(
                    stream.duration * stream.time_base
                )
            if container.duration:
                return container.duration / av.time_base
            *_, end = (0.0, *(time for time, _ in self._from(0.0)))
            return end

    def _from(self, start_s: float) -> Iterator[tuple[float, av.VideoFrame]]:
        """Frames with their time, from the one that is shown at the beginning of the clip on."""
        with self._open() as container:
            if start_s > 0:
                container.seek(int(start_s * av.time_base))
            before: tuple[float, av.VideoFrame] | None = None
            for index, frame in enumerate(self._decoded(container)):
                time = frame.time if frame.time is not None else index / (self.fps or 10.0)
                if time <= start_s:
                    before = time, frame
                    continue
                if before is not None:
                    yield before
                    before = None
                yield time, frame
            if before is not None:
                yield before
