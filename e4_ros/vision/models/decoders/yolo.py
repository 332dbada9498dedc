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

"""YOLO networks whose export decodes the grid: one row for each cell, boxes in pixels.

YOLOv8, v9, v11 and v12 have class scores alone; YOLOv5, v6 and v7 have objectness before them.
Source: the exporters' documentation of their output, and for v7 its ``non_max_suppression``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np
from pydantic import PositiveFloat, PositiveInt

from e4_ros.vision.detections import Detections
from e4_ros.vision.models.decoders.geometry import BoxFormat, to_corners, unit
from e4_ros.vision.models.decoders.scores import object_and_class, passing
from e4_ros.vision.models.decoders.settings import Decode, NmsSettings, check_shape
from e4_ros.vision.placement import Placement


class YoloDecoder(NmsSettings):
    """Boxes from ``output`` ``(1, 4 + C, A)``, or ``(1, A, 4 + C)`` where it is transposed.

    Attributes:
        classes: number of the network's classes ``C``; their scores are 0 to 1.
        transposed: whether each row, not each column, is a box.
        boxes: what the first four numbers are.
        relative: whether boxes are shares of the input; else they are in pixels.
        nms_iou: greatest overlap of two boxes of one class.
        most: greatest number of boxes in a frame.
    """

    kind: Literal['yolo'] = 'yolo'
    output_names: ClassVar[tuple[str, ...]] = ('output',)
    classes: PositiveInt
    transposed: bool = False
    boxes: BoxFormat = 'cxcywh'
    relative: bool = False
    nms_iou: PositiveFloat = 0.7

    def for_input(self, size: tuple[int, int]) -> Decode:
        """What decodes the output for inputs of a height and width."""
        channels = 4 + self.classes
        shape = (1, None, channels) if self.transposed else (1, channels, None)
        why = f'4 numbers of a box and {self.classes} classes'
        pixels = unit(size, self.relative)

        def decode(
            outputs: Mapping[str, np.ndarray], placement: Placement, min_score: float
        ) -> Detections:
            output = check_shape(outputs, 'output', shape, why)[0]
            if self.transposed:
                found = output[np.unique(passing(output[:, 4:], min_score)[0])]
            else:
                found = output[:, output[4:].max(0) >= min_score].T
            labels = found[:, 4:].argmax(1)
            scores = found[np.arange(len(found)), 4 + labels]
            boxes = to_corners(found[:, :4], self.boxes) * pixels
            return self.suppressed(boxes, scores, labels, placement)

        return decode


class YoloObjectnessDecoder(NmsSettings):
    """Boxes from ``output`` ``(1, A, 5 + C)``: box, objectness, classes.

    Attributes:
        classes: number of the network's classes ``C``; their scores and objectness are 0 to 1.
        boxes: what the first four numbers are.
        relative: whether boxes are shares of the input; else they are in pixels.
        nms_iou: greatest overlap of two boxes of one class.
        most: greatest number of boxes in a frame.
    """

    kind: Literal['yolo_objectness'] = 'yolo_objectness'
    output_names: ClassVar[tuple[str, ...]] = ('output',)
    classes: PositiveInt
    boxes: BoxFormat = 'cxcywh'
    relative: bool = False
    nms_iou: PositiveFloat = 0.45

    def for_input(self, size: tuple[int, int]) -> Decode:
        """What decodes the output for inputs of a height and width."""
        why = f'4 numbers of a box, objectness and {self.classes} classes'
        pixels = unit(size, self.relative)

        def decode(
            outputs: Mapping[str, np.ndarray], placement: Placement, min_score: float
        ) -> Detections:
            output = check_shape(outputs, 'output', (1, None, 5 + self.classes), why)[0]
            rows, labels, scores = object_and_class(output, min_score)
            boxes = to_corners(output[rows, :4], self.boxes) * pixels
            return self.suppressed(boxes, scores, labels, placement)

        return decode
