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

"""Transformers that answer with a set: class logits and one box for each query.

Source: Carion et al., "End-to-End Object Detection with Transformers" (arXiv 2005.12872), softmax
with a class for "no object"; RT-DETR (arXiv 2304.08069), D-FINE, DEIM and RF-DETR take sigmoids.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np
from pydantic import PositiveInt

from e4_ros.vision.detections import Detections
from e4_ros.vision.models.decoders.geometry import corners
from e4_ros.vision.models.decoders.scores import logit, passing, sigmoid
from e4_ros.vision.models.decoders.settings import BoxSettings, Decode, check_shape
from e4_ros.vision.placement import Placement


class DetrDecoder(BoxSettings):
    """Boxes from ``logits`` ``(1, Q, C)`` and ``boxes`` ``(1, Q, 4)``, as shares of the input.

    Boxes are centre x, centre y, width, height. A query has a detection for each class that
    scores high enough; none is suppressed, since the network was taught not to say things twice.

    Attributes:
        classes: number of the network's classes, without the one for "no object".
        scores: how logits become scores: by ``sigmoid``, or by ``softmax`` with one class more, the
            last one, for "no object".
        most: greatest number of boxes in a frame.
    """

    kind: Literal['detr'] = 'detr'
    output_names: ClassVar[tuple[str, ...]] = ('logits', 'boxes')
    classes: PositiveInt
    scores: Literal['sigmoid', 'softmax'] = 'sigmoid'

    def for_input(self, size: tuple[int, int]) -> Decode:
        """What decodes the outputs for inputs of a height and width."""
        pixels = np.array([size[1], size[0]] * 2, np.float32)
        no_object = self.scores == 'softmax'
        channels = self.classes + no_object
        why = f'{self.classes} classes' + ' and one for no object' * no_object

        def decode(
            outputs: Mapping[str, np.ndarray], placement: Placement, min_score: float
        ) -> Detections:
            logits = check_shape(outputs, 'logits', (1, None, channels), why)[0]
            shape = (1, len(logits), 4)
            boxes = check_shape(outputs, 'boxes', shape, 'one box for each row of logits')[0]
            if no_object:
                logits = np.exp(logits - logits.max(1, keepdims=True))
                logits /= logits.sum(1, keepdims=True)
                rows, labels = passing(logits[:, :-1], min_score)
                scores = logits[rows, labels]
            else:
                rows, labels = passing(logits, logit(min_score))
                scores = sigmoid(logits[rows, labels])
            return self.best(corners(boxes[rows]) * pixels, scores, labels, placement)

        return decode
