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

"""What the temporal exit's network is fed: thumbnails, and the last answer drawn as maps."""

from __future__ import annotations

import cv2
import numpy as np

from e4_ros.vision.detections import Detections

THUMBNAIL = (144, 192)  # height, width
STRIDE = 4
GRID = (THUMBNAIL[0] // STRIDE, THUMBNAIL[1] // STRIDE)
PRIOR = 3  # maps that describe the last answer: centres, widths, heights

_DOUBLE = (THUMBNAIL[1] * 2, THUMBNAIL[0] * 2)
_LAST_CELL = np.array([GRID[1] - 1, GRID[0] - 1])
_COLUMNS, _ROWS = (np.arange(side, dtype=np.float32) for side in GRID[::-1])
_SURE = 0.5  # what scores less is not drawn


def double_thumbnail(frame: np.ndarray) -> np.ndarray:
    """``(H, W, 3)`` to ``(288, 384, 3)`` uint8; halved once more it is the thumbnail.

    Two cheap halvings alias less than one strong reduction by linear interpolation and cost a third
    of averaging over areas.
    """
    return cv2.resize(frame, _DOUBLE)


def thumbnail(frame: np.ndarray) -> np.ndarray:
    """``(H, W, 3)`` to ``(144, 192, 3)`` uint8."""
    return cv2.resize(double_thumbnail(frame), THUMBNAIL[::-1])


def as_input(small: np.ndarray) -> np.ndarray:
    """``(144, 192, 3)`` uint8 to ``(1, 3, 144, 192)`` float32 in [-1, 1]."""
    return cv2.dnn.blobFromImage(small, 1 / 127.5, mean=(127.5, 127.5, 127.5))


def prior_maps(detections: Detections, frame_shape: tuple[int, ...], classes: int) -> np.ndarray:
    """Draw an answer: for each class its centres as Gaussian blobs, and widths and heights there.

    Args:
        detections: boxes in pixels of the frame; only what scores above a half is drawn.
        frame_shape: ``(H, W, ...)``.
        classes: number of classes.

    Returns:
        ``(3·classes, 36, 48)`` float32.
    """
    maps = np.zeros((classes, PRIOR, *GRID), np.float32)
    sure = detections.above(_SURE)
    if not len(sure):
        return maps.reshape(-1, *GRID)
    scale = np.array(GRID[::-1], np.float32) / np.array(frame_shape[1::-1], np.float32)
    low, high = sure.boxes[:, :2] * scale, sure.boxes[:, 2:] * scale
    size = high - low
    column, row = np.clip(((low + high) / 2).astype(int), 0, _LAST_CELL).T
    sharpness = 1 / np.maximum(size / 6, 0.3)
    x = np.exp(-0.5 * ((_COLUMNS - column[:, None]) * sharpness[:, :1]) ** 2)
    y = np.exp(-0.5 * ((_ROWS - row[:, None]) * sharpness[:, 1:]) ** 2)
    blobs = y[:, :, None] * x[:, None, :]
    for label in range(classes):
        of_class = blobs if classes == 1 else blobs[sure.labels == label]
        of_class.max(0, out=maps[label, 0], initial=0.0)
    # Sizes in units that stay near one for a person of common size.
    maps[sure.labels, 1, row, column] = size[:, 0] / 4
    maps[sure.labels, 2, row, column] = size[:, 1] / 8
    return maps.reshape(-1, *GRID)
