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

"""Detectors that answer for every cell of their feature maps in one tensor: the YOLO families."""

from __future__ import annotations

import numpy as np

from e4_ros.vision.models.decoders import (
    DistributionDecoder,
    YoloDecoder,
    YoloObjectnessDecoder,
    YoloxDecoder,
)
from e4_ros.vision.models.decoders.geometry import cells
from e4_ros.vision.onnx_file.facts import Facts
from e4_ros.vision.onnx_file.families import FAMILIES, NANODET_FIRST, Family
from e4_ros.vision.onnx_file.graph import Graph, words
from e4_ros.vision.onnx_file.grid_find import Grid, find_grids
from e4_ros.vision.onnx_file.head import Head
from e4_ros.vision.onnx_file.probe import are_corners, are_scores, are_shares, run
from e4_ros.vision.onnx_file.read import OnnxFileError

_PLACED = {'Add', 'Sub', 'Exp', 'Pow', 'Div'}  # none of them: offsets are left to the decoder


def read_grid(graph: Graph, facts: Facts) -> Head | None:
    """Understand a tensor with a row for each cell.

    Where suppression is part of the graph, the tensor before it is taken.

    Raises:
        OnnxFileError: there is such a tensor, but what its columns mean must be said, or it is of
            another task.
    """
    for grid in find_grids(graph, facts):
        found = _understood(graph, facts, grid)
        if found is not None:
            return found
    return None


def _understood(graph: Graph, facts: Facts, grid: Grid) -> Head | None:
    _check_task(graph, grid)
    steps = graph.steps(grid.name)
    head = facts.family.head if facts.family else _kind(facts, grid, steps)
    shape = words(graph.shape(grid.name))
    said = f'{grid.name} is {shape}: {grid.places}'
    known = len(facts.names) or facts.metadata.classes
    if head == 'distribution' and grid.width != 4 + (known or 0):
        return _distribution(graph, facts, grid, said)
    if head in ('yolo', 'pair', 'distribution'):
        return _boxes_and_classes(graph, facts, grid, said)
    if head in ('yolox', 'objectness'):
        return _objectness(graph, facts, grid, steps, said)
    if head or (grid.width in (6, 7) and _ended(graph)):
        return None  # rows of finished boxes, as many as there are cells by chance
    raise OnnxFileError(
        f'{said}, each with {grid.width} numbers: {grid.width - 4} classes without objectness '
        f'(YOLOv8 and later) or {grid.width - 5} with it (YOLOX, YOLOv5 to 7)? Say so with '
        '--family, or family: in the sidecar; the class names (--names) tell, too'
    )


def _kind(facts: Facts, grid: Grid, steps: set[str]) -> str:
    """How the columns are to be read; empty where nothing tells."""
    columns, classes = grid.columns, len(facts.names) or facts.metadata.classes
    joined = len(columns) == 3 and columns[:2] in ((4, 1), (2, 2))
    if grid.width == 5:
        return 'yolo'  # one class, and no place for objectness
    if grid.anchors == 3 or (joined and not grid.turned):
        return 'objectness'
    if len(columns) == 2 and columns[1] % 4 == 0 and columns[1] >= 16 and not steps & _PLACED:
        return 'distribution'
    if columns[0] == 4 and len(columns) == 2:
        return 'yolo'
    if classes:
        for width, head in ((4, 'yolo'), (5, 'objectness'), (32, 'distribution')):
            if grid.width == width + classes:
                return head
    return ''


def _check_task(graph: Graph, grid: Grid) -> None:
    """Refuse what answers with masks, keypoints or angles beside its boxes."""
    for name in graph.outputs:
        shape = graph.fixed(name)
        if shape is not None and len(shape) == 4 and shape[1] >= 16 and min(shape[2:]) > 16:
            raise OnnxFileError(
                f'it is a segmentation model: beside its boxes it answers with {shape[1]} maps for '
                f'masks ({name}). Only detectors can be run here: export one with the task "detect"'
            )
    columns = grid.columns
    if len(columns) < 3 or columns[0] != 4 or (columns[1] == 1 and not grid.turned):
        return
    if columns[-1] == 1:
        raise OnnxFileError(
            'it is a model of oriented boxes: behind its classes stands an angle. Only detectors '
            'of upright boxes can be run here'
        )
    if columns[-1] % 3 == 0 or columns[-1] % 2 == 0:
        raise OnnxFileError(
            f'it is a pose model: behind its classes stand {columns[-1]} numbers for keypoints. '
            'Only detectors can be run here'
        )


def _boxes_and_classes(graph: Graph, facts: Facts, grid: Grid, said: str) -> Head:
    family = facts.family or FAMILIES['yolov8']
    classes = grid.width - 4
    values = probed(graph, grid, family, facts)
    if not are_scores(values[:, 4:]):
        raise OnnxFileError(
            f'{said}, but the {classes} class scores are not between 0 and 1: if the columns begin '
            'with something else than 4 numbers of the box, say the family with --family'
        )
    corners = _are_corners(graph, facts, grid, values[:, :4])
    said += f', boxes ({"two corners" if corners else "centre and size"}) and {classes} classes'
    unsure = ''
    if corners and facts.family is None and not facts.metadata.exporter:
        unsure = 'boxes are two corners, which exporters of YOLO do not write'
    decoder = YoloDecoder(
        classes=classes,
        transposed=not grid.turned,
        boxes='xyxy' if corners else 'cxcywh',
        relative=are_shares(values[:, :4]),
    )
    return Head(family, decoder, {'output': grid.name}, graph.model, said, classes, unsure=unsure)


def _ended(graph: Graph) -> bool:
    return bool({'TopK', 'NonMaxSuppression'} & set(graph.operations))


def _are_corners(graph: Graph, facts: Facts, grid: Grid, boxes: np.ndarray) -> bool:
    """Whether boxes are two corners: as their exporter has it, else by their numbers."""
    if facts.metadata.exporter == 'libreyolo':
        return True
    if facts.metadata.exporter == 'ultralytics' and 'NonMaxSuppression' not in graph.operations:
        return False  # before its own suppression it writes corners in some versions
    return are_corners(boxes) and _around_cells(graph, grid, boxes)


def _around_cells(graph: Graph, grid: Grid, boxes: np.ndarray) -> bool:
    """Whether boxes, taken as two corners, have their cells inside, as distances to sides do."""
    if grid.anchors > 1 or not grid.strides:
        return True
    places, steps = cells(graph.size, grid.strides)
    if are_shares(boxes):
        boxes = boxes * np.array([graph.size[1], graph.size[0]] * 2, np.float32)
    middle = np.tile((places + 0.5) * steps, (len(boxes) // len(places), 1))
    inside = (boxes[:, :2] <= middle + 1) & (boxes[:, 2:] >= middle - 1)
    return bool(inside.all(1).mean() > 0.9)


def _objectness(graph: Graph, facts: Facts, grid: Grid, steps: set[str], said: str) -> Head:
    classes, placed = grid.width - 5, bool(steps & _PLACED)
    said += f', boxes, objectness and {classes} classes'
    output = {'output': grid.name}
    exponents = 'Exp' in steps
    family = facts.family
    if family is None and grid.anchors == 1:
        family = FAMILIES['yolox' if exponents or not placed else 'yolov6']
    elif family is None:
        family = FAMILIES['yolov5']
    if grid.anchors == 3 and not placed:
        raise OnnxFileError(
            f'{said}, but the boxes are raw and their anchors are not in the file: export it with '
            'the grid decoded (YOLOv5: export.py as it is; YOLOv7: --grid)'
        )
    if grid.turned:
        raise OnnxFileError(f'{said}, rows and columns exchanged: no exporter known here does that')
    values = probed(graph, grid, family, facts)
    if not are_scores(values[:, 4:]):
        raise OnnxFileError(f'{said}, but objectness and scores are not between 0 and 1')
    if family.head == 'yolox':
        decoder = YoloxDecoder(classes=classes, strides=grid.strides, decoded=placed)
        said += ', the boxes ' + ('decoded' if placed else 'raw: offsets from their cells')
        return Head(family, decoder, output, graph.model, said, classes)
    rows = YoloObjectnessDecoder(classes=classes, relative=are_shares(values[:, :4]))
    return Head(family, rows, output, graph.model, said, classes)


def _distribution(graph: Graph, facts: Facts, grid: Grid, said: str) -> Head:
    if len(grid.columns) == 2:
        classes = grid.columns[0]
    elif facts.names:
        classes = len(facts.names)
    else:
        classes = grid.width - 32
    bins, rest = divmod(grid.width - classes, 4)
    if rest or bins < 2 or classes < 1:
        raise OnnxFileError(
            f'{said}, each with {grid.width} numbers, which are not {classes} classes and four '
            'distributions: give the class names with --names'
        )
    family = facts.family or FAMILIES['nanodet']
    said += f', {classes} classes and four sides with {bins} bins each'
    first = family.name == 'nanodet' and len(grid.strides) == 3
    plus = family.name == 'nanodet' and not first
    decoder = DistributionDecoder(
        classes=classes,
        bins=bins - 1,
        strides=grid.strides,
        centre=0.0 if plus else 0.5,
    )
    look = NANODET_FIRST if first else None
    output = {'output': grid.name}
    return Head(family, decoder, output, graph.model, said, classes, look=look)


def probed(graph: Graph, grid: Grid, family: Family, facts: Facts) -> np.ndarray:
    """Rows of the tensor for made-up frames, ``(N, columns)``."""
    look = family.look.changed(facts.input)
    answers = run(graph.model, [grid.name], look.preprocessing(graph.size))
    values = np.concatenate([answer[grid.name][0] for answer in answers], int(grid.turned))
    return values.T if grid.turned else values
