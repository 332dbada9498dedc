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

"""Outputs that hold finished boxes, joined to rows: one tensor of them, or several side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from e4_ros.vision.models.decoders.finished import Column
from e4_ros.vision.onnx_file.graph import Graph, words
from e4_ros.vision.onnx_file.tail import MOST_ROWS, Tail

_WIDTHS = (6, 7)


@dataclass(frozen=True)
class Rows:
    """Rows of finished boxes behind a graph.

    Attributes:
        name: tensor ``(1, N, K)``, or ``(N, K)`` with ``N`` from frame to frame another.
        columns: what the columns are; None where they have to be found out.
        tail: what was put behind the graph so far.
        width: number of columns.
        fixed: whether ``N`` is fixed.
        said: which outputs they are.
    """

    name: str
    columns: tuple[Column, ...] | None
    tail: Tail
    width: int
    fixed: bool
    said: str


def find_rows(graph: Graph) -> Rows | None:
    """The rows that a graph answers with; None where it does not."""
    return _one_tensor(graph) or _several(graph)


def _one_tensor(graph: Graph) -> Rows | None:
    """Rows of six or seven columns in one output, with at most a count beside it."""
    rows = []
    for name in graph.outputs:
        shape = graph.shape(name)
        if shape is None or graph.whole(name) or len(shape) not in (2, 3):
            continue
        if shape[-1] in _WIDTHS and (len(shape) == 2 or shape[0] in (1, -1)):
            rows.append(name)
    if len(rows) != 1:
        return None
    name, shape = rows[0], graph.shape(rows[0])
    assert shape is not None
    width, count, tail = shape[-1], shape[-2], Tail(graph)
    if count > MOST_ROWS * 10:
        return None
    said = f'{name} is {words(shape)}'
    if count > 0 and 0 not in shape:
        made = tail.floats(name, (1, count, width))
        return Rows(made, None, tail, width, True, said)
    made = tail.floats(name, (-1, width))
    return Rows(made, None, tail, width, False, said)


def _several(graph: Graph) -> Rows | None:
    """Boxes, scores and labels in outputs of their own; boxes may carry their scores."""
    boxes = [name for name in graph.outputs if _last(graph, name) in (4, 5)]
    if len(boxes) != 1:
        return None
    box, width = boxes[0], _last(graph, boxes[0])
    flat = [
        name
        for name in graph.outputs
        if name != box and (slot := graph.shape(name)) is not None and len(slot) in (1, 2)
    ]
    labels = _one(graph, flat, ('label', 'class', 'cls'), whole=True)
    scores = _one(graph, [n for n in flat if n != labels], ('score', 'conf'), whole=False)
    if labels is None or (width == 4) != (scores is not None):
        return None
    tail = Tail(graph)
    named = [box, scores, labels] if scores else [box, labels]
    parts = [tail.floats(box, (-1, width))]
    parts += [tail.floats(name, (-1, 1)) for name in named[1:]]
    slot = graph.shape(box)
    count = slot[-2] if slot is not None else -1
    joined = tail.join(parts, 1, (max(count, -1), 6))
    if count > 0:
        joined = tail.reshape(joined, (1, count, 6))
    said = ', '.join(f'{name} {words(graph.shape(name))}' for name in named)
    return Rows(joined, ('box', 'score', 'label'), tail, 6, count > 0, f'outputs {said}')


def _last(graph: Graph, name: str) -> int:
    """Length of the last axis of what may be boxes, else 0."""
    slot = graph.shape(name)
    if slot is None or len(slot) not in (2, 3) or graph.whole(name):
        return 0
    return 0 if len(slot) == 3 and slot[0] > 1 else slot[-1]


def _one(graph: Graph, names: Sequence[str], hints: Sequence[str], whole: bool) -> str | None:
    """The one of several outputs that the kind of its numbers tells, and its name.

    People name the outputs of an export themselves, and not always in their order; so what holds
    whole numbers is believed to be labels before what is called so.
    """
    names = [name for name in names if 'num' not in name.lower() and _many(graph, name)]
    kind = [name for name in names if graph.whole(name) == whole]
    hinted = [name for name in names if any(hint in name.lower() for hint in hints)]
    for choice in ([name for name in kind if name in hinted], kind, hinted):
        if len(choice) == 1:
            return choice[0]
    return None


def _many(graph: Graph, name: str) -> bool:
    """Whether an output has more than a few numbers: a size or a count has one or two."""
    slot = graph.shape(name)
    return slot is not None and (not slot.fixed or max(slot, default=0) > 2)
