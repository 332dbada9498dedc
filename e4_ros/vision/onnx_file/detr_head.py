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

"""Transformers that answer with a set: logits and one box for each query.

What comes behind them in many exports (scores sorted by TopK, labels as whole numbers, boxes in
pixels) is left out of the graph, since the decoder does the same on what passes the least score.
"""

from __future__ import annotations

from e4_ros.vision.models.decoders import DetrDecoder
from e4_ros.vision.onnx_file.coco import COCO, COCO_NUMBERS
from e4_ros.vision.onnx_file.facts import Facts
from e4_ros.vision.onnx_file.families import FAMILIES, Family
from e4_ros.vision.onnx_file.graph import Graph, words
from e4_ros.vision.onnx_file.head import Head
from e4_ros.vision.onnx_file.probe import are_scores, are_shares, run
from e4_ros.vision.onnx_file.read import OnnxFileError

_MOST_QUERIES = 3000
_LOGITS = ('logits', 'pred_logits', 'labels')  # RF-DETR calls its logits labels
_BOXES = ('boxes', 'pred_boxes', 'dets')
_SCORES = ('Sigmoid', 'Softmax')
_SPARE = ('rfdetr', 'lwdetr', 'conditional_detr', 'deformable_detr', 'dinodetr')


def read_detr(graph: Graph, facts: Facts) -> Head | None:
    """Understand logits and boxes of queries, as outputs or before the end of the graph.

    Raises:
        OnnxFileError: they are there, but it must be said what they mean, or it is of another task.
    """
    if facts.family is not None and facts.family.head != 'detr':
        return None
    pair = _outputs(graph) or _joined(graph) or _sorted(graph)
    if pair is None:
        return None
    logits, boxes = pair
    _check_task(graph, logits)
    shape = graph.fixed(logits)
    assert shape is not None
    family = _family(graph, facts)
    classes, why = shape[2], ''
    scores = family.scores
    if facts.family is None and scores == 'softmax':
        known = len(facts.names) or facts.metadata.classes or len(COCO)
        numbered = known == len(COCO) and classes == COCO_NUMBERS[-1] + 1
        if known == classes or numbered:
            scores = 'sigmoid'
    if scores == 'softmax':
        classes -= 1
        why = ' and one for no object'
    look = family.look.changed(facts.input)
    answers = run(graph.model, [logits, boxes], look.preprocessing(graph.size))
    # Some families regress boxes beyond the image's edges, so that not all lie between 0 and 1.
    shares = all(are_shares(answer[boxes]) for answer in answers)
    if facts.family is None and (not shares or all(are_scores(a[logits]) for a in answers)):
        return None
    if not shares:
        raise OnnxFileError(
            f"{boxes} is no {family.title}'s: its boxes are not shares of the image, 0 to 1"
        )
    said = (
        f'{logits} is {words(graph.shape(logits))} and {boxes} {words(graph.shape(boxes))}: '
        f'{shape[1]} queries, {classes} classes{why}, scores by {scores}'
    )
    return Head(
        family,
        DetrDecoder(classes=classes, scores=scores),
        {'logits': logits, 'boxes': boxes},
        graph.model,
        said,
        classes,
        spare=family.name in _SPARE,
        notes=_left_out(graph, (logits, boxes)),
    )


def _left_out(graph: Graph, pair: tuple[str, str]) -> tuple[str, ...]:
    if set(pair) <= set(graph.outputs):
        return ()
    return ('what sorts and scales the answer behind that is left out of the graph',)


def _outputs(graph: Graph) -> tuple[str, str] | None:
    """Logits and boxes that are outputs; by name first, else by shape."""
    shapes = {name: graph.fixed(name) for name in graph.outputs}
    queries = {
        name: shape
        for name, shape in shapes.items()
        if shape is not None and len(shape) == 3 and shape[0] == 1 and shape[1] <= _MOST_QUERIES
    }
    boxes = [name for name, shape in queries.items() if shape[2] == 4]
    for names, last in ((_BOXES, 4), (_LOGITS, None)):
        if last and len(boxes) > 1:
            boxes = [name for name in boxes if name in names] or boxes
    if len(boxes) != 1:
        named = [name for name in queries if name in _LOGITS]
        others = [name for name in boxes if name not in named]
        if len(named) != 1 or len(others) != 1:
            return None
        boxes = others
    box = boxes[0]
    others = [name for name in queries if name != box and queries[name][1] == queries[box][1]]
    named = [name for name in others if name in _LOGITS]
    logits = named or others
    if len(logits) != 1 or _is_score(graph, logits[0]):
        return None
    return logits[0], box


def _joined(graph: Graph) -> tuple[str, str] | None:
    """Logits and boxes that are joined to one output, as Ultralytics does for RT-DETR."""
    if len(graph.outputs) != 1:
        return None
    shape = graph.fixed(graph.outputs[0])
    if shape is None or len(shape) != 3 or shape[1] > _MOST_QUERIES or _transformer(graph) < 2:
        return None
    columns = graph.columns(graph.outputs[0], 2)
    if len(columns) != 2 or columns[0][1] != 4:
        return None
    boxes, scores = columns[0][0], columns[1][0]
    maker = graph.maker(scores)
    if maker is None or maker.op_type != 'Sigmoid':
        return None
    return maker.input[0], boxes


def _sorted(graph: Graph) -> tuple[str, str] | None:
    """Logits and boxes behind which scores are sorted by TopK."""
    if 'TopK' not in graph.operations or _transformer(graph) < 2:
        return None
    for name in graph.outputs:
        for node in graph.before(name):
            if node.op_type not in _SCORES:
                continue
            shape = graph.fixed(node.input[0])
            if shape is None or len(shape) != 3 or shape[0] != 1 or shape[2] == 4:
                continue
            box = _box_before_end(graph, shape[1])
            if box is not None:
                return node.input[0], box
    return None


def _box_before_end(graph: Graph, queries: int) -> str | None:
    """The last tensor of centres and sizes of some queries: what is taken apart into four."""
    for name in graph.tensors():
        if graph.fixed(name) != (1, queries, 4):
            continue
        parts = 0
        for node in graph.readers(name):
            if node.op_type == 'Split':
                parts += len(node.output)
            elif node.op_type in ('Gather', 'Slice'):
                parts += 1
        if parts >= 2:
            return name
    return None


def _is_score(graph: Graph, name: str) -> bool:
    node = graph.maker(name)
    return node is not None and node.op_type in _SCORES


def _transformer(graph: Graph) -> int:
    """How often a graph attends to something: 0 for a network of convolutions."""
    return graph.operations['Softmax'] + graph.operations['GridSample']


def _family(graph: Graph, facts: Facts) -> Family:
    """The family, by what is said, by names, and by what the transformer does."""
    if facts.family is not None:
        return facts.family
    if 'dets' in graph.outputs and 'labels' in graph.outputs:
        return FAMILIES['rfdetr']
    text = ' '.join(node.name for node in graph.model.graph.node).lower()
    for word, name in (
        ('dinov3', 'deimv2_dinov3'),
        ('dinov2', 'rfdetr'),
        ('lqe_layers', 'dfine'),
    ):
        if word in text:
            return FAMILIES[name]
    if 'TopK' in graph.operations:
        return FAMILIES['rtdetr']
    return FAMILIES['deformable_detr' if 'GridSample' in graph.operations else 'detr']


def _check_task(graph: Graph, logits: str) -> None:
    """Refuse what answers with masks or keypoints beside its boxes."""
    for name in graph.outputs:
        shape = graph.fixed(name)
        what = 'masks' if shape is not None and len(shape) == 4 else ''
        if any(word in name.lower() for word in ('mask', 'keypoint', 'kpt')) or what:
            raise OnnxFileError(
                f'it answers with {what or "keypoints"} beside its boxes ({name}): a segmentation '
                'or pose model. Only detectors can be run here: export one without them'
            )
