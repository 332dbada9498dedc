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

"""Single-shot detectors as torchvision makes them: softmax scores with a background.

Source: ``SSD.postprocess_detections`` and ``DefaultBoxGenerator`` of torchvision, whose names the
settings have.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np
from pydantic import PositiveFloat, PositiveInt, model_validator

from e4_ros.vision.boxes import clip
from e4_ros.vision.detections import Detections
from e4_ros.vision.models.decoders.geometry import apply_offsets
from e4_ros.vision.models.decoders.scores import foreground
from e4_ros.vision.models.decoders.settings import Decode, NmsSettings, check_shape
from e4_ros.vision.placement import Placement

_WEIGHTS = (10.0, 10.0, 5.0, 5.0)


class SsdSoftmaxDecoder(NmsSettings):
    """Boxes from ``logits`` ``(1, A, 1 + C)`` and ``offsets`` ``(1, A, 4)`` around fixed anchors.

    Attributes:
        classes: number of the network's classes ``C``, without the background, which comes first.
        maps: height and width of each feature map.
        scales: size of each map's anchors as a share of the image, and one more.
        aspect_ratios: further ratios of each map's anchors.
        steps: pixels of the input between two cells of each map; empty where maps divide the input
            evenly.
        clip: whether anchors are no larger than the image.
        nms_iou: greatest overlap of two boxes of one class.
        most: greatest number of boxes in a frame.
    """

    kind: Literal['ssd_softmax'] = 'ssd_softmax'
    output_names: ClassVar[tuple[str, ...]] = ('logits', 'offsets')
    classes: PositiveInt
    maps: tuple[tuple[PositiveInt, PositiveInt], ...]
    scales: tuple[PositiveFloat, ...]
    aspect_ratios: tuple[tuple[PositiveFloat, ...], ...]
    steps: tuple[PositiveInt, ...] = ()
    clip: bool = True
    nms_iou: PositiveFloat = 0.45

    @model_validator(mode='after')
    def _fits_together(self) -> SsdSoftmaxDecoder:
        count = len(self.maps)
        lengths = len(self.scales) - 1, len(self.aspect_ratios), len(self.steps) or count
        if lengths != (count, count, count):
            raise ValueError(
                f'{count} feature maps need {count + 1} scales, {count} aspect_ratios, and {count} '
                'steps or none'
            )
        return self

    def for_input(self, size: tuple[int, int]) -> Decode:
        """What decodes the outputs for inputs of a height and width."""
        anchors = self._anchors(size)
        why = f'anchors of the maps {self.maps}, {self.classes} classes and a background'

        def decode(
            outputs: Mapping[str, np.ndarray], placement: Placement, min_score: float
        ) -> Detections:
            logits = check_shape(outputs, 'logits', (1, len(anchors), 1 + self.classes), why)[0]
            offsets = check_shape(outputs, 'offsets', (1, len(anchors), 4), why)[0]
            rows, labels, scores = foreground(logits, min_score)
            boxes = apply_offsets(offsets[rows], anchors[rows], _WEIGHTS)
            return self.suppressed(clip(boxes, size), scores, labels, placement)

        return decode

    def _anchors(self, size: tuple[int, int]) -> np.ndarray:
        """``(A, 4)`` float32: centre x, centre y, width, height, pixels of the input."""
        height, width = size
        found = []
        for level, (rows, columns) in enumerate(self.maps):
            own = self.scales[level]
            sides = [(own, own), (math.sqrt(own * self.scales[level + 1]),) * 2]
            for root in map(math.sqrt, self.aspect_ratios[level]):
                sides += [(own * root, own / root), (own / root, own * root)]
            shares = np.array(sides).clip(0, 1 if self.clip else None)
            step = (self.steps[level],) * 2 if self.steps else (width / columns, height / rows)
            y, x = np.divmod(np.arange(rows * columns), columns)
            anchors = np.empty((rows * columns, len(sides), 4), np.float32)
            anchors[..., :2] = ((np.stack([x, y], 1) + 0.5) * step)[:, None]
            anchors[..., 2:] = shares * (width, height)
            found.append(anchors.reshape(-1, 4))
        return np.concatenate(found)
