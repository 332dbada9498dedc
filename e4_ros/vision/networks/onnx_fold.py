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

"""Compute what is constant in an ONNX graph once, and find out every tensor's shape."""

from __future__ import annotations

import tempfile
from pathlib import Path

import onnx
import onnxruntime as ort

from e4_ros.vision.networks.network import StageError
from e4_ros.vision.onnx_edit import keep_outputs


def folded(model: onnx.ModelProto) -> onnx.ModelProto:
    """What ONNX Runtime keeps of a graph at its basic level, which is still plain ONNX.

    Args:
        model: a graph whose inputs have fixed shapes.

    Returns:
        The same without constants that are computed, with the shapes of its tensors.

    Raises:
        StageError: ONNX Runtime cannot load it.
    """
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 4
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'folded.onnx'
        options.optimized_model_filepath = str(path)
        try:
            ort.InferenceSession(
                model.SerializeToString(), options, providers=['CPUExecutionProvider']
            )
        except Exception as error:  # ONNX Runtime has an exception for each of its status codes
            opset = max((each.version for each in model.opset_import), default=0)
            raise StageError(
                f'ONNX Runtime {ort.__version__} cannot load it (opset {opset}): {_first(error)}'
            ) from error
        found = onnx.load(path)
    used = {node.domain for node in found.graph.node} | {''}
    kept = [each for each in found.opset_import if each.domain in used]
    del found.opset_import[:]
    found.opset_import.extend(kept)
    del found.graph.value_info[:]  # they may still say what was open before
    known = onnx.shape_inference.infer_shapes(found, data_prop=True)
    keep_outputs(known, [out.name for out in known.graph.output])
    return known


def _first(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:300]
