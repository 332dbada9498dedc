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

"""Suppression that only TensorRT has, which many exports for it end with: left out of the graph."""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper

#: Operations that read boxes ``(1, N, 4)`` first and scores ``(1, N, C)`` second.
_PLUGINS = (
    'EfficientNMS_TRT',
    'EfficientNMSX_TRT',
    'EfficientNMS_ONNX_TRT',
    'BatchedNMS_TRT',
    'BatchedNMSDynamic_TRT',
)


def cut_plugins(model: onnx.ModelProto) -> None:
    """Let a graph that ends in such an operation answer with what that reads.

    Args:
        model: the model; it is changed.
    """
    graph = model.graph
    for node in graph.node:
        if node.op_type in _PLUGINS:
            reads = list(node.input[:2])
            graph.node.remove(node)
            del graph.output[:]
            for name in reads:
                info = helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
                graph.output.append(info)
            return
