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

"""What every engine offers that answers the frames of one stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from e4_ros.vision.inference.audit import Audit
from e4_ros.vision.inference.compiled_network import Segment
from e4_ros.vision.inference.exit_economics import ExitEconomics
from e4_ros.vision.inference.exit_thresholds import ExitThresholds
from e4_ros.vision.inference.frame_result import FrameResult, OnSegment
from e4_ros.vision.inference.online_risk import OnlineRisk
from e4_ros.vision.model import VisionModel


class StreamEngine(Protocol):
    """One frame in, one answer out, and the state of one stream.

    Attributes:
        model: preprocessing and decoding of the network.
        thresholds: which gates' scores are enough to answer early.
        deepest: exit that the next frames may not go beyond, for want of time; `FULL`: no limit.
    """

    model: VisionModel
    thresholds: ExitThresholds
    deepest: str

    @property
    def economics(self) -> ExitEconomics | None:
        """Rests exits that do not pay; None where all are asked."""
        ...

    @property
    def risk(self) -> OnlineRisk | None:
        """What tracks cost and may cost on this stream; None where nobody tracks."""
        ...

    @property
    def segments(self) -> Sequence[Segment]:
        """What each segment asks of the machine, in order."""
        ...

    @property
    def device(self) -> str:
        """Device that runs the last segment, as its session says."""
        ...

    @property
    def paths(self) -> Mapping[str, Sequence[int]]:
        """For every exit that may be taken, the segments on the way to it; ``full`` is the last."""
        ...

    @property
    def off(self) -> Mapping[str, str]:
        """Why, by exit that audits have switched off."""
        ...

    def process(
        self, frame: np.ndarray, stamp_s: float, on_segment: OnSegment | None = None
    ) -> FrameResult:
        """Answer one frame of the stream.

        Args:
            frame: ``(H, W, 3)`` uint8 RGB.
            stamp_s: stamp of the frame in seconds; one before the last frame's begins a new stream.
            on_segment: function called with the index of a segment just before it starts.

        Raises:
            ValueError: the frame is no such image, or its time cannot be used.
        """
        ...

    def process_full(self, frame: np.ndarray, on_segment: OnSegment | None = None) -> FrameResult:
        """Answer one frame by every segment, whatever the stream; its state stays."""
        ...

    def audit(
        self, frame: np.ndarray, result: FrameResult, on_segment: OnSegment | None = None
    ) -> Audit | None:
        """After a frame's answer is out: one pass for the audit that runs, if the engine can."""
        ...

    def check_pay(self, frame: np.ndarray) -> ExitEconomics | None:
        """Measure what the exits cost here; None where there is nothing to rest."""
        ...

    def run_segment(self, index: int, frame: np.ndarray, stamp_s: float) -> None:
        """Run one segment alone, to measure it; the stream's state stays."""
        ...

    def reset(self) -> None:
        """Forget the stream."""
        ...
