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

"""Classifiers: one row of numbers for the whole image."""

from __future__ import annotations

import math
from dataclasses import replace

from e4_ros.vision.models.decoders import ClassDecoder
from e4_ros.vision.onnx_file.facts import Facts
from e4_ros.vision.onnx_file.families import FAMILIES, STRETCHED
from e4_ros.vision.onnx_file.graph import Graph, words
from e4_ros.vision.onnx_file.head import Head
from e4_ros.vision.onnx_file.read import OnnxFileError
from e4_ros.vision.onnx_file.tail import Tail

IMAGENET_CLASSES = 1000


def read_classes(graph: Graph, facts: Facts) -> Head | None:
    """Understand one row of class logits or probabilities.

    Raises:
        OnnxFileError: it is a classifier whose classes nobody has named.
    """
    if len(graph.outputs) != 1 or (facts.family and facts.family.head != 'classes'):
        return None
    name = graph.outputs[0]
    shape = graph.fixed(name)
    if shape is None or len(shape) < 2 or shape[1] < 2 or math.prod(shape) != shape[1]:
        return None
    classes = shape[1]
    if not facts.names and classes != IMAGENET_CLASSES:
        raise OnnxFileError(
            f'it is a classifier: its only output {name} is {words(shape)}, one number for each of '
            f'{classes} classes and no boxes. It can be run, with one class for each frame: give '
            'the class names with --names FILE, or as names: in the sidecar'
        )
    family = FAMILIES['classifier']
    look = family.look
    if facts.metadata.exporter == 'ultralytics':
        look = replace(STRETCHED, layout='crop')
    maker = graph.maker(name)
    softmax = maker is not None and maker.op_type == 'Softmax'
    tail = Tail(graph)
    logits = maker.input[0] if maker is not None and softmax else name
    if graph.fixed(logits) != (1, classes):
        logits = tail.reshape(logits, (1, classes))
    said = f'{name} is {words(shape)}: one number for each of {classes} classes'
    said += ', taken before its softmax' if softmax else ''
    outputs = {'logits': logits}
    return Head(
        family, ClassDecoder(), outputs, tail.model, said, classes, task='classify', look=look
    )
