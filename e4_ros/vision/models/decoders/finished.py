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

"""Networks that answer with finished boxes: one-to-one heads, and suppression inside the graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np
from pydantic import NonNegativeInt, field_validator

from e4_ros.vision.detections import Detections
from e4_ros.vision.models.decoders.geometry import BoxFormat, to_corners, unit
from e4_ros.vision.models.decoders.settings import BoxSettings, Decode, check_rows
from e4_ros.vision.placement import Placement

Column = Literal['box', 'score', 'label', 'batch']


class RowsDecoder(BoxSettings):
    """Boxes from ``output`` ``(1, N, K)`` or ``(N, K)``, one in each row.

    One-to-one heads (YOLOv10, YOLO26) and exports with suppression inside have ``K = 6``: box,
    score, label. YOLOv7's has 7 columns: batch, box, label, score; Paddle's has label, score, box.
    Rows that score too little, as padding does with 0, are left out, and so is the background.

    Attributes:
        columns: what the columns are, in order; a box takes four of them.
        boxes: what the numbers of a box are.
        relative: whether boxes are shares of the input; else they are in pixels.
        first_label: the label that means the first class: 1 where 0 is the background.
        most: greatest number of boxes in a frame.
    """

    kind: Literal['rows'] = 'rows'
    output_names: ClassVar[tuple[str, ...]] = ('output',)
    columns: tuple[Column, ...] = ('box', 'score', 'label')
    boxes: BoxFormat = 'xyxy'
    relative: bool = False
    first_label: NonNegativeInt = 0

    @field_validator('columns')
    @classmethod
    def _has_all(cls, columns: tuple[Column, ...]) -> tuple[Column, ...]:
        if any(columns.count(name) != 1 for name in ('box', 'score', 'label')):
            raise ValueError(f'there must be one box, one score and one label, got {columns}')
        return columns

    def for_input(self, size: tuple[int, int]) -> Decode:
        """What decodes the output for inputs of a height and width."""
        pixels = unit(size, self.relative)
        names = [name for name in self.columns for _ in range(4 if name == 'box' else 1)]
        box, score, label = (names.index(name) for name in ('box', 'score', 'label'))
        why = f'the columns are {", ".join(self.columns)}, a box has four'

        def decode(
            outputs: Mapping[str, np.ndarray], placement: Placement, min_score: float
        ) -> Detections:
            rows = check_rows(outputs, 'output', (None, len(names)), why)
            rows = rows[(rows[:, score] >= min_score) & (rows[:, label] >= self.first_label)]
            found = to_corners(rows[:, box : box + 4], self.boxes) * pixels
            labels = rows[:, label].astype(np.int64) - self.first_label
            return self.best(found, rows[:, score], labels, placement)

        return decode


class TripleDecoder(BoxSettings):
    """Boxes from ``labels``, ``boxes`` and ``scores``: ``(1, N)``, ``(1, N, 4)`` and ``(1, N)``.

    The batch may be missing. RT-DETR, D-FINE and DEIM answer so behind their postprocessor,
    torchvision's detectors and TensorFlow's as well.

    Attributes:
        boxes: what the numbers of a box are.
        relative: whether boxes are shares of the input; else they are in pixels.
        first_label: the label that means the first class: 1 where 0 is the background.
        most: greatest number of boxes in a frame.
    """

    kind: Literal['triple'] = 'triple'
    output_names: ClassVar[tuple[str, ...]] = ('labels', 'boxes', 'scores')
    boxes: BoxFormat = 'xyxy'
    relative: bool = False
    first_label: NonNegativeInt = 0

    def for_input(self, size: tuple[int, int]) -> Decode:
        """What decodes the outputs for inputs of a height and width."""
        pixels = unit(size, self.relative)

        def decode(
            outputs: Mapping[str, np.ndarray], placement: Placement, min_score: float
        ) -> Detections:
            scores = check_rows(outputs, 'scores', (None,), 'one score for each box')
            count, why = len(scores), 'as many as scores'
            boxes = check_rows(outputs, 'boxes', (count, 4), why)
            labels = check_rows(outputs, 'labels', (count,), why)
            good = (scores >= min_score) & (labels >= self.first_label)
            found = to_corners(boxes[good], self.boxes) * pixels
            labels = labels[good].astype(np.int64) - self.first_label
            return self.best(found, scores[good], labels, placement)

        return decode
