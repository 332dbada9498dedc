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

"""Boxes and the cells, anchors or regions that networks say them relative to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

#: What the four numbers of a box are: corners, centre and size, or corners with y first.
BoxFormat = Literal['xyxy', 'cxcywh', 'yxyx']

_MOST_GROWTH = math.log(1000 / 16)  # torchvision's bound: an anchor of 16 pixels to a box of 1000


def corners(centred: np.ndarray) -> np.ndarray:
    """Boxes ``(N, 4)`` given by centre x, centre y, width, height as x0, y0, x1, y1."""
    half = centred[:, 2:] / 2
    return np.concatenate([centred[:, :2] - half, centred[:, :2] + half], 1)


def to_corners(boxes: np.ndarray, given: BoxFormat) -> np.ndarray:
    """Boxes ``(N, 4)`` in any format as x0, y0, x1, y1."""
    if given == 'cxcywh':
        return corners(boxes)
    return boxes[:, [1, 0, 3, 2]] if given == 'yxyx' else boxes


def unit(size: tuple[int, int], relative: bool) -> np.ndarray:
    """Pixels of the input that the numbers of a box are counted in, ``(4,)`` float32.

    Args:
        size: height and width of the network's input, pixels.
        relative: whether boxes are shares of the input; else they are in pixels.
    """
    return np.array([size[1], size[0]] * 2 if relative else [1] * 4, np.float32)


def map_sizes(size: tuple[int, int], strides: Sequence[int]) -> list[tuple[int, int]]:
    """Height and width of feature maps: the input's over the stride, rounded up."""
    return [(-(-size[0] // stride), -(-size[1] // stride)) for stride in strides]


def cells(size: tuple[int, int], strides: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Every cell of every feature map, map by map and row by row.

    Args:
        size: height and width of the network's input, pixels.
        strides: pixels of the input between two cells, for each map.

    Returns:
        Column and row of each cell, ``(A, 2)`` float32, and its stride, ``(A, 1)`` float32.
    """
    places, steps = [], []
    for (rows, columns), stride in zip(map_sizes(size, strides), strides, strict=True):
        y, x = np.divmod(np.arange(rows * columns, dtype=np.float32), columns)
        places.append(np.stack([x, y], 1))
        steps.append(np.full((rows * columns, 1), stride, np.float32))
    return np.concatenate(places), np.concatenate(steps)


def grid_anchors(
    size: tuple[int, int],
    strides: Sequence[int],
    sizes: Sequence[Sequence[float]],
    ratios: Sequence[float],
) -> np.ndarray:
    """Anchors as torchvision's ``AnchorGenerator`` lays them: around the corners of cells.

    Args:
        size: height and width of the network's input, pixels.
        strides: pixels of the input between two cells, for each map.
        sizes: roots of the anchors' areas, for each map, pixels.
        ratios: their ratios of height to width; the sizes of a ratio follow each other.

    Returns:
        ``(A, 4)`` float32: centre x, centre y, width, height, pixels.
    """
    found = []
    root = np.sqrt(np.array(ratios, np.float32))[:, None]
    for (rows, columns), own in zip(map_sizes(size, strides), sizes, strict=True):
        sides = np.stack([own / root, own * root], -1).reshape(-1, 2).astype(np.float32)
        y, x = np.divmod(np.arange(rows * columns), columns)
        centres = np.stack([x * (size[1] // columns), y * (size[0] // rows)], 1)
        anchors = np.empty((len(centres), len(sides), 4), np.float32)
        anchors[..., :2] = centres[:, None]
        anchors[..., 2:] = 2 * np.round(sides / 2)
        found.append(anchors.reshape(-1, 4))
    return np.concatenate(found)


def apply_offsets(offsets: np.ndarray, anchors: np.ndarray, weights: Sequence[float]) -> np.ndarray:
    """Boxes from offsets as R-CNN's box coder makes them (torchvision's ``BoxCoder``).

    Args:
        offsets: ``(N, 4)``: of the centre, in anchor sizes, and logarithms of width and height.
        anchors: ``(N, 4)``: centre x, centre y, width, height.
        weights: what the four offsets were multiplied with.

    Returns:
        ``(N, 4)``, x0, y0, x1, y1 in the anchors' unit.
    """
    offsets = offsets / np.array(weights, np.float32)
    centre = offsets[:, :2] * anchors[:, 2:] + anchors[:, :2]
    half = np.exp(np.minimum(offsets[:, 2:], _MOST_GROWTH)) * (anchors[:, 2:] / 2)
    return np.concatenate([centre - half, centre + half], 1)
