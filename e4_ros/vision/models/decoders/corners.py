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

"""What stands before a suppression node: decoded boxes, and a score of each class for each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np
from pydantic import PositiveInt

from e4_ros.vision.detections import Detections
from e4_ros.vision.models.decoders.geometry import BoxFormat, to_corners, unit
from e4_ros.vision.models.decoders.scores import passing
from e4_ros.vision.models.decoders.settings import Decode, NmsSettings, check_shape
from e4_ros.vision.placement import Placement


class CornersDecoder(NmsSettings):
    """Boxes from ``boxes`` ``(1, N, 4)`` and ``scores`` ``(1, C, N)``, or ``(1, N, C)``.

    A box has a detection for each class that scores high enough, as ONNX's
    ``NonMaxSuppression`` has it.

    Attributes:
        classes: number of the network's classes ``C``, without a background.
        transposed: whether scores are ``(1, N, C)``.
        boxes: what the numbers of a box are.
        relative: whether boxes are shares of the input; else they are in pixels.
        background: whether scores have one class more, the first one, for the background.
        nms_iou: greatest overlap of two boxes of one class.
        most: greatest number of boxes in a frame.
    """

    kind: Literal['corners'] = 'corners'
    output_names: ClassVar[tuple[str, ...]] = ('boxes', 'scores')
    classes: PositiveInt
    transposed: bool = False
    boxes: BoxFormat = 'xyxy'
    relative: bool = False
    background: bool = False

    def for_input(self, size: tuple[int, int]) -> Decode:
        """What decodes the outputs for inputs of a height and width."""
        pixels = unit(size, self.relative)
        channels = self.classes + self.background
        why = f'{self.classes} classes' + ' and a background' * self.background

        def decode(
            outputs: Mapping[str, np.ndarray], placement: Placement, min_score: float
        ) -> Detections:
            boxes = check_shape(outputs, 'boxes', (1, None, 4), 'four numbers of a box')[0]
            count = len(boxes)
            shape = (1, count, channels) if self.transposed else (1, channels, count)
            scores = check_shape(outputs, 'scores', shape, f'{count} boxes, {why}')[0]
            first = int(self.background)
            if self.transposed:
                rows, labels = passing(scores[:, first:], min_score)
                scores = scores[rows, labels + first]
            else:
                labels, rows = passing(scores[first:], min_score)
                scores = scores[labels + first, rows]
            found = to_corners(boxes[rows], self.boxes) * pixels
            return self.suppressed(found, scores, labels, placement)

        return decode
