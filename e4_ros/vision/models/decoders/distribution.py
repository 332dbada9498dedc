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

"""Boxes whose sides are distributions over distances: NanoDet and PicoDet.

Source: Li et al., "Generalized Focal Loss" (arXiv 2006.04388): a side's distance from its cell is
the mean of a softmax over 0, 1, ... strides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from pydantic import Field, PositiveFloat, PositiveInt

from e4_ros.vision.boxes import clip
from e4_ros.vision.detections import Detections
from e4_ros.vision.models.decoders.geometry import cells, map_sizes
from e4_ros.vision.models.decoders.scores import logit, passing, sigmoid
from e4_ros.vision.models.decoders.settings import Decode, NmsSettings, check_shape
from e4_ros.vision.placement import Placement


class DistributionDecoder(NmsSettings):
    """Boxes from ``output`` ``(1, A, C + 4 (R + 1))``, or from two outputs for each feature map.

    These are ``scores_S`` ``(1, A_S, C)`` and ``sides_S`` ``(1, A_S, 4 (R + 1))`` for each stride
    ``S``. Sides are left, top, right, bottom; the logits of a side follow each other.

    Attributes:
        classes: number of the network's classes ``C``.
        joint: whether all is one output.
        logits: whether class scores are logits; else they are 0 to 1.
        bins: greatest distance ``R`` of a side from its cell, strides.
        strides: pixels of the input between two cells, for each feature map.
        centre: where in its cell distances begin: 0.5 in the middle, 0 in the upper left corner, as
            in NanoDet-Plus.
        nms_iou: greatest overlap of two boxes of one class.
        most: greatest number of boxes in a frame.
    """

    kind: Literal['distribution'] = 'distribution'
    classes: PositiveInt
    joint: bool = True
    logits: bool = False
    bins: PositiveInt = 7
    strides: tuple[PositiveInt, ...] = (8, 16, 32)
    centre: float = Field(default=0.5, ge=0, le=1)
    nms_iou: PositiveFloat = 0.6

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of the network's outputs: all scores before all sides."""
        if self.joint:
            return ('output',)
        return tuple(f'{name}_{stride}' for name in ('scores', 'sides') for stride in self.strides)

    def for_input(self, size: tuple[int, int]) -> Decode:
        """What decodes the outputs for inputs of a height and width."""
        places, steps = cells(size, self.strides)
        lengths = [rows * columns for rows, columns in map_sizes(size, self.strides)]
        distances = np.arange(self.bins + 1, dtype=np.float32)
        numbers = 4 * (self.bins + 1)
        why = f'cells of strides {self.strides} at {size}, {self.classes} classes, sides of '
        why += f'{self.bins + 1} numbers'

        def parts(outputs: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
            if self.joint:
                shape = (1, len(places), self.classes + numbers)
                output = check_shape(outputs, 'output', shape, why)[0]
                return output[:, : self.classes], output[:, self.classes :]
            wide = [self.classes] * len(lengths) + [numbers] * len(lengths)
            found = [
                check_shape(outputs, name, (1, length, width), why)[0]
                for name, length, width in zip(self.output_names, lengths * 2, wide, strict=True)
            ]
            return np.concatenate(found[: len(lengths)]), np.concatenate(found[len(lengths) :])

        def decode(
            outputs: Mapping[str, np.ndarray], placement: Placement, min_score: float
        ) -> Detections:
            scores, sides = parts(outputs)
            rows, labels = passing(scores, logit(min_score) if self.logits else min_score)
            found = scores[rows, labels]
            shares = sides[rows].reshape(-1, 4, self.bins + 1)
            shares = np.exp(shares - shares.max(-1, keepdims=True))
            away = (shares @ distances) / shares.sum(-1)
            start = places[rows] + np.float32(self.centre)
            boxes = np.concatenate([start - away[:, :2], start + away[:, 2:]], 1) * steps[rows]
            found = sigmoid(found) if self.logits else found
            return self.suppressed(clip(boxes, size), found, labels, placement)

        return decode
