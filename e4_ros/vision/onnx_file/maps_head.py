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

"""Detectors that answer with several tensors, some for each feature map."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from e4_ros.vision.models.decoders import DistributionDecoder
from e4_ros.vision.onnx_file.facts import Facts
from e4_ros.vision.onnx_file.families import FAMILIES, NANODET_FIRST
from e4_ros.vision.onnx_file.graph import Graph, listed, words
from e4_ros.vision.onnx_file.head import Head
from e4_ros.vision.onnx_file.probe import are_scores, run
from e4_ros.vision.onnx_file.read import OnnxFileError

_STRIDES = (4, 8, 16, 32, 64, 128)


def read_maps(graph: Graph, facts: Facts) -> Head | None:
    """Understand scores and distributions of each feature map.

    Raises:
        OnnxFileError: it answers with raw maps around anchors that the file does not hold.
    """
    _refuse_anchors(graph)
    levels = _levels(graph)
    if not levels:
        return None
    look = (facts.family or FAMILIES['nanodet']).look.changed(facts.input)
    names = [name for pair in levels.values() for name in pair]
    answer = run(graph.model, names, look.preprocessing(graph.size))[0]
    known = len(facts.names) or facts.metadata.classes
    scores, sides = {}, {}
    for stride, pair in levels.items():
        found = _scores(graph, pair, answer, known)
        if found is None:
            raise OnnxFileError(
                f'its outputs are {listed(graph)}: two for each feature map, but it does not show '
                'which are class scores and which the sides of boxes: give the class names with '
                '--names'
            )
        scores[stride] = found
        sides[stride] = next(name for name in pair if name != found)
    classes = {_width(graph, name) for name in scores.values()}
    widths = {_width(graph, name) for name in sides.values()}
    if len(classes) != 1 or len(widths) != 1 or (width := min(widths)) % 4 or width < 8:
        raise OnnxFileError(
            f'its outputs are {listed(graph)}: the scores are known, but the boxes are no '
            'distributions; a family that answers so is not known here'
        )
    count, strides = min(classes), tuple(levels)
    family = facts.family or FAMILIES['picodet' if 64 in strides else 'nanodet']
    bins = width // 4
    said = (
        f'{2 * len(strides)} outputs, two for each of the strides '
        f'{", ".join(map(str, strides))}: {count} classes and four sides with {bins} bins each'
    )
    decoder = DistributionDecoder(
        classes=count,
        joint=False,
        logits=not all(are_scores(answer[name]) for name in scores.values()),
        bins=bins - 1,
        strides=strides,
    )
    outputs = {f'scores_{stride}': scores[stride] for stride in strides}
    outputs |= {f'sides_{stride}': sides[stride] for stride in strides}
    first = family.name == 'nanodet' and len(strides) == 3
    own = NANODET_FIRST if first else None
    return Head(family, decoder, outputs, graph.model, said, count, look=own)


def _levels(graph: Graph) -> dict[int, list[str]]:
    """Pairs of outputs by the stride of their feature map; empty where there are none."""
    found: dict[int, list[str]] = {}
    for stride in _STRIDES:
        cells = math.prod(-(-side // stride) for side in graph.size)
        for name in graph.outputs:
            shape = graph.fixed(name)
            if shape is not None and len(shape) == 3 and shape[:2] == (1, cells):
                found.setdefault(stride, []).append(name)
    pairs = all(len(names) == 2 for names in found.values())
    complete = 2 * len(found) == len(graph.outputs) and len(found) > 1
    return found if pairs and complete else {}


def _scores(
    graph: Graph, pair: Sequence[str], answer: Mapping[str, np.ndarray], known: int | None
) -> str | None:
    """The one of two tensors that holds class scores: by its numbers, its width, or its name."""
    for tells in (
        lambda name: are_scores(answer[name]),
        lambda name: _width(graph, name) == known,
        lambda name: any(word in name.lower() for word in ('cls', 'class', 'score', 'conf')),
    ):
        found = [name for name in pair if tells(name)]
        if len(found) == 1:
            return found[0]
    return None


def _width(graph: Graph, name: str) -> int:
    shape = graph.fixed(name)
    return shape[-1] if shape else 0


def _refuse_anchors(graph: Graph) -> None:
    """Refuse maps whose numbers stand for boxes around anchors that only the maker knows."""
    shapes = [graph.fixed(name) for name in graph.outputs]
    maps = [shape for shape in shapes if shape is not None and len(shape) in (4, 5)]
    if len(maps) < 2 or len(maps) != len(shapes):
        return
    first = words(maps[0])
    if all(len(shape) == 5 and 3 in shape[1:4] for shape in maps):
        raise OnnxFileError(
            f'it answers with {len(maps)} raw maps ({first} …) of a YOLO with anchors, and the '
            'anchors are not in the file. Export it with the grid decoded: YOLOv5 with export.py '
            'as it is, YOLOv7 with export.py --grid (without --end2end)'
        )
    raise OnnxFileError(
        f'it answers with {len(maps)} raw maps ({first} …), whose anchors or centres are not in '
        'the file: export it with its boxes decoded'
    )
