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

"""What answers frames for a service, wherever it runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from e4_ros.vision.detections import Detections


class EngineError(OSError):
    """Frames cannot be answered there now; the message says why and what to do."""


class Engine(Protocol):
    """Answers frames with one network.

    Attributes:
        largest_batch: frames that are best given at once; more are worked through in turn.
    """

    largest_batch: int

    @property
    def where(self) -> str:
        """Where frames are answered now, in words."""
        ...

    def answers(
        self, frames: Sequence[np.ndarray], min_score: float, left_s: float = math.inf
    ) -> list[Detections]:
        """Answers to frames, in their order; threads may call it side by side.

        Args:
            frames: ``(H, W, 3)`` uint8 RGB each, of any sizes.
            min_score: score below which detections are left out, 0 to 1.
            left_s: seconds after which nobody needs the answers.

        Raises:
            EngineError: there is no answer, or none in time.
        """
        ...

    def close(self) -> None:
        """Let go of everything; no answers afterwards."""
        ...
