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

"""Overlapping tiles of a frame, and their answers merged into one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from e4_ros.vision.boxes import nms
from e4_ros.vision.detections import Detections

_LEAST_SIDE = 320  # pixels; smaller tiles would only be blown up
_SHARE = 5 / 9  # of the frame's shorter side: 12 tiles for 768×576
_BORDER = 0.02  # of the tile's side: a box that ends there is cut
_NMS_IOU = 0.45


@dataclass(frozen=True)
class Tile:
    """A part of a frame: its upper left corner and its size, in pixels."""

    x: int
    y: int
    width: int
    height: int

    def crop(self, frame: np.ndarray) -> np.ndarray:
        """A view of this part of an ``(H, W, 3)`` frame."""
        return frame[self.y : self.y + self.height, self.x : self.x + self.width]


def tiles_of(frame_shape: tuple[int, ...]) -> list[Tile]:
    """The whole frame, then square tiles that overlap their neighbours by half or more.

    A frame no larger than a tile has only the whole.
    """
    height, width = frame_shape[:2]
    whole = Tile(0, 0, width, height)
    side = min(max(_LEAST_SIDE, round(min(height, width) * _SHARE)), height, width)
    corners = [(x, y) for y in _starts(height, side) for x in _starts(width, side)]
    if len(corners) == 1:
        return [whole]
    return [whole, *(Tile(x, y, side, side) for x, y in corners)]


def merge(
    answers: Sequence[Detections], tiles: Sequence[Tile], frame_shape: tuple[int, ...]
) -> Detections:
    """One answer for the frame from one for each tile.

    Boxes that a tile's inner border cuts are dropped, since a neighbour or the whole frame sees
    that object in full; what is found twice is kept once, with the higher score.

    Args:
        answers: boxes in pixels of their tile.
        tiles: tiles as returned by `tiles_of`.
        frame_shape: ``(H, W, ...)``.
    """
    moved = [
        in_frame(detections, tile, frame_shape)
        for detections, tile in zip(answers, tiles, strict=True)
    ]
    every = Detections.of(
        np.concatenate([a.boxes for a in moved]),
        np.concatenate([a.scores for a in moved]),
        np.concatenate([a.labels for a in moved]),
    )
    return suppress(every, _NMS_IOU)


def suppress(detections: Detections, iou: float) -> Detections:
    """Without the boxes that overlap a better one of their class by more than ``iou``."""
    kept = nms(detections.boxes, detections.scores, iou, detections.labels)
    return Detections.of(detections.boxes[kept], detections.scores[kept], detections.labels[kept])


def inner_part(tile: Tile, frame_shape: tuple[int, ...]) -> np.ndarray:
    """Where a box lies in full that the network sees in a tile.

    Args:
        tile: part of the frame.
        frame_shape: ``(H, W, ...)``.

    Returns:
        ``(4,)`` pixels of the frame; infinite where the tile ends with the frame, which cuts boxes
        for everybody.
    """
    height, width = frame_shape[:2]
    near_x, near_y = _BORDER * tile.width, _BORDER * tile.height
    right, bottom = tile.x + tile.width, tile.y + tile.height
    return np.array(
        [
            tile.x + near_x if tile.x > 0 else -np.inf,
            tile.y + near_y if tile.y > 0 else -np.inf,
            right - near_x if right < width else np.inf,
            bottom - near_y if bottom < height else np.inf,
        ]
    )


def in_frame(detections: Detections, tile: Tile, frame_shape: tuple[int, ...]) -> Detections:
    """What was found in a tile, in pixels of the frame, without what the tile's border cuts.

    Args:
        detections: boxes in pixels of the tile.
        tile: part of the frame.
        frame_shape: ``(H, W, ...)``.
    """
    boxes = detections.boxes + np.array([tile.x, tile.y, tile.x, tile.y], np.float32)
    moved = Detections(boxes, detections.scores, detections.labels)
    return uncut(moved, tile, frame_shape)


def uncut(detections: Detections, tile: Tile, frame_shape: tuple[int, ...]) -> Detections:
    """What was found in a tile without what the tile's border cuts.

    Args:
        detections: boxes in pixels of the frame.
        tile: part of the frame.
        frame_shape: ``(H, W, ...)``.
    """
    boxes, part = detections.boxes, inner_part(tile, frame_shape)
    whole = ((boxes[:, :2] >= part[:2]) & (boxes[:, 2:] <= part[2:])).all(1)
    return Detections.of(boxes[whole], detections.scores[whole], detections.labels[whole])


def _starts(length: int, side: int) -> list[int]:
    steps = -(-2 * (length - side) // side)
    return np.linspace(0, length - side, steps + 1).round().astype(int).tolist()
