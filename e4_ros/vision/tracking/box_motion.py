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

"""How boxes moved and grew, from the flow of a few points inside each of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from e4_ros.vision.tracking.flow import Flow

_ACROSS, _DOWN = (
    0.6,
    0.8,
)  # share of a box that its points are spread over: less of its surroundings
_MOST_POINTS = 240
_GRIDS = ((3, 3), (2, 3), (2, 2))  # columns, rows
_LEAST_SHARE = 0.34  # of a box's points must be good for it to be moved by them
_GROWTH = 0.1  # most that a box grows or shrinks from one frame to the next
_CAUTION = 0.5  # of a measured growth that is believed: its noise would add up


def _places(columns: int, rows: int) -> np.ndarray:
    """A grid in the unit square, ``(columns·rows, 2)``."""
    x, y = (
        np.linspace(0.5 - s / 2, 0.5 + s / 2, n) for n, s in ((columns, _ACROSS), (rows, _DOWN))
    )
    return np.stack(np.meshgrid(x, y), 2).reshape(-1, 2)


_PLACES = [_places(*grid) for grid in _GRIDS]


@dataclass(frozen=True)
class BoxMotion:
    """What the flow says of each box.

    Attributes:
        shift: ``(B, 2)`` pixels, median over the good points.
        growth: ``(B,)`` factor of the size, 1 where it stays.
        spread: ``(B,)`` how far the points disagree, as a share of the box's size.
        lost: ``(B,)`` share of the points that were not found again.
        trusted: ``(B,)`` bool, whether enough points are good; if not, the rest means nothing.
    """

    shift: np.ndarray
    growth: np.ndarray
    spread: np.ndarray
    lost: np.ndarray
    trusted: np.ndarray


def box_points(boxes: np.ndarray) -> np.ndarray:
    """A grid of points inside each box, so many that all together stay a few hundred.

    Args:
        boxes: ``(B, 4)``.

    Returns:
        ``(B, P, 2)``; point ``P - 1 - i`` lies opposite to point ``i``.
    """
    places = next((p for p in _PLACES if len(boxes) * len(p) <= _MOST_POINTS), _PLACES[-1])
    return boxes[:, None, :2] + places * (boxes[:, 2:] - boxes[:, :2])[:, None]


def box_motion(boxes: np.ndarray, flow: Flow) -> BoxMotion:
    """Motion of boxes whose `box_points` were followed.

    Args:
        boxes: ``(B, 4)``, where they were, in pixels of the small picture.
        flow: flow of their points, box by box.
    """
    count = len(boxes)
    if not count:
        none = np.zeros(0)
        return BoxMotion(np.zeros((0, 2)), none, none, none, none.astype(bool))
    shape = (count, len(flow.points) // count)
    good = flow.good.reshape(shape)
    number = good.sum(1)
    shift = flow.shift.reshape(*shape, 2)
    middle = np.column_stack([_median(shift[..., axis], good) for axis in range(2)])
    off = np.abs(shift - middle[:, None]).max(2)
    size = np.sqrt(np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(1), 1.0))
    return BoxMotion(
        middle,
        _growth(flow, good),
        _median(off, good) / size,
        1 - number / shape[1],
        number >= max(2, _LEAST_SHARE * shape[1]),
    )


def _growth(flow: Flow, good: np.ndarray) -> np.ndarray:
    """Median ratio of the distances between opposite points, now and before."""
    count, number = good.shape
    half = number // 2
    opposite = good[:, :half] & good[:, ::-1][:, :half]

    def apart(points: np.ndarray) -> np.ndarray:
        places = points.reshape(count, number, 2)
        return np.hypot(*(places[:, :half] - places[:, ::-1][:, :half]).transpose(2, 0, 1))

    ratio = apart(flow.moved) / np.maximum(apart(flow.points), 1e-3)
    pairs = opposite.sum(1)
    ratio = np.where(pairs > 1, _median(ratio, opposite), 1.0)
    return 1 + np.clip(_CAUTION * (ratio - 1), -_GROWTH, _GROWTH)


def _median(values: np.ndarray, good: np.ndarray) -> np.ndarray:
    """Median of each row's good values; 0 in a row without any."""
    count = good.sum(1)
    ordered = np.sort(np.where(good, values, np.inf), 1)
    rows = np.arange(len(values))
    low = ordered[rows, np.maximum(count - 1, 0) // 2]
    high = ordered[rows, count // 2 % ordered.shape[1]]
    return np.where(count > 0, (np.where(count % 2, low, (low + high) / 2)), 0.0)
