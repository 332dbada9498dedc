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

"""Detectors read as their authors document it, in plain code that shares nothing with the decoders.

Each reading takes a file's own outputs for one frame and gives boxes in pixels of the network's
input with the scores of all classes, or of the one they have. It knows no thresholds, fixed shapes
or speed: it is what a careful user would write first, so what is wrong here is wrong for another
reason than there.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

Rows = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Boxes ``(N, 4)`` as x0, y0, x1, y1, scores ``(N,)`` and labels ``(N,)``."""

_BINS = 8  # of a distribution over the distance to one side of a box


def letterbox(
    frame: np.ndarray, size: tuple[int, int], centred: bool
) -> tuple[np.ndarray, np.ndarray]:
    """The frame in its own proportions on grey (114), at the top left or in the middle.

    Args:
        frame: ``(H, W, 3)`` uint8.
        size: height and width of the network's input.
        centred: in the middle, as Ultralytics does it; at the top left, as YOLOX does it.

    Returns:
        ``(h, w, 3)`` uint8, and ``(scale x, scale y, left, top)`` that lead into it.
    """
    height, width = frame.shape[:2]
    scale = min(size[0] / height, size[1] / width)
    fit = round if centred else int
    rows, columns = fit(height * scale), fit(width * scale)
    top = left = 0
    if centred:
        top, left = round((size[0] - rows) / 2 - 0.1), round((size[1] - columns) / 2 - 0.1)
    canvas = np.full((*size, 3), 114, np.uint8)
    canvas[top : top + rows, left : left + columns] = cv2.resize(frame, (columns, rows))
    return canvas, np.array([columns / width, rows / height, left, top])


def stretch(frame: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The frame squeezed into the input; returns as `letterbox`."""
    height, width = frame.shape[:2]
    return cv2.resize(frame, size[::-1]), np.array([size[1] / width, size[0] / height, 0, 0])


def yolox(outputs: Sequence[np.ndarray], size: tuple[int, int]) -> Rows:
    """YOLOX: ``(1, A, 5 + C)`` on a grid, centre and size in cells or decoded already.

    Source: ``yolox/utils/demo_utils.py`` (Megvii-BaseDetection/YOLOX), which decodes the raw grid.
    """
    found = outputs[0][0].astype(float)
    cells, stride = grid(size, (8, 16, 32))
    raw = (found[:, :2] + cells) * stride
    middle = (cells + 0.5) * stride
    if np.median(np.abs(raw - middle)) < np.median(np.abs(found[:, :2] - middle)):
        found[:, :2], found[:, 2:4] = raw, np.exp(found[:, 2:4]) * stride
    return _best(_corners(found[:, :4]), found[:, 4:5] * found[:, 5:])


def yolo(outputs: Sequence[np.ndarray], size: tuple[int, int]) -> Rows:
    """YOLOv8 and like it: ``(1, 4 + C, A)`` or that transposed, centre and size in pixels."""
    found = outputs[0][0].astype(float)
    found = found.T if found.shape[0] < found.shape[1] else found
    return _best(_corners(found[:, :4]), found[:, 4:])


def yolo_objectness(outputs: Sequence[np.ndarray], size: tuple[int, int]) -> Rows:
    """YOLOv5 and v7: ``(1, A, 5 + C)``, centre and size in pixels, then whether there is any."""
    found = outputs[0][0].astype(float)
    return _best(_corners(found[:, :4]), found[:, 4:5] * found[:, 5:])


def rows(outputs: Sequence[np.ndarray], size: tuple[int, int]) -> Rows:
    """One-to-one heads: ``(1, N, 6)``: x0, y0, x1, y1, score, label."""
    found = outputs[0].reshape(-1, outputs[0].shape[-1]).astype(float)
    found = found[:, 1:] if found.shape[1] == 7 else found
    return found[:, :4], found[:, 4], found[:, 5].astype(int)


def detr(outputs: Sequence[np.ndarray], size: tuple[int, int]) -> Rows:
    """DETR with a sigmoid: logits ``(1, Q, C)`` and boxes ``(1, Q, 4)`` as shares of the image.

    Every class of every query is an answer of its own, as in RT-DETR's own post-processor.
    """
    boxes, logits = sorted((o[0].astype(float) for o in outputs), key=lambda o: o.shape[1] != 4)
    scores = 1 / (1 + np.exp(-logits))
    query, label = np.indices(scores.shape).reshape(2, -1)
    return (_corners(boxes) * np.tile(size[::-1], 2))[query], scores.ravel(), label


def distribution(outputs: Sequence[np.ndarray], size: tuple[int, int]) -> Rows:
    """NanoDet: scores of the classes, and four distributions over the distance to a side.

    Source: ``nanodet/model/head`` (RangiLyu/nanodet): `GFLHead` with three strides looks from the
    middle of a cell, `NanoDetPlusHead` with four from its corner.
    """
    found = [o.reshape(-1, o.shape[-1]).astype(float) for o in outputs]
    if len(found) > 1:
        scores = np.concatenate([o for o in found if o.shape[1] != 4 * _BINS])
        sides = np.concatenate([o for o in found if o.shape[1] == 4 * _BINS])
    else:
        scores, sides = found[0][:, : -4 * _BINS], found[0][:, -4 * _BINS :]
    of_count = {len(grid(size, strides)[0]): strides for strides in ((8, 16, 32), (8, 16, 32, 64))}
    strides = of_count[len(scores)]
    cells, stride = grid(size, strides)
    at = (cells + (0.5 if len(strides) == 3 else 0.0)) * stride
    share = np.exp(sides.reshape(-1, 4, _BINS))
    share /= share.sum(2, keepdims=True)
    apart = (share @ np.arange(_BINS)) * stride
    return _best(np.concatenate([at - apart[:, :2], at + apart[:, 2:]], 1), scores)


def suppressed(found: Rows, iou: float) -> Rows:
    """Greedy suppression among boxes of one class, box by box."""
    boxes, scores, labels = found
    kept: list[int] = []
    for i in np.argsort(-scores, kind='stable').tolist():
        rivals = [j for j in kept if labels[j] == labels[i]]
        if all(overlap(boxes[i], boxes[j]) <= iou for j in rivals):
            kept.append(i)
    return boxes[kept], scores[kept], labels[kept]


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boxes."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return float(both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both))


def grid(size: tuple[int, int], strides: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Column and row of every cell ``(A, 2)``, and its stride ``(A, 1)``, row by row."""
    cells, steps = [], []
    for stride in strides:
        for row in range(-(-size[0] // stride)):
            for column in range(-(-size[1] // stride)):
                cells.append((column, row))
                steps.append((stride,))
    return np.array(cells, float), np.array(steps, float)


def _corners(boxes: np.ndarray) -> np.ndarray:
    centre, half = boxes[:, :2], boxes[:, 2:] / 2
    return np.concatenate([centre - half, centre + half], 1)


def _best(boxes: np.ndarray, scores: np.ndarray) -> Rows:
    """Each box with the likeliest of its classes."""
    return boxes, scores.max(1), scores.argmax(1)
