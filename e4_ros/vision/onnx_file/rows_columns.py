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

"""What the columns of rows of finished boxes are."""

from __future__ import annotations

import numpy as np

from e4_ros.vision.models.decoders.finished import Column
from e4_ros.vision.onnx_file.facts import Facts
from e4_ros.vision.onnx_file.graph import Graph
from e4_ros.vision.onnx_file.probe import are_scores
from e4_ros.vision.onnx_file.read import OnnxFileError
from e4_ros.vision.onnx_file.rows_find import Rows

_ORDERS: dict[int, tuple[tuple[Column, ...], ...]] = {
    6: (('box', 'score', 'label'), ('label', 'score', 'box'), ('box', 'label', 'score')),
    7: (('batch', 'box', 'label', 'score'), ('batch', 'box', 'score', 'label')),
}
_PASSED = ('Cast', 'Reshape', 'Unsqueeze', 'Squeeze', 'Gather', 'Transpose', 'Identity', 'Slice')
_PADDLE = ('picodet', 'ppyoloe', 'ppyoloe_plus')


def column_order(graph: Graph, facts: Facts, found: Rows, seen: np.ndarray) -> tuple[Column, ...]:
    """What the columns of rows are, by the operations that join them and by their numbers.

    Raises:
        OnnxFileError: neither tells.
    """
    if found.columns is not None:
        return found.columns
    possible = [each for each in _ORDERS[found.width] if _fits(each, seen)]
    kinds = _joined_kinds(graph)
    if len(possible) > 1 and kinds:
        possible = [each for each in possible if _kinds(each) == kinds] or possible
    if len(possible) > 1 and found.width == 6:
        if facts.family is not None:
            return _ORDERS[6][int(facts.family.name in _PADDLE)]
        if facts.metadata.exporter:
            return _ORDERS[6][0]
    if len(possible) == 1:
        return possible[0]
    raise OnnxFileError(
        f'{found.said}: rows of {found.width} numbers, of which it does not show what they are. '
        'Export it without suppression, or say the family with --family'
    )


def _fits(columns: tuple[Column, ...], seen: np.ndarray) -> bool:
    """Whether rows can have their columns in an order."""
    if not len(seen):
        return True
    label, score = seen[:, place_of(columns, 'label')], seen[:, place_of(columns, 'score')]
    box = seen[:, place_of(columns, 'box') :][:, :4]
    whole = bool((label == np.round(label)).all()) and label.min() >= -1
    ordered = bool((box[:, 2:] >= box[:, :2] - 1e-3).mean() > 0.99)
    return whole and are_scores(np.abs(score)) and ordered


def _joined_kinds(graph: Graph) -> str:
    """Kinds of the tensors that are joined to rows: w for whole numbers, f for others."""
    for name in graph.outputs:
        node = graph.maker(name)
        while node is not None and node.op_type in _PASSED:
            node = graph.maker(node.input[0])
        if node is not None and node.op_type == 'Concat':
            return ''.join('w' if _from_whole(graph, each) else 'f' for each in node.input)
    return ''


def _kinds(columns: tuple[Column, ...]) -> str:
    return ''.join('w' if each in ('label', 'batch') else 'f' for each in columns)


def _from_whole(graph: Graph, name: str) -> bool:
    while not graph.whole(name):
        node = graph.maker(name)
        if node is None or node.op_type not in _PASSED:
            return False
        name = node.input[0]
    return True


def place_of(columns: tuple[Column, ...], name: str) -> int:
    """The first place of a kind of column in a row."""
    place = 0
    for each in columns:
        if each == name:
            return place
        place += 4 if each == 'box' else 1
    raise ValueError(name)
