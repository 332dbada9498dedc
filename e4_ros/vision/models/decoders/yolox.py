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

"""YOLOX: one box for each cell of the feature maps, objectness times class score.

Source: Ge et al., "YOLOX" (arXiv 2107.08430); its exporter leaves the grid raw unless it is called
with ``--decode_in_inference``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np
from pydantic import PositiveFloat, PositiveInt

from e4_ros.vision.detections import Detections
from e4_ros.vision.models.decoders.geometry import cells, corners
from e4_ros.vision.models.decoders.scores import object_and_class
from e4_ros.vision.models.decoders.settings import Decode, NmsSettings, check_shape
from e4_ros.vision.placement import Placement

_MOST_GROWTH = 10.0  # logarithm of more cells than any input has; keeps boxes finite


class YoloxDecoder(NmsSettings):
    """Boxes from ``output`` ``(1, A, 5 + C)``: centre x, centre y, width, height, object, classes.

    Objectness and class scores are between 0 and 1 already.

    Attributes:
        classes: number of the network's classes ``C``.
        decoded: whether boxes are in pixels of the input; else they are offsets from their cell in
            cells, and logarithms of sizes in cells.
        strides: pixels of the input between two cells, for each feature map.
        nms_iou: greatest overlap of two boxes of one class.
        most: greatest number of boxes in a frame.
    """

    kind: Literal['yolox'] = 'yolox'
    output_names: ClassVar[tuple[str, ...]] = ('output',)
    classes: PositiveInt
    decoded: bool = False
    strides: tuple[PositiveInt, ...] = (8, 16, 32)
    nms_iou: PositiveFloat = 0.45

    def for_input(self, size: tuple[int, int]) -> Decode:
        """What decodes the output for inputs of a height and width."""
        places, steps = cells(size, self.strides)
        shape = (1, len(places), 5 + self.classes)
        why = f'cells of strides {self.strides} at {size}, and 5 + {self.classes} classes'

        def decode(
            outputs: Mapping[str, np.ndarray], placement: Placement, min_score: float
        ) -> Detections:
            output = check_shape(outputs, 'output', shape, why)[0]
            rows, labels, scores = object_and_class(output, min_score)
            boxes = output[rows, :4]
            if not self.decoded:
                boxes[:, :2] += places[rows]
                boxes[:, 2:] = np.exp(np.minimum(boxes[:, 2:], _MOST_GROWTH))
                boxes *= steps[rows]
            return self.suppressed(corners(boxes), scores, labels, placement)

        return decode
