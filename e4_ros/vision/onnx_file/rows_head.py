"""Detectors that answer with what they found: a row, or a box, score and label, for each object.

Suppression, where it is needed, is done inside. Where the number of rows changes from frame to
frame, the best are kept and the rest is filled up with zeros.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from e4_ros.vision.models.decoders import RowsDecoder
from e4_ros.vision.models.decoders.finished import Column
from e4_ros.vision.models.decoders.geometry import BoxFormat
from e4_ros.vision.onnx_file.baked import baked_look
from e4_ros.vision.onnx_file.facts import Facts
from e4_ros.vision.onnx_file.families import FAMILIES, Family
from e4_ros.vision.onnx_file.graph import Graph, words
from e4_ros.vision.onnx_file.head import Head
from e4_ros.vision.onnx_file.probe import are_scores, are_shares, run
from e4_ros.vision.onnx_file.read import OnnxFileError
from e4_ros.vision.onnx_file.tail import MOST_ROWS, Tail

_ORDERS: dict[int, tuple[tuple[Column, ...], ...]] = {
    6: (('box', 'score', 'label'), ('label', 'score', 'box'), ('box', 'label', 'score')),
    7: (('batch', 'box', 'label', 'score'), ('batch', 'box', 'score', 'label')),
}
_PASSED = ('Cast', 'Reshape', 'Unsqueeze', 'Squeeze', 'Gather', 'Transpose', 'Identity', 'Slice')
_ONE_BASED = ('torchvision', 'tensorflow')


@dataclass(frozen=True)
class _Rows:
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


def read_rows(graph: Graph, facts: Facts) -> Head | None:
    """Understand finished boxes.

    Raises:
        OnnxFileError: they are there, but it must be said what they mean, or it is of another task.
    """
    if facts.family is not None and facts.family.head == 'classes':
        return None
    found = _one_tensor(graph) or _several(graph)
    if found is None:
        return None
    _check_task(graph)
    family, unsure = _family(graph, facts)
    look = family.look.changed(facts.input)
    answers = run(found.tail.model, [found.name], look.preprocessing(graph.size))
    seen = np.concatenate([answer[found.name].reshape(-1, found.width) for answer in answers])
    seen = seen[(seen != 0).any(1)]
    columns = found.columns or _order(graph, found, seen)
    score = _place(columns, 'score')
    name = found.name
    if not found.fixed:
        name = found.tail.best_rows(name, found.width, score)
    box = _place(columns, 'box')
    boxes = seen[:, box : box + 4]
    form: BoxFormat = 'yxyx' if family.name == 'tensorflow' else 'xyxy'
    decoder = RowsDecoder(
        columns=columns,
        boxes=form,
        relative=family.name == 'tensorflow' or (len(boxes) > 0 and are_shares(boxes)),
        first_label=int(family.name in _ONE_BASED),
    )
    notes = _baked_limits(graph)
    if not found.fixed:
        notes += (f'the number of its boxes changes; the best {MOST_ROWS} are kept',)
    return Head(
        family,
        decoder,
        {'output': name},
        found.tail.model,
        f'{found.said}: finished boxes, each with its {", ".join(columns)}',
        _classes(graph, family),
        look=None if facts.family else baked_look(graph),
        unsure=unsure,
        notes=notes,
    )


def _one_tensor(graph: Graph) -> _Rows | None:
    """Rows of six or seven columns in one output, with at most a count beside it."""
    rows = []
    for name in graph.outputs:
        shape = graph.shape(name)
        if shape is None or graph.whole(name) or len(shape) not in (2, 3):
            continue
        if shape[-1] in _ORDERS and (len(shape) == 2 or shape[0] in (1, -1)):
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
        return _Rows(made, None, tail, width, True, said)
    made = tail.floats(name, (-1, width))
    return _Rows(made, None, tail, width, False, said)


def _several(graph: Graph) -> _Rows | None:
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
    return _Rows(joined, ('box', 'score', 'label'), tail, 6, count > 0, f'outputs {said}')


def _last(graph: Graph, name: str) -> int:
    """Length of the last axis of what may be boxes, else 0."""
    slot = graph.shape(name)
    if slot is None or len(slot) not in (2, 3) or graph.whole(name):
        return 0
    return 0 if len(slot) == 3 and slot[0] > 1 else slot[-1]


def _one(graph: Graph, names: Sequence[str], hints: Sequence[str], whole: bool) -> str | None:
    """The one of several outputs that a name tells, or else the kind of its numbers."""
    names = [n for n in names if 'num' not in n.lower()]
    hinted = [name for name in names if any(hint in name.lower() for hint in hints)]
    if len(hinted) == 1:
        return hinted[0]
    kind = [name for name in names if graph.whole(name) == whole and _many(graph, name)]
    return kind[0] if len(kind) == 1 else None


def _many(graph: Graph, name: str) -> bool:
    """Whether an output has more than a few numbers: a size or a count has one or two."""
    slot = graph.shape(name)
    return slot is not None and (not slot.fixed or max(slot, default=0) > 2)


def _order(graph: Graph, found: _Rows, seen: np.ndarray) -> tuple[Column, ...]:
    """What the columns of rows are, by the operations that join them and by their numbers.

    Raises:
        OnnxFileError: neither tells.
    """
    possible = [each for each in _ORDERS[found.width] if _fits(each, seen)]
    if len(possible) > 1 and (kinds := _joined_kinds(graph)):
        possible = [each for each in possible if _kinds(each) == kinds] or possible
    if len(possible) == 1:
        return possible[0]
    if found.width == 6 and _ORDERS[6][0] in possible:
        return _ORDERS[6][0]
    raise OnnxFileError(
        f'{found.said}, rows of {found.width} numbers whose order is not known here: export it '
        'without suppression'
    )


def _fits(columns: tuple[Column, ...], seen: np.ndarray) -> bool:
    """Whether rows can have their columns in an order."""
    if not len(seen):
        return True
    label, score = seen[:, _place(columns, 'label')], seen[:, _place(columns, 'score')]
    box = seen[:, _place(columns, 'box') :][:, :4]
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


def _place(columns: tuple[Column, ...], name: str) -> int:
    place = 0
    for each in columns:
        if each == name:
            return place
        place += 4 if each == 'box' else 1
    raise ValueError(name)


def _family(graph: Graph, facts: Facts) -> tuple[Family, str]:
    """The family, and what about its input cannot be known."""
    if facts.family is not None:
        return facts.family, ''
    if facts.metadata.exporter == 'ultralytics':
        return FAMILIES['yolov10'], ''
    if any(name.startswith('detection_') for name in graph.outputs):
        return FAMILIES['tensorflow'], ''
    baked = baked_look(graph)
    if baked is not None and baked.std != FAMILIES['torchvision'].look.std:
        return FAMILIES['detectron2'], ''
    if baked is not None:
        return FAMILIES['torchvision'], ''
    return FAMILIES['yolov10'], 'exporters of finished boxes differ in what they take'


def _classes(graph: Graph, family: Family) -> int | None:
    """Number of classes, where the graph tells it: by softmax or sigmoid with COCO's numbers."""
    if family.name not in _ONE_BASED:
        return None
    widths = set()
    for name in graph.tensors():
        node = graph.maker(name)
        if node is not None and node.op_type in ('Softmax', 'Sigmoid'):
            slot = graph.shape(name)
            if slot:
                widths.add(slot[-1])
    return 90 if widths & {90, 91} else None


def _baked_limits(graph: Graph) -> tuple[str, ...]:
    """What suppression inside the graph leaves out, in words."""
    for node in graph.model.graph.node:
        if node.op_type != 'NonMaxSuppression':
            continue
        values = [graph.constant(name) if name else None for name in node.input[3:5]]
        overlap, score = (None if v is None else float(v.ravel()[0]) for v in [*values, None][:2])
        said = 'suppression is part of the file'
        if overlap is not None:
            said += f', at an overlap of {overlap:g}'
        if score:
            said += f'; it never answers below a score of {score:g}'
        return (said,)
    return ()


def _check_task(graph: Graph) -> None:
    for name in graph.outputs:
        slot = graph.shape(name)
        if 'mask' in name.lower() or (slot is not None and len(slot) == 4 and slot[-1] > 4):
            what = 'a segmentation model: it answers with masks'
        elif 'keypoint' in name.lower() or 'kpt' in name.lower():
            what = 'a pose model: it answers with keypoints'
        else:
            continue
        raise OnnxFileError(
            f'it is {what} ({name}) beside its boxes. Only detectors can be run here'
        )
