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

"""One segment of an engine at a time, again and again: what a profiler measures."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from e4_ros.vision.inference.stream_engine import StreamEngine

_FRAME_S = 0.04  # between two frames of a stream without times


class SegmentRunner:
    """The segments of an engine, each of which can be run alone on realistic input.

    The frames go through the engine once, so that every buffer holds what the network makes of
    them and the temporal exit has a memory; segments then work on the last frame.

    Args:
        engine: built; its stream begins anew.
        frames: ``(H, W, 3)`` uint8 RGB, in order; a handful is enough.

    Attributes:
        model: name of the network.
        segments: names, in order.
        devices: device that runs each segment, same order.

    Raises:
        ValueError: there is no frame, or one is no such image.
    """

    def __init__(self, engine: StreamEngine, frames: Sequence[np.ndarray]) -> None:
        if not frames:
            raise ValueError('measuring a network needs at least one frame to run it on')
        self.model = engine.model.name
        self.segments = tuple(segment.name for segment in engine.segments)
        self.devices = tuple(segment.device for segment in engine.segments)
        self._engine, self._frame = engine, frames[-1]
        engine.reset()
        for index, frame in enumerate(frames):
            engine.process(frame, index * _FRAME_S)
        self._stamp_s = len(frames) * _FRAME_S
        # Whatever exit the last frame took: now the buffers of all stages hold something of it.
        engine.process_full(self._frame)

    def run(self, segment: int, seconds: float) -> list[float]:
        """Repeat a segment for about ``seconds`` (at least once); seconds of each repeat."""
        took: list[float] = []
        began_s = end_s = time.perf_counter()
        while not took or end_s - began_s < seconds:
            before_s = end_s
            self._engine.run_segment(segment, self._frame, self._stamp_s)
            end_s = time.perf_counter()
            took.append(end_s - before_s)
        return took
