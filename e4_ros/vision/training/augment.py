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

"""Random views of a frame for training: mirrored, zoomed, shifted, darker or brighter."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from e4_ros.vision.detections import Detections
from e4_ros.vision.placement import Placement


@dataclass(frozen=True)
class View:
    """How a frame is seen: an affine map of its pixels, and a gain and offset of its grey levels.

    Attributes:
        matrix: ``(2, 3)`` from source pixels to view pixels, without shear or rotation.
        gain: factor on the grey levels.
        offset: added after the factor.
    """

    matrix: np.ndarray
    gain: float = 1.0
    offset: float = 0.0

    def image(self, frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """The view of a frame, ``(H, W, 3)`` uint8; what lies outside the frame is its border."""
        seen = cv2.warpAffine(frame, self.matrix, size[::-1], borderMode=cv2.BORDER_REPLICATE)
        return cv2.convertScaleAbs(seen, alpha=self.gain, beta=self.offset)

    def detections(self, detections: Detections, size: tuple[int, int]) -> Detections:
        """An answer as it is in the view; boxes whose centre is outside are left out."""
        scale, shift = self.matrix[[0, 1], [0, 1]], self.matrix[:, 2]
        corners = detections.boxes.reshape(-1, 2, 2) * scale + shift
        boxes = np.concatenate([corners.min(1), corners.max(1)], 1)
        centre = (boxes[:, :2] + boxes[:, 2:]) / 2
        inside = ((centre > 0) & (centre < size[::-1])).all(1)
        boxes = boxes.clip(0, np.array([*size[::-1], *size[::-1]]))
        return Detections.of(boxes[inside], detections.scores[inside], detections.labels[inside])


def plain_view(placement: Placement) -> View:
    """A frame where it lies in an input, as the network sees it."""
    return View(_placed(placement))


def random_view(placement: Placement, size: tuple[int, int], rng: np.random.Generator) -> View:
    """A frame where it lies in ``(H, W)``, then mirrored, zoomed by up to a quarter and shifted."""
    height, width = size
    matrix = np.vstack([_placed(placement), [0, 0, 1]])
    if rng.random() < 0.5:
        matrix = np.array([[-1, 0, width], [0, 1, 0], [0, 0, 1]]) @ matrix
    zoom = np.exp(rng.uniform(-0.22, 0.22))
    slack = np.array([width, height]) * (1 - zoom)
    shift = slack / 2 + rng.uniform(-0.1, 0.1, 2) * [width, height]
    matrix = np.array([[zoom, 0, shift[0]], [0, zoom, shift[1]], [0, 0, 1]]) @ matrix
    return View(matrix[:2], rng.uniform(0.75, 1.25), rng.uniform(-20, 20))


def _placed(placement: Placement) -> np.ndarray:
    (x, y), (left, top) = placement.scale, placement.offset
    # Pixel centres stay centres, as in cv2.resize.
    return np.array([[x, 0, left + x / 2 - 0.5], [0, y, top + y / 2 - 0.5]])
