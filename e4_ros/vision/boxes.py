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

"""Boxes: overlap, non-maximum suppression, one-to-one matching and clipping, with numpy alone.

A box is ``x0, y0, x1, y1`` with ``x0 <= x1`` and ``y0 <= y1``, in any unit. One without area, or
with a NaN in it, overlaps nothing; what an infinite one overlaps is not defined. These functions
run on every frame of a robot, so they are written for few calls into numpy and no copies:
torchvision and scipy do the same, but importing them takes seconds and hundreds of megabytes.
"""

from __future__ import annotations

import math

import numpy as np

_BLOCK = 128  # boxes compared with each other at a time; bounds the memory of thousands
_TINY = 1e-30  # least area: two boxes without one overlap by 0, not by 0 / 0


def iou_matrix(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of every box of one array with every box of another.

    Args:
        a: boxes, ``(N, 4)``.
        b: boxes, ``(M, 4)``, in the same unit.

    Returns:
        ``(N, M)``, each entry in [0, 1]; of the boxes' own float type.

    Example:
        >>> iou_matrix(np.array([[0, 0, 2, 2]]), np.array([[0, 0, 2, 2], [1, 0, 3, 2.0]]))
        array([[1.        , 0.33333333]])
    """
    if a.dtype.kind != 'f' or b.dtype.kind != 'f':
        a, b = a.astype(float), b.astype(float)
    # Planes of x and y, each (N, M): numpy is quick along long rows, not along four numbers.
    ours = a.T[:, :, None]
    theirs = np.ascontiguousarray(b.T)[:, None]
    sides = np.minimum(ours[2:], theirs[2:])
    sides -= np.maximum(ours[:2], theirs[:2])
    np.fmax(sides, 0, out=sides)  # of a NaN and 0 that is 0
    both = sides[0] * sides[1]
    area = _area(theirs)
    union = np.add(area.T if a is b else _area(ours), np.maximum(area, _TINY), out=sides[0])
    union -= both
    both /= union
    return both


def _area(planes: np.ndarray) -> np.ndarray:
    sides = planes[2:] - planes[:2]
    np.fmax(sides, 0, out=sides)
    return sides[0] * sides[1]


def nms(
    boxes: np.ndarray,
    scores: np.ndarray,
    iou: float,
    labels: np.ndarray | None = None,
    most: int | None = None,
) -> np.ndarray:
    """Greedy non-maximum suppression: drop what overlaps a better box by more than ``iou``.

    Equal to ``torchvision.ops.nms``, and to its ``batched_nms`` where labels are given.

    Args:
        boxes: ``(N, 4)``.
        scores: ``(N,)``; of equal scores the earlier box wins, a NaN comes last.
        iou: greatest overlap that two kept boxes may have.
        labels: class of each box ``(N,)``, so that only boxes of one class suppress each other;
            None where all are of one class.
        most: greatest number of boxes to keep; None for no limit.

    Returns:
        Indices of the kept boxes, best score first.

    Example:
        >>> boxes = np.array([[0, 0, 9, 9], [50, 50, 60, 60], [0, 0, 10, 10.0]])
        >>> nms(boxes, np.array([0.7, 0.8, 0.9]), iou=0.5)
        array([2, 1])
    """
    order = np.argsort(-scores, kind='stable')
    boxes = boxes[order]
    labels = None if labels is None else labels[order]
    if len(order) <= _BLOCK:
        return order[_better(boxes, labels, iou)][:most] if len(order) > 1 else order[:most]
    kept, left = order[:0], np.arange(len(order))  # left: places that nothing has suppressed
    while len(left) and (most is None or len(kept) < most):
        block, left = left[:_BLOCK], left[_BLOCK:]
        block = block[_better(boxes[block], None if labels is None else labels[block], iou)]
        kept = np.concatenate([kept, block])
        if len(left):
            clash = _above(iou_matrix(boxes[block], boxes[left]), iou)
            if labels is not None:
                clash &= labels[block, None] == labels[left]
            left = left[~clash.any(0)]
    return order[kept[:most]]


def _better(boxes: np.ndarray, labels: np.ndarray | None, iou: float) -> np.ndarray:
    """Mask of the boxes that no kept one before them suppresses."""
    kept = np.ones(len(boxes), bool)
    clash = _above(iou_matrix(boxes, boxes), iou)
    count = np.count_nonzero(clash)
    if count <= len(boxes) and count == np.count_nonzero(clash.diagonal()):
        return kept  # each box clashes at most with itself: most frames are like that
    if labels is not None:
        clash &= labels[:, None] == labels
    free = ~clash
    for row in np.flatnonzero(clash.sum(1) > 1).tolist():
        if kept[row]:
            kept[row + 1 :] &= free[row, row + 1 :]
    return kept


def _above(overlap: np.ndarray, iou: float) -> np.ndarray:
    limit = overlap.dtype.type(iou)  # the limit rounded so may lie on the other side
    return overlap >= limit if float(limit) > iou else overlap > limit


def match(worth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pair rows with columns one to one so that the pairs' worth is greatest in sum.

    Each row first takes its best column; that is optimal where no two rows want the same one, as
    on most frames. For every row that is left, the cheapest chain of swaps is searched (shortest
    augmenting paths: Jonker and Volgenant, Computing 38, 1987; what
    ``scipy.optimize.linear_sum_assignment`` does for all rows).

    Args:
        worth: ``(N, M)``, finite, 0 or more; 0 where the two must not be paired.

    Returns:
        Rows and columns of the pairs, by rising row; pairs worth nothing are left out.

    Raises:
        ValueError: a worth is NaN or infinite.

    Example:
        >>> match(np.array([[0.9, 0.8], [0.7, 0.0]]))
        (array([0, 1]), array([1, 0]))
    """
    if not worth.size:
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    if len(worth) == 1:
        column = int(worth.argmax())
        _check(worth[0, column])
        count = int(worth[0, column] > 0)
        return np.zeros(count, np.intp), np.full(count, column, np.intp)
    if worth.shape[0] > worth.shape[1]:
        columns, rows = match(worth.T)
        order = np.argsort(rows)
        return rows[order], columns[order]
    rows = np.arange(len(worth))
    columns = worth.argmax(1)
    best = worth[rows, columns]
    _check(best.max())
    wanted = best > 0
    if len(set(columns[wanted].tolist())) < np.count_nonzero(wanted):
        columns = _augment(-worth.astype(float), columns)
        wanted = worth[rows, columns] > 0
    return rows[wanted], columns[wanted]


def _check(greatest: float) -> None:
    if not math.isfinite(greatest):  # of a NaN and any number, max takes the NaN
        raise ValueError('boxes cannot be matched: the worth of a pair is NaN or infinite')


def _augment(cost: np.ndarray, cheapest: np.ndarray) -> np.ndarray:
    """Column of each row in the assignment of least cost, given the rows' cheapest columns."""
    count, width = cost.shape
    row_price, column_price = cost[np.arange(count), cheapest], np.zeros(width)
    owner = np.full(width, -1)
    owner[cheapest[::-1]] = np.arange(count)[::-1]  # of several rows, the first has the column
    taken = np.where(owner[cheapest] == np.arange(count), cheapest, -1)
    for start in np.flatnonzero(taken < 0).tolist():
        length = cost[start] - row_price[start] - column_price
        before = np.full(width, start)  # the row from which each column is reached
        done = np.zeros(width, bool)
        while True:
            column = int(np.where(done, np.inf, length).argmin())
            row = owner[column]
            if row < 0:
                break
            done[column] = True
            through = length[column] + cost[row] - row_price[row] - column_price
            shorter = (through < length) & ~done
            length[shorter], before[shorter] = through[shorter], row
        gain = length[column] - length[done]
        row_price[start] += length[column]
        row_price[owner[done]] += gain
        column_price[done] -= gain
        row = -1
        while row != start:
            row = before[column]
            owner[column] = row
            taken[row], column = column, taken[row]
    return taken


def clip(boxes: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Boxes with their corners moved into the image.

    Args:
        boxes: ``(N, 4)``, pixels.
        size: ``(H, W, ...)`` of the image, pixels.

    Returns:
        ``(N, 4)``, of the boxes' own type; a box outside the image has no area left.

    Example:
        >>> clip(np.array([[-5.0, 2, 700, 9]]), (480, 640))
        array([[  0.,   2., 640.,   9.]])
    """
    height, width = size[:2]
    return np.clip(boxes, 0, np.array([width, height, width, height], boxes.dtype))
