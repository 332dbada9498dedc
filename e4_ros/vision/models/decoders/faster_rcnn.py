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

"""Two-stage detectors as torchvision makes them: one box for each proposal and class.

Source: ``RoIHeads.postprocess_detections`` of torchvision; Ren et al., "Faster R-CNN" (arXiv
1506.01497).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np
from pydantic import PositiveInt

from e4_ros.vision.boxes import clip
from e4_ros.vision.detections import Detections
from e4_ros.vision.models.decoders.geometry import apply_offsets
from e4_ros.vision.models.decoders.scores import foreground
from e4_ros.vision.models.decoders.settings import Decode, NmsSettings, check_rows
from e4_ros.vision.placement import Placement

_WEIGHTS = (10.0, 10.0, 5.0, 5.0)
_LEAST_SIDE = 0.01  # pixels; what is smaller is padding, or nothing


class FasterRcnnDecoder(NmsSettings):
    """Boxes from ``logits``, ``offsets`` and ``proposals`` of ``N`` regions.

    They are ``(N, 1 + C)``, ``(N, 4 (1 + C))`` and ``(N, 4)``, with or without a batch of one; the
    proposals are x0, y0, x1, y1 in pixels of the input. A proposal without area is padding.

    Attributes:
        classes: number of the network's classes ``C``, without the background, which comes first.
        nms_iou: greatest overlap of two boxes of one class.
        most: greatest number of boxes in a frame.
    """

    kind: Literal['faster_rcnn'] = 'faster_rcnn'
    output_names: ClassVar[tuple[str, ...]] = ('logits', 'offsets', 'proposals')
    classes: PositiveInt
    most: PositiveInt = 100

    def for_input(self, size: tuple[int, int]) -> Decode:
        """What decodes the outputs for inputs of a height and width."""
        channels = 1 + self.classes
        why = f'{self.classes} classes and a background'

        def decode(
            outputs: Mapping[str, np.ndarray], placement: Placement, min_score: float
        ) -> Detections:
            logits = check_rows(outputs, 'logits', (None, channels), why)
            count, wanted = len(logits), f'{why}, for each row of logits'
            offsets = check_rows(outputs, 'offsets', (count, 4 * channels), wanted)
            proposals = check_rows(outputs, 'proposals', (count, 4), 'as many as logits')
            rows, labels, scores = foreground(logits, min_score)
            offsets = offsets.reshape(count, channels, 4)[rows, labels + 1]
            boxes = clip(apply_offsets(offsets, _centred(proposals[rows]), _WEIGHTS), size)
            good = (boxes[:, 2:] - boxes[:, :2] >= _LEAST_SIDE).all(1)
            return self.suppressed(boxes[good], scores[good], labels[good], placement)

        return decode


def _centred(boxes: np.ndarray) -> np.ndarray:
    sides = boxes[:, 2:] - boxes[:, :2]
    return np.concatenate([boxes[:, :2] + sides / 2, sides], 1)
