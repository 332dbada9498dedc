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

"""The offline teacher's look at a single frame, one pass of the network at a time.

One pass squeezes the whole frame into the network's small input. A look also asks it about
overlapping tiles, and merges what it finds. Its passes may lie far apart: the offline teacher takes
them one after the other, a robot one after each frame's answer is out.
"""

from __future__ import annotations

import numpy as np

from e4_ros.vision.detections import Detections
from e4_ros.vision.tiles import merge, tiles_of

LEAST_SCORE = 0.3
"""Score below which what a pass finds is no part of the look."""


class TeacherLook:
    """What passes over one frame have found so far. The first is over the whole of it.

    Args:
        frame: ``(H, W, 3)`` uint8 RGB; it is not copied.

    Attributes:
        frame: as given.
    """

    def __init__(self, frame: np.ndarray) -> None:
        self.frame = frame
        self._tiles = tiles_of(frame.shape)
        self._found: list[Detections] = []

    def __len__(self) -> int:
        """Passes that it takes, those done included."""
        return len(self._tiles)

    @property
    def done(self) -> bool:
        """Whether no pass is left."""
        return len(self._found) == len(self._tiles)

    def part(self) -> np.ndarray:
        """What the next pass is over, a view into the frame."""
        return self._tiles[len(self._found)].crop(self.frame)

    def take(self, detections: Detections) -> None:
        """What the network found in `part`, in pixels of it."""
        self._found.append(detections.above(LEAST_SCORE))

    @property
    def full(self) -> Detections:
        """The full network's own answer: what the first pass found."""
        return self._found[0]

    def detections(self) -> Detections:
        """The teacher's answer to the frame, once it is done."""
        return merge(self._found, self._tiles, self.frame.shape)
