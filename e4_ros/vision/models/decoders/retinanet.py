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

"""Networks that score every anchor, or cell, of a feature pyramid: RetinaNet and FCOS.

Source: ``postprocess_detections`` of both in torchvision, whose names and defaults the settings
have; Lin et al., "Focal Loss" (arXiv 1708.02002), Tian et al., "FCOS" (arXiv 1904.01355).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np
from pydantic import PositiveFloat, PositiveInt, model_validator

from e4_ros.vision.boxes import clip
from e4_ros.vision.detections import Detections
from e4_ros.vision.models.decoders.geometry import apply_offsets, grid_anchors
from e4_ros.vision.models.decoders.scores import logit, passing, sigmoid
from e4_ros.vision.models.decoders.settings import Decode, NmsSettings, check_shape
from e4_ros.vision.placement import Placement

_STRIDES = (8, 16, 32, 64, 128)
_SIZES = tuple((s, int(s * 2 ** (1 / 3)), int(s * 2 ** (2 / 3))) for s in (32, 64, 128, 256, 512))


class RetinanetDecoder(NmsSettings):
    """Boxes from ``logits`` ``(1, A, C)`` and ``offsets`` ``(1, A, 4)`` around fixed anchors.

    Attributes:
        classes: number of the network's classes ``C``; torchvision's count the background, which is
            never answered.
        strides: pixels of the input between two cells, for each feature map.
        sizes: sizes of each map's anchors, pixels.
        aspect_ratios: their ratios of height to width.
        nms_iou: greatest overlap of two boxes of one class.
        most: greatest number of boxes in a frame.
    """

    kind: Literal['retinanet'] = 'retinanet'
    output_names: ClassVar[tuple[str, ...]] = ('logits', 'offsets')
    classes: PositiveInt
    strides: tuple[PositiveInt, ...] = _STRIDES
    sizes: tuple[tuple[PositiveFloat, ...], ...] = _SIZES
    aspect_ratios: tuple[PositiveFloat, ...] = (0.5, 1.0, 2.0)

    @model_validator(mode='after')
    def _fits_together(self) -> RetinanetDecoder:
        if len(self.strides) != len(self.sizes):
            raise ValueError(f'{len(self.strides)} strides need as many sizes of anchors')
        return self

    def for_input(self, size: tuple[int, int]) -> Decode:
        """What decodes the outputs for inputs of a height and width."""
        anchors = grid_anchors(size, self.strides, self.sizes, self.aspect_ratios)
        why = f'anchors of strides {self.strides} at {size}, and {self.classes} classes'

        def decode(
            outputs: Mapping[str, np.ndarray], placement: Placement, min_score: float
        ) -> Detections:
            logits = check_shape(outputs, 'logits', (1, len(anchors), self.classes), why)[0]
            offsets = check_shape(outputs, 'offsets', (1, len(anchors), 4), why)[0]
            rows, labels = passing(logits, logit(min_score))
            boxes = clip(apply_offsets(offsets[rows], anchors[rows], (1, 1, 1, 1)), size)
            return self.suppressed(boxes, sigmoid(logits[rows, labels]), labels, placement)

        return decode


class FcosDecoder(NmsSettings):
    """Boxes from ``logits``, ``sides`` and ``centreness``: ``(1, A, ...)`` of C, 4 and 1 numbers.

    Sides are distances from the cell to the left, top, right and bottom, in anchor sizes; the score
    is the geometric mean of class and centreness.

    Attributes:
        classes: number of the network's classes ``C``; torchvision's count the background, which is
            never answered.
        strides: pixels of the input between two cells, for each feature map.
        sizes: size of each map's anchors, pixels.
        nms_iou: greatest overlap of two boxes of one class.
        most: greatest number of boxes in a frame.
    """

    kind: Literal['fcos'] = 'fcos'
    output_names: ClassVar[tuple[str, ...]] = ('logits', 'sides', 'centreness')
    classes: PositiveInt
    strides: tuple[PositiveInt, ...] = _STRIDES
    sizes: tuple[PositiveFloat, ...] = tuple(map(float, _STRIDES))
    nms_iou: PositiveFloat = 0.6

    @model_validator(mode='after')
    def _fits_together(self) -> FcosDecoder:
        if len(self.strides) != len(self.sizes):
            raise ValueError(f'{len(self.strides)} strides need as many sizes of anchors')
        return self

    def for_input(self, size: tuple[int, int]) -> Decode:
        """What decodes the outputs for inputs of a height and width."""
        anchors = grid_anchors(size, self.strides, [(own,) for own in self.sizes], (1.0,))
        count = len(anchors)
        why = f'cells of strides {self.strides} at {size}, and {self.classes} classes'

        def decode(
            outputs: Mapping[str, np.ndarray], placement: Placement, min_score: float
        ) -> Detections:
            logits = check_shape(outputs, 'logits', (1, count, self.classes), why)[0]
            sides = check_shape(outputs, 'sides', (1, count, 4), why)[0]
            centred = check_shape(outputs, 'centreness', (1, count, 1), why)[0, :, 0]
            least = logit(min_score**2)  # neither may be lower, since the other is at most 1
            some = np.flatnonzero(centred >= least)
            places, labels = passing(logits[some], least)
            rows = some[places]
            scores = np.sqrt(sigmoid(logits[rows, labels]) * sigmoid(centred[rows]))
            good = scores >= min_score
            rows, labels, scores = rows[good], labels[good], scores[good]
            around = anchors[rows]
            away = sides[rows] * around[:, [2, 3, 2, 3]]
            boxes = np.concatenate([around[:, :2] - away[:, :2], around[:, :2] + away[:, 2:]], 1)
            return self.suppressed(clip(boxes, size), scores, labels, placement)

        return decode
