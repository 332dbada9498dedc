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

"""Tensors with a row for each cell of a detector's feature maps, or for each of many anchors."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from e4_ros.vision.onnx_file.facts import Facts
from e4_ros.vision.onnx_file.graph import Graph

_STRIDES = (
    (8, 16, 32),
    (8, 16, 32, 64),
    (16, 32),
    (4, 8, 16, 32),
    (16, 32, 64),
    (8, 16, 32, 64, 128),
)
_LEAST = 500  # boxes that wait for suppression are many


@dataclass(frozen=True)
class Grid:
    """A tensor with a row for each cell.

    Attributes:
        name: name of the tensor.
        cells: number of rows.
        width: number of columns.
        turned: whether it is ``(1, columns, rows)``.
        strides: pixels between two cells, for each feature map; empty where the number of rows
            fits none.
        anchors: rows for each cell.
        columns: widths of what the columns are put together of.
    """

    name: str
    cells: int
    width: int
    turned: bool
    strides: tuple[int, ...]
    anchors: int
    columns: tuple[int, ...]

    @property
    def places(self) -> str:
        """What the rows stand for, in words."""
        if not self.strides:
            return f'{self.cells} anchors'
        *first, last = map(str, self.strides)
        return f'{self.cells} cells of strides {", ".join(first)} and {last}'


def find_grids(graph: Graph, facts: Facts) -> Iterator[Grid]:
    """Tensors with a row for each cell, the likeliest first."""
    for name in reversed(graph.outputs):  # YOLOv9 answers twice, the second time better
        if (grid := _grid(graph, name) or _anchors(graph, facts, name)) is not None:
            yield grid
    if 'NonMaxSuppression' in graph.operations or facts.metadata.raw.get('nms') == 'True':
        for name in graph.tensors():
            grid = _grid(graph, name)
            if grid is not None and len(grid.columns) > 1:
                yield grid


def _grid(graph: Graph, name: str) -> Grid | None:
    shape = graph.fixed(name)
    if shape is None or len(shape) != 3 or shape[0] != 1 or min(shape[1:]) < 5:
        return None
    boxes = (graph.fixed(other) for other in graph.outputs if other != name)
    if any(each in ((1, n, 4), (1, n, 1, 4), (n, 4)) for each in boxes for n in shape[1:]):
        return None  # scores, whose boxes are an output of their own
    for axis in (1, 2):
        for anchors in (1, 3):
            for strides in _STRIDES:
                if _cells(graph.size, strides) * anchors == shape[axis]:
                    other = 3 - axis
                    widths = tuple(width for _, width in graph.columns(name, other))
                    return Grid(
                        name, shape[axis], shape[other], axis == 2, strides, anchors, widths
                    )
    return None


def _anchors(graph: Graph, facts: Facts, name: str) -> Grid | None:
    """A box and a score of each class for each of many anchors, however they are laid."""
    shape, classes = graph.fixed(name), len(facts.names) or facts.metadata.classes
    if shape is None or len(shape) != 3 or shape[0] != 1 or not classes or max(shape) < _LEAST:
        return None
    for axis in (1, 2):
        if shape[3 - axis] == 4 + classes:
            widths = tuple(width for _, width in graph.columns(name, 3 - axis))
            return Grid(name, shape[axis], shape[3 - axis], axis == 2, (), 1, widths)
    return None


def _cells(size: tuple[int, int], strides: tuple[int, ...]) -> int:
    return sum(math.prod(-(-side // stride) for side in size) for stride in strides)
