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

"""Where a frame lies in a network's input, and the way back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from e4_ros.vision.boxes import clip
from e4_ros.vision.detections import Detections


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a frame lies in a network's input.

    A point ``p`` of the frame lies at ``p * scale + offset`` in the input. Both are measured from
    the corner of the first pixel, not from its centre, as boxes are.

    Attributes:
        frame_shape: ``(H, W, ...)`` of the frame, pixels.
        scale: pixels of the input for each pixel of the frame, along x and y.
        offset: where the frame's upper left corner lies in the input, x and y, pixels.
    """

    frame_shape: tuple[int, ...]
    scale: tuple[float, float]
    offset: tuple[float, float]

    @classmethod
    def stretched(cls, frame_shape: tuple[int, ...], size: tuple[int, int]) -> Placement:
        """The whole frame all over an input of a height and width, whatever their shapes."""
        (height, width), (rows, columns) = frame_shape[:2], size
        return cls(frame_shape, (columns / width, rows / height), (0.0, 0.0))

    def to_frame(self, boxes: np.ndarray) -> np.ndarray:
        """Boxes ``(N, 4)`` in pixels of the input to pixels of the frame, clipped to it."""
        scale = np.array(self.scale * 2, boxes.dtype)
        offset = np.array(self.offset * 2, boxes.dtype)
        return clip((boxes - offset) / scale, self.frame_shape)

    def detections(self, boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray) -> Detections:
        """What was found in the input as an answer for the frame.

        Boxes that lie beside the frame altogether, on the border around it, are left out.

        Args:
            boxes: ``(N, 4)``, x0, y0, x1, y1 in pixels of the input.
            scores: ``(N,)``.
            labels: ``(N,)``.
        """
        boxes = self.to_frame(boxes)
        seen = (boxes[:, 2:] > boxes[:, :2]).all(1)
        return Detections.of(boxes[seen], scores[seen], labels[seen])
