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

"""Make a foreign graph one that can be cut: one image of a fixed size in, every shape known."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from e4_ros.vision.networks import StageError
from e4_ros.vision.networks.onnx_fold import folded
from e4_ros.vision.onnx_edit import rename, slot_of
from e4_ros.vision.onnx_file.image_input import ImageInput, image_input, set_shape
from e4_ros.vision.onnx_file.plugins import cut_plugins
from e4_ros.vision.onnx_file.read import OnnxFileError
from e4_ros.vision.onnx_file.widen import widen

_KINDS = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.UINT8}


def prepare(model: onnx.ModelProto, input_size: tuple[int, int] | None = None) -> onnx.ModelProto:
    """A graph that reads ``x`` ``(1, 3, H, W)`` float32, with all that is constant folded.

    What the file wants in another layout or type is turned inside the graph. Other inputs of
    detectors, such as the size of the source image, are set to that of the network's input.

    Args:
        model: as it was read; it is not changed.
        input_size: height and width, for a file that leaves them open.

    Raises:
        OnnxFileError: it takes something else than one image, its size is unknown or another, or
            ONNX Runtime cannot run it.
    """
    model = onnx.ModelProto.FromString(model.SerializeToString())
    widen(model)
    cut_plugins(model)
    image = image_input(model, input_size)
    set_shape(model, image)
    _feed_sizes(model, image)
    _adapt(model, image)
    try:
        return folded(model)
    except StageError as error:
        raise OnnxFileError(str(error)) from error


def _feed_sizes(model: onnx.ModelProto, image: ImageInput) -> None:
    """Turn the inputs beside the image into constants."""
    graph = model.graph
    height, width = image.size
    weights = {each.name for each in graph.initializer}
    for other in [i for i in graph.input if i.name != image.name and i.name not in weights]:
        values = {
            'orig_target_sizes': [width, height],
            'im_shape': [height, width],
            'image_shape': [height, width],
            'scale_factor': [1, 1],
        }.get(other.name)
        if values is None:
            raise OnnxFileError(
                f'the network has an input {other.name!r} beside its image, and nobody here knows '
                'what belongs there: export it with the image as the only input'
            )
        kind = helper.tensor_dtype_to_np_dtype(slot_of(other).kind)
        graph.initializer.append(numpy_helper.from_array(np.array([values], kind), other.name))
        graph.input.remove(other)


def _adapt(model: onnx.ModelProto, image: ImageInput) -> None:
    """Let the graph begin with ``x``, whatever it began with."""
    graph = model.graph
    if image.name != 'x':
        rename(model, {image.name: 'x'})
    if image.kind not in _KINDS:
        raise OnnxFileError(
            f'the network takes its image as {TensorProto.DataType.Name(image.kind).lower()}, '
            'which no camera gives: export it with a float32 input'
        )
    steps: list[onnx.NodeProto] = []

    def step(operation: str, *further: str, **attributes: Any) -> None:
        before = steps[-1].output[0] if steps else 'x'
        name = f'image_{len(steps)}'
        steps.append(helper.make_node(operation, [before, *further], [name], **attributes))

    if image.channels_last:
        step('Transpose', perm=[0, 2, 3, 1])
    if image.single:
        shape = image.shape[1:]
        graph.initializer.append(numpy_helper.from_array(np.array(shape, np.int64), 'image_shape'))
        step('Reshape', 'image_shape')
    if image.kind != TensorProto.FLOAT:
        step('Cast', to=image.kind)
    if steps:
        for node in graph.node:
            node.input[:] = [steps[-1].output[0] if i == 'x' else i for i in node.input]
        for place, node in enumerate(steps):
            graph.node.insert(place, node)
    entry = helper.make_tensor_value_info('x', TensorProto.FLOAT, (1, 3, *image.size))
    del graph.input[:]  # weights that old exporters list here, too, are not inputs
    graph.input.append(entry)
