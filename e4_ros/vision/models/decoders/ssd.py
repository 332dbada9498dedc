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

"""Single-shot detectors as TensorFlow makes them: sigmoid scores, anchors for each feature map.

Source: Liu et al., "SSD" (arXiv 1512.02325), with the numbers of TensorFlow's
``multiple_grid_anchor_generator`` and ``faster_rcnn_box_coder`` as found in the frozen graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import ClassVar, Literal

import numpy as np
from pydantic import PositiveFloat, PositiveInt

from e4_ros.vision.detections import Detections
from e4_ros.vision.models.decoders.geometry import map_sizes
from e4_ros.vision.models.decoders.scores import logit, passing, sigmoid
from e4_ros.vision.models.decoders.settings import Decode, NmsSettings
from e4_ros.vision.placement import Placement


class SsdDecoder(NmsSettings):
    """Boxes from ``encodings`` ``(1, A, 4)`` and ``logits`` ``(1, A, C)`` around fixed anchors.

    Encodings are offsets from the anchors: y, x, log height, log width.

    Attributes:
        learned_side: side of the square images that the anchors were made for, pixels.
        strides: pixels of the input between two cells, for each feature map.
        first_scales: sizes of the first map's anchors, as shares of the image.
        first_ratios: their ratios of width to height.
        scales: size of the other maps' anchors, one for each map and one more.
        ratios: their ratios of width to height.
        centre_scale: unit of a box's centre, in anchor sizes over this number.
        size_scale: unit of a box's logarithmic size, likewise.
        nms_iou: greatest overlap of two boxes of one class.
        most: greatest number of boxes in a frame.
    """

    kind: Literal['ssd'] = 'ssd'
    output_names: ClassVar[tuple[str, ...]] = ('encodings', 'logits')
    learned_side: PositiveInt = 300
    strides: tuple[PositiveInt, ...] = (16, 32, 64, 128, 256, 512)
    first_scales: tuple[PositiveFloat, ...] = (0.1, 0.2, 0.2)
    first_ratios: tuple[PositiveFloat, ...] = (1.0, 2.0, 0.5)
    scales: tuple[PositiveFloat, ...] = (0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0)
    ratios: tuple[PositiveFloat, ...] = (1.0, 2.0, 0.5, 3.0, 0.3333)
    centre_scale: PositiveFloat = 10.0
    size_scale: PositiveFloat = 5.0
    nms_iou: PositiveFloat = 0.6
    most: PositiveInt = 100

    def map_sizes(self, input_size: tuple[int, int]) -> list[tuple[int, int]]:
        """Height and width of each feature map: the input's over the stride, rounded up."""
        return map_sizes(input_size, self.strides)

    def for_input(self, size: tuple[int, int]) -> Decode:
        """What decodes the outputs for inputs of a height and width.

        Scores are compared as logits, so that only what passes is decoded at all.
        """
        around = anchors(size, self)
        pixels = np.array([size[1], size[0]] * 2, np.float32)

        def decode(
            outputs: Mapping[str, np.ndarray], placement: Placement, min_score: float
        ) -> Detections:
            encodings, logits = outputs['encodings'][0], outputs['logits'][0]
            rows, labels = passing(logits, logit(min_score))
            if not len(rows):
                return Detections.empty()
            boxes = self._boxes(encodings[rows], around[rows]) * pixels
            return self.suppressed(boxes, sigmoid(logits[rows, labels]), labels, placement)

        return decode

    def _boxes(self, encodings: np.ndarray, anchors: np.ndarray) -> np.ndarray:
        """``(N, 4)`` x0, y0, x1, y1 as shares of the image."""
        centre = encodings[:, :2] * (anchors[:, 2:] / self.centre_scale) + anchors[:, :2]
        half = np.exp(encodings[:, 2:] / self.size_scale) * (anchors[:, 2:] / 2)
        return np.concatenate([centre - half, centre + half], 1)[:, [1, 0, 3, 2]]


@lru_cache(maxsize=8)
def anchors(input_size: tuple[int, int], settings: SsdDecoder) -> np.ndarray:
    """Anchors ``(A, 4)`` float32: centre y, centre x, height, width, as shares of the image.

    At every input size they have the pixels that the network learned them with, since an
    object's size in pixels is what its convolutions see.
    """
    found = []
    learned = settings.learned_side / np.array(input_size)
    for index, (rows, columns) in enumerate(settings.map_sizes(input_size)):
        if index == 0:
            scales, ratios = list(settings.first_scales), list(settings.first_ratios)
        else:
            own = settings.scales[index]
            between = float(np.sqrt(own * settings.scales[index + 1]))
            scales = [own] * len(settings.ratios) + [between]
            ratios = [*settings.ratios, 1.0]
        root = np.sqrt(ratios)
        y, x = np.meshgrid(
            (np.arange(rows) + 0.5) / rows, (np.arange(columns) + 0.5) / columns, indexing='ij'
        )
        centres = np.stack([y, x], -1).reshape(-1, 1, 2).repeat(len(scales), 1)
        sizes = np.broadcast_to(
            np.stack([scales / root, scales * root], -1) * learned, centres.shape
        )
        found.append(np.concatenate([centres, sizes], -1).reshape(-1, 4))
    return np.concatenate(found).astype(np.float32)
