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

"""Detectors that answer with boxes and class scores apart, or that have them before suppression."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from e4_ros.vision.models.decoders import CornersDecoder
from e4_ros.vision.models.decoders.geometry import BoxFormat
from e4_ros.vision.onnx_file.baked import baked
from e4_ros.vision.onnx_file.facts import Facts
from e4_ros.vision.onnx_file.families import FAMILIES, Family
from e4_ros.vision.onnx_file.graph import Graph, words
from e4_ros.vision.onnx_file.head import Head
from e4_ros.vision.onnx_file.probe import are_corners, are_scores, are_shares, run
from e4_ros.vision.onnx_file.read import OnnxFileError
from e4_ros.vision.onnx_file.tail import Tail

_LEAST = 500  # boxes that wait for suppression are many; answers are few
_ULTRAFACE = {(240, 320): 4420, (480, 640): 17640}


@dataclass(frozen=True)
class Pair:
    """Boxes and scores of the same rows.

    Attributes:
        boxes: tensor of boxes, four numbers for each row.
        scores: tensor of class scores.
        rows: number of rows.
        classes: number of scores of each.
        turned: whether scores are ``(1, classes, rows)``.
        inside: whether suppression follows in the graph.
    """

    boxes: str
    scores: str
    rows: int
    classes: int
    turned: bool
    inside: bool


def read_pair(graph: Graph, facts: Facts) -> Head | None:
    """Understand boxes and scores, as outputs or before suppression.

    Raises:
        OnnxFileError: they are there, but not in a form that is known here.
    """
    if facts.family is not None and facts.family.head not in ('pair', 'rows', 'yolo', 'objectness'):
        return None
    for pair in (*_outputs(graph), *_before_suppression(graph)):
        head = _understood(graph, facts, pair)
        if head is not None:
            return head
    return None


def _outputs(graph: Graph) -> Iterator[Pair]:
    """Every output of boxes with every one that may be their scores."""
    for boxes in graph.outputs:
        for scores in graph.outputs:
            if boxes != scores and (pair := _pair(graph, boxes, scores, False)) is not None:
                yield pair


def _before_suppression(graph: Graph) -> Iterator[Pair]:
    for node in graph.model.graph.node:
        if node.op_type == 'NonMaxSuppression':
            pair = _pair(graph, node.input[0], node.input[1], True)
            # One score for each box although there are classes: boxes of different classes were
            # moved apart, so that one suppression does for all. They are not where objects are.
            apart = pair is not None and pair.classes == 1 and _chooses(graph, node.input[1])
            if pair is not None and not apart:
                yield pair


def _chooses(graph: Graph, scores: str) -> bool:
    return bool({'ArgMax', 'ReduceMax', 'TopK'} & graph.steps(scores))


def _pair(graph: Graph, boxes: str, scores: str, inside: bool) -> Pair | None:
    first, second = graph.fixed(boxes), graph.fixed(scores)
    if first is None or second is None or first[-1] != 4:
        return None
    first = tuple(each for each in first[:-1] if each != 1)
    second = second[1:] if len(second) == 3 and second[0] == 1 else second
    if len(first) != 1 or first[0] < _LEAST or len(second) != 2:
        return None
    rows = first[0]
    if rows == second[0]:
        return Pair(boxes, scores, rows, second[1], False, inside)
    if rows == second[1]:
        return Pair(boxes, scores, rows, second[0], True, inside)
    return None


def _understood(graph: Graph, facts: Facts, pair: Pair) -> Head | None:
    said = (
        f'{pair.boxes} is {words(graph.shape(pair.boxes))} and {pair.scores} '
        f'{words(graph.shape(pair.scores))}: boxes and scores of {pair.rows} places'
    )
    family, unsure = _family(graph, facts, pair)
    look = family.look.changed(facts.input)
    answers = run(graph.model, [pair.boxes, pair.scores], look.preprocessing(graph.size))
    boxes = np.concatenate([answer[pair.boxes].reshape(-1, 4) for answer in answers])
    found = [answer[pair.scores].reshape(answer[pair.scores].shape[-2:]) for answer in answers]
    columns = np.concatenate([each.T if pair.turned else each for each in found])
    if not are_scores(columns):
        raise OnnxFileError(
            f'{said}, but the scores are not between 0 and 1: export it with its sigmoid or '
            'softmax, or with suppression'
        )
    corners = are_corners(boxes)
    if not corners and not (boxes[:, 2:] >= 0).all():
        raise OnnxFileError(
            f'{said}, but the boxes are neither two corners nor a centre and a size: they are told '
            'from anchors that are not in the file. Export it with boxes decoded'
        )
    background = _background(facts, pair, columns)
    tail = Tail(graph)
    made = pair.boxes
    if graph.fixed(made) != (1, pair.rows, 4):
        made = tail.reshape(made, (1, pair.rows, 4))
    scores, shape = _scores(tail, graph, pair, background)
    classes = shape[1 if pair.turned else 2] - (background == 0)
    said += f', {classes} classes'
    said += ' beside the background' if background is not None else ''
    form: BoxFormat = 'yxyx' if family.name == 'yolov3' else 'xyxy'
    decoder = CornersDecoder(
        classes=classes,
        transposed=not pair.turned,
        boxes=form if corners else 'cxcywh',
        relative=are_shares(boxes),
        background=background == 0,
    )
    inside = 'suppression behind them is left out of the graph and done by the decoder'
    return Head(
        family,
        decoder,
        {'boxes': made, 'scores': scores},
        tail.model,
        said,
        classes,
        unsure=unsure,
        notes=(inside,) if pair.inside else (),
    )


def _scores(
    tail: Tail, graph: Graph, pair: Pair, background: int | None
) -> tuple[str, tuple[int, ...]]:
    """Scores as ``(1, rows, classes)`` or turned, without a background that comes last."""
    shape = [1, pair.classes, pair.rows] if pair.turned else [1, pair.rows, pair.classes]
    kept, axis = pair.scores, 1 if pair.turned else 2
    if graph.fixed(kept) != tuple(shape):
        kept = tail.reshape(kept, shape)
    if background:
        shape[axis] -= 1
        kept = tail.part(kept, axis, 0, shape[axis], shape)
    return kept, tuple(shape)


def _background(facts: Facts, pair: Pair, scores: np.ndarray) -> int | None:
    """The column that stands for nothing at all; None where every column is a class."""
    if pair.classes < 2 or not np.allclose(scores.sum(1), 1, atol=1e-3):
        return None
    if len(facts.names) == pair.classes and 'background' not in facts.names[0].lower():
        return None
    mean = scores.mean(0)
    return pair.classes - 1 if mean[-1] > 0.8 else 0


def _family(graph: Graph, facts: Facts, pair: Pair) -> tuple[Family, str]:
    """The family, and what about its input cannot be known."""
    if facts.family is not None:
        return facts.family, ''
    if facts.metadata.exporter == 'ultralytics':
        return FAMILIES['yolov8'], ''
    if _ULTRAFACE.get(graph.size) == pair.rows and pair.classes == 2:
        return FAMILIES['ultraface'], ''
    family = FAMILIES['torchvision']
    if baked(graph) is not None:
        return family, ''
    return family, 'exporters of detectors with boxes and scores apart differ in what they take'
