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

"""Detectors that answer with what they found: a row, or a box, score and label, for each object.

Suppression, where it is needed, is done inside. Where the number of rows changes from frame to
frame, the best are kept and the rest is filled up with zeros.
"""

from __future__ import annotations

import numpy as np

from e4_ros.vision.models.decoders import RowsDecoder
from e4_ros.vision.models.decoders.geometry import BoxFormat
from e4_ros.vision.onnx_file.baked import baked
from e4_ros.vision.onnx_file.facts import Facts
from e4_ros.vision.onnx_file.families import FAMILIES, Family
from e4_ros.vision.onnx_file.graph import Graph
from e4_ros.vision.onnx_file.head import Head
from e4_ros.vision.onnx_file.probe import are_shares, run
from e4_ros.vision.onnx_file.read import OnnxFileError
from e4_ros.vision.onnx_file.rows_columns import column_order, place_of
from e4_ros.vision.onnx_file.rows_find import find_rows
from e4_ros.vision.onnx_file.tail import MOST_ROWS

_ONE_BASED = ('torchvision', 'tensorflow')


def read_rows(graph: Graph, facts: Facts) -> Head | None:
    """Understand finished boxes.

    Raises:
        OnnxFileError: they are there, but it must be said what they mean, or it is of another task.
    """
    if facts.family is not None and facts.family.head == 'classes':
        return None
    found = find_rows(graph)
    if found is None:
        return None
    _check_task(graph)
    family, unsure = _family(graph, facts)
    look = family.look.changed(facts.input)
    answers = run(found.tail.model, [found.name], look.preprocessing(graph.size))
    seen = np.concatenate([answer[found.name].reshape(-1, found.width) for answer in answers])
    seen = seen[(seen != 0).any(1)]
    columns = column_order(graph, facts, found, seen)
    score = place_of(columns, 'score')
    name = found.name
    if not found.fixed:
        name = found.tail.best_rows(name, found.width, score)
    box = place_of(columns, 'box')
    boxes = seen[:, box : box + 4]
    form: BoxFormat = 'yxyx' if family.name == 'tensorflow' else 'xyxy'
    decoder = RowsDecoder(
        columns=columns,
        boxes=form,
        relative=family.name == 'tensorflow' or (len(boxes) > 0 and are_shares(boxes)),
        first_label=int(family.name in _ONE_BASED and facts.metadata.exporter != 'libreyolo'),
    )
    notes = _baked_limits(graph)
    if not len(seen) and family.name != 'tensorflow':
        notes += ('boxes are taken to be in pixels of the input: none was seen',)
    if not found.fixed:
        notes += (f'the number of its boxes changes; the best {MOST_ROWS} are kept',)
    return Head(
        family,
        decoder,
        {'output': name},
        found.tail.model,
        f'{found.said}: finished boxes, each with its {", ".join(columns)}',
        _classes(graph, family),
        unsure=unsure,
        notes=notes,
    )


def _family(graph: Graph, facts: Facts) -> tuple[Family, str]:
    """The family, and what about its input cannot be known."""
    if facts.family is not None:
        return facts.family, ''
    if facts.metadata.exporter == 'ultralytics':
        return FAMILIES['yolov10'], ''
    if any(name.startswith('detection_') for name in graph.outputs):
        return FAMILIES['tensorflow'], ''
    if (inside := baked(graph)) is not None:
        return FAMILIES['detectron2' if inside.std == 1 else 'torchvision'], ''
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
