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

"""Networks of half precision as networks of single, in which CPUs and all stages compute."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, numpy_helper

_HALF = (TensorProto.FLOAT16, TensorProto.BFLOAT16)


def widen(model: onnx.ModelProto) -> bool:
    """Turn every number of half precision into one of single.

    Args:
        model: the model; it is changed.

    Returns:
        Whether there was any.
    """
    return _widen(model.graph)


def _widen(graph: onnx.GraphProto) -> bool:
    found = False
    for weight in graph.initializer:
        found |= _tensor(weight)
    for info in (*graph.input, *graph.output, *graph.value_info):
        if info.type.tensor_type.elem_type in _HALF:
            info.type.tensor_type.elem_type = TensorProto.FLOAT
            found = True
    for node in graph.node:
        for attribute in node.attribute:
            found |= _attribute(attribute)
    return found


def _attribute(attribute: onnx.AttributeProto) -> bool:
    if attribute.type == AttributeProto.TENSOR:
        return _tensor(attribute.t)
    if attribute.type == AttributeProto.INT and attribute.name in ('to', 'dtype'):
        if attribute.i not in _HALF:
            return False
        attribute.i = TensorProto.FLOAT
        return True
    found = False
    for graph in (attribute.g, *attribute.graphs):
        found |= _widen(graph)
    return found


def _tensor(tensor: onnx.TensorProto) -> bool:
    if tensor.data_type not in _HALF:
        return False
    value = numpy_helper.to_array(tensor).astype(np.float32)
    tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))
    return True
