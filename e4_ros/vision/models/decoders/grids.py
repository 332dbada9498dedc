"""The cells of a network's feature maps, one below the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def cells(size: tuple[int, int], strides: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Every cell of every feature map, map by map and row by row.

    Args:
        size: height and width of the network's input, pixels.
        strides: pixels of the input between two cells, for each map; a map has the input's side
            over its stride, rounded up.

    Returns:
        Column and row of each cell, ``(A, 2)`` float32, and its stride, ``(A, 1)`` float32.
    """
    places, steps = [], []
    for stride in strides:
        rows, columns = (-(-side // stride) for side in size)
        y, x = np.divmod(np.arange(rows * columns, dtype=np.float32), columns)
        places.append(np.stack([x, y], 1))
        steps.append(np.full((rows * columns, 1), stride, np.float32))
    return np.concatenate(places), np.concatenate(steps)
