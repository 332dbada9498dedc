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

"""The likeliest class of a whole picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np

from e4_ros.vision.detections import Detections
from e4_ros.vision.models.decoders.settings import Decode, DecoderSettings
from e4_ros.vision.placement import Placement


class ClassDecoder(DecoderSettings):
    """The likeliest class from ``logits`` ``(1, C)``; empty if its probability is too low."""

    kind: Literal['softmax'] = 'softmax'
    output_names: ClassVar[tuple[str, ...]] = ('logits',)

    def for_input(self, size: tuple[int, int]) -> Decode:
        """What decodes the outputs for inputs of a height and width, all alike."""
        return _likeliest


def _likeliest(
    outputs: Mapping[str, np.ndarray], placement: Placement, min_score: float
) -> Detections:
    logits = outputs['logits'][0]
    label = int(logits.argmax())
    score = float(1 / np.exp(logits - logits[label]).sum())
    if score < min_score:
        return Detections.empty()
    return Detections.of_class(label, score, placement.frame_shape)
