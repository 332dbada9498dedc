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

"""Boxes on a grid: each cell says whether an object's centre lies in it, and how far its sides are.

Source: Zhou et al., "Objects as Points" (arXiv 1904.07850) for the centre map; Tian et
al., "FCOS" (arXiv 1904.01355) for the distances to the four sides.
"""

from __future__ import annotations

import numpy as np

from e4_ros.vision.boxes import nms
from e4_ros.vision.detections import Detections
from e4_ros.vision.placement import Placement

_NMS_IOU = 0.6
_MOST = 100
_OUTWARDS = np.array([[-1], [-1], [1], [1]], np.float32)


def decode(
    peaks: np.ndarray, sides: np.ndarray, frame_shape: tuple[int, ...], min_score: float
) -> Detections:
    """Boxes of one frame.

    Args:
        peaks: ``(C, h, w)`` centre probabilities, 0 where a neighbour is greater.
        sides: ``(4, h, w)`` distances from the cell's centre to the left, top, right and bottom
            side, in cells.
        frame_shape: ``(H, W, ...)`` of the source frame, which the grid covers.
        min_score: score below which detections are left out, 0 to 1.
    """
    (height, width), (grid_height, grid_width) = frame_shape[:2], peaks.shape[1:]
    flat = peaks.reshape(-1)
    found = np.flatnonzero(flat >= min_score)
    found = found[np.argsort(-flat[found], kind='stable')[:_MOST]]
    labels, cells = np.divmod(found, grid_height * grid_width)
    rows, columns = np.divmod(cells, grid_width)
    corners = sides.reshape(4, -1)[:, cells]
    corners *= _OUTWARDS
    corners += (columns + 0.5, rows + 0.5, columns + 0.5, rows + 0.5)
    limits = np.array([[grid_width], [grid_height]] * 2)
    boxes = (np.clip(corners, 0, limits) * ([[width], [height]] * 2 / limits)).T
    scores = flat[found]
    kept = nms(boxes, scores, _NMS_IOU, labels)
    return Detections.of(boxes[kept], scores[kept], labels[kept])


def decode_from_input(
    peaks: np.ndarray,
    sides: np.ndarray,
    input_size: tuple[int, int],
    placement: Placement,
    min_score: float,
) -> Detections:
    """The same where the grid covers a network's input, in which the frame lies somewhere.

    Args:
        peaks: see `decode`.
        sides: see `decode`.
        input_size: ``(H, W)`` of the network's input.
        placement: where the frame lies in it.
        min_score: see `decode`.
    """
    found = decode(peaks, sides, input_size, min_score)
    return placement.detections(found.boxes, found.scores, found.labels)
