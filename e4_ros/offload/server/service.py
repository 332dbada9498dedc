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

"""What an edge server can be asked to compute; every service looks like this to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from e4_ros.offload.exchange import TensorShapes
from e4_ros.vision.detections import Detections

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Work:
    """One request, unpacked and checked.

    Attributes:
        frame_shape: height and width of the source frame.
        min_score: score below which detections are of no use.
        cut: where features were taken; empty for a picture.
        tensors: features by name, float32, of the shapes at the cut.
        picture: ``(H, W, 3)`` uint8 RGB: the frame, or a part of it, perhaps shrunk.
        place: where the picture lies in the source frame, pixels.
        deadline_s: `time.monotonic` from which nobody waits for the answer.
    """

    frame_shape: tuple[int, int]
    min_score: float
    cut: str = ''
    tensors: Mapping[str, np.ndarray] | None = None
    picture: np.ndarray | None = None
    place: Box = (0.0, 0.0, 0.0, 0.0)
    deadline_s: float = 0.0


class Service(Protocol):
    """Something that a server computes. It is asked from several threads at once."""

    @property
    def name(self) -> str:
        """One of `request.SERVICES`."""
        ...

    @property
    def hash(self) -> str:
        """Hash of what it computes: `identity.network_hash` for `tail` and `network`."""
        ...

    @property
    def class_names(self) -> Sequence[str]:
        """Class names by label."""
        ...

    @property
    def cuts(self) -> Mapping[str, TensorShapes]:
        """For `tail`: shapes of the tensors at each cut; empty for other services."""
        ...

    @property
    def largest_batch(self) -> int:
        """How many requests it takes at once."""
        ...

    @property
    def about(self) -> str:
        """A few words on it, for those who look at a server."""
        ...

    def run(self, batch: Sequence[Work]) -> Sequence[Detections]:
        """Answer requests, all of the same cut.

        Returns:
            Detections of each: in pixels of the source frame for features, and of the picture
            itself for pictures.
        """
        ...


def in_source(found: Detections, work: Work) -> Detections:
    """Detections in pixels of a picture, moved to where that lies in the source frame."""
    if work.picture is None:
        return found
    height, width = work.picture.shape[:2]
    x0, y0, x1, y1 = work.place
    scale = np.array([(x1 - x0) / width, (y1 - y0) / height] * 2, np.float32)
    shift = np.array([x0, y0] * 2, np.float32)
    return Detections(found.boxes * scale + shift, found.scores, found.labels)
