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

"""What every exit before the first stage is: the state of one stream, and scores from it."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from e4_ros.vision.detections import Detections
from e4_ros.vision.runtime.interfaces import Buffer
from e4_ros.vision.staged_network import NO_WORK, Work
from e4_ros.vision.tracking.constant_velocity import ConstantVelocityTracks


class TemporalExit(ABC):
    """Answers from what the stream has shown, before any stage runs.

    It holds the state of one stream. A frame of another size, or a time before the last one, starts
    a new stream.

    Attributes:
        tracks: tracks of the objects that were answered.
        cost: work of one evaluation.
        device: device that a look computes on.
        state: input of the exits behind it, ``(1, S)``; None without one.
        in_distribution: how much the frame last looked at is like what the exits were fitted to,
            0 to 1; 1 where that is not known.
    """

    def __init__(
        self, cost: Work = NO_WORK, state: Buffer | None = None, device: str = 'cpu'
    ) -> None:
        self.tracks = ConstantVelocityTracks()
        self.cost = cost
        self.state = state
        self.device = device
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self.tracks.reset()
        self._frame_shape: tuple[int, ...] = ()
        self._stamp_s = -np.inf
        self.in_distribution = 1.0
        self._forget()

    def look(
        self, frame: np.ndarray, stamp_s: float, prior: Detections | None = None
    ) -> tuple[float, float]:
        """Compare a frame with the memory.

        Args:
            frame: ``(H, W, 3)`` uint8 RGB.
            stamp_s: time of the frame in seconds.
            prior: where the objects should be now; None: the last answer at constant velocity.

        Returns:
            Diversity (0: as remembered; 1: a frame unlike it, or no memory), and the gate score;
            both in [0, 1].
        """
        if frame.shape != self._frame_shape or stamp_s < self._stamp_s:
            self.reset()
        self._frame_shape, self._stamp_s = frame.shape, stamp_s
        self._prior = prior
        return self._compare(frame)

    @abstractmethod
    def detections(self, min_score: float) -> Detections:
        """The answer for the frame last looked at."""

    @abstractmethod
    def remember(self, detections: Detections, computed: bool) -> None:
        """Take the answer that was given for the frame last looked at.

        Args:
            detections: detections in pixels of the frame.
            computed: whether a later exit gave it, not this one.
        """

    @abstractmethod
    def _compare(self, frame: np.ndarray) -> tuple[float, float]: ...

    @abstractmethod
    def _forget(self) -> None: ...


def certainty(detections: Detections) -> float:
    """How far an answer's scores are from undecided: 0 at 0.5, 1 at 0 and 1; mean over objects.

    An answer without objects is as uncertain as can be: an early exit that sees nothing may just
    not see.
    """
    if not len(detections):
        return 0.0
    return float(np.abs(2 * detections.scores - 1).mean())
