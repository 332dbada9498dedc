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

"""A detector's file read as its authors document it, by code that shares nothing with decoders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from e4_ros.benchmarks.models import plain
from e4_ros.benchmarks.models.original import SIZES, Original
from e4_ros.vision.boxes import clip
from e4_ros.vision.detections import Detections

_Three = tuple[float, float, float]
_ZERO: _Three = (0.0, 0.0, 0.0)
_RAW = _ZERO, (1.0, 1.0, 1.0)
_SHARE = _ZERO, (255.0, 255.0, 255.0)
_IMAGENET = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
_IMAGENET_BGR = _IMAGENET[0][::-1], _IMAGENET[1][::-1]

Geometry = Callable[[np.ndarray, tuple[int, int]], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Documented:
    """How the authors of a family say that it is to be used.

    Attributes:
        place: from the frame to the input's size.
        bgr: whether the channels are blue, green, red.
        scale: mean and standard deviation of each channel.
        read: from the file's outputs to boxes.
        nms_iou: greatest overlap of two boxes of a class; None where nothing is suppressed.
    """

    place: Geometry
    bgr: bool
    scale: tuple[_Three, _Three]
    read: Callable[[Sequence[np.ndarray], tuple[int, int]], plain.Rows]
    nms_iou: float | None


def _in_the_middle(frame: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    return plain.letterbox(frame, size, centred=True)


def _top_left(frame: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    return plain.letterbox(frame, size, centred=False)


_DETR = Documented(plain.stretch, False, _SHARE, plain.detr, None)
_DETR_IMAGENET = Documented(plain.stretch, False, _IMAGENET, plain.detr, None)
_V5 = Documented(_in_the_middle, False, _SHARE, plain.yolo_objectness, 0.45)

FAMILIES = {
    'yolox': Documented(_top_left, True, _RAW, plain.yolox, 0.45),
    'yolov5': _V5,
    'yolov7': _V5,
    'yolov8': Documented(_in_the_middle, False, _SHARE, plain.yolo, 0.45),
    'yolov10': Documented(_in_the_middle, False, _SHARE, plain.rows, None),
    'nanodet': Documented(plain.stretch, True, _IMAGENET_BGR, plain.distribution, 0.6),
    'rtdetr': _DETR,
    'dfine': _DETR,
    'deim': _DETR,
    'deimv2': _DETR,
    'deimv2_dinov3': _DETR_IMAGENET,
    'rfdetr': _DETR_IMAGENET,
}
"""Family → how its authors use it."""


class Reference:
    """What a file answers, by itself.

    Args:
        path: ONNX file, untouched.
        family: what it was recognised as; one of `FAMILIES`.
        size: height and width of its input.
        nms_iou: greatest overlap that the answers compared with it were suppressed by, for that is
            a choice of the user's; None for that of the authors.
    """

    def __init__(
        self, path: Path, family: str, size: tuple[int, int], nms_iou: float | None = None
    ) -> None:
        self._how, self._size = FAMILIES[family], size
        self._nms_iou = self._how.nms_iou and (nms_iou or self._how.nms_iou)
        self._file = Original(path)

    def __call__(self, frame: np.ndarray, min_score: float) -> Detections:
        """The boxes of an ``(H, W, 3)`` uint8 RGB frame, in its pixels.

        Raises:
            ValueError: the file takes or gives something else than its family's do.
        """
        image, placed = self._how.place(frame, self._size)
        image = image[:, :, ::-1] if self._how.bgr else image
        mean, std = self._how.scale
        pixels = ((image - np.array(mean)) / np.array(std)).transpose(2, 0, 1)[None]
        outputs = self._file.run(pixels, frame.shape)
        if SIZES in self._file.inputs:
            boxes, scores = outputs['boxes'][0].astype(float), outputs['scores'][0]
            labels = outputs['labels'][0].astype(int)
            placed = np.array([1.0, 1.0, 0.0, 0.0])  # it answers in the frame's pixels
        else:
            boxes, scores, labels = self._how.read(list(outputs.values()), self._size)
        likely = scores >= min_score
        boxes, scores, labels = boxes[likely], scores[likely], labels[likely]
        if self._nms_iou is not None:
            boxes, scores, labels = plain.suppressed((boxes, scores, labels), self._nms_iou)
        corner, scale = np.tile(placed[2:], 2), np.tile(placed[:2], 2)
        return Detections.of(clip((boxes - corner) / scale, frame.shape), scores, labels)
