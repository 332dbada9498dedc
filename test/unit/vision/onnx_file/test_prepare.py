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

"""Files as people export them, made here."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from e4_ros.vision.onnx_edit import Slot, slots
from e4_ros.vision.onnx_file.prepare import prepare
from e4_ros.vision.onnx_file.read import OnnxFileError, content_hash, read_onnx

WEIGHTS = np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32)


def convolution(
    shape=(1, 3, 32, 48),
    kind=TensorProto.FLOAT,
    further=(),
    nodes=None,
    opset=13,
    weights_listed=False,
) -> onnx.ModelProto:
    """A network of one convolution on its image."""
    weights = numpy_helper.from_array(WEIGHTS.astype(helper.tensor_dtype_to_np_dtype(kind)), 'w')
    nodes = nodes or [helper.make_node('Conv', ['image', 'w'], ['y'], pads=[1, 1, 1, 1])]
    inputs = [helper.make_tensor_value_info('image', kind, shape), *further]
    if weights_listed:
        inputs.append(helper.make_tensor_value_info('w', kind, WEIGHTS.shape))
    output = helper.make_tensor_value_info('y', kind, None)
    graph = helper.make_graph(nodes, 'net', inputs, [output], [weights])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid('', opset)], ir_version=8)


def answer(model: onnx.ModelProto, image: np.ndarray) -> np.ndarray:
    session = ort.InferenceSession(model.SerializeToString())
    return session.run(None, {'x': image})[0]


@pytest.fixture
def image():
    return np.random.default_rng(1).uniform(0, 1, (1, 3, 32, 48)).astype(np.float32)


def test_shapes_are_known_and_the_image_is_x(image):
    ready = prepare(convolution())
    known = slots(ready.graph)
    assert known['x'] == (1, 3, 32, 48)
    assert known['y'] == (1, 4, 32, 48)
    reference = nn.functional.conv2d(torch.tensor(image), torch.tensor(WEIGHTS), padding=1)
    np.testing.assert_allclose(answer(ready, image), reference.numpy(), atol=1e-4)


def test_open_lengths_take_the_size_that_is_given():
    ready = prepare(convolution(shape=('n', 3, 'h', 'w')), (32, 48))
    assert slots(ready.graph)['y'] == (1, 4, 32, 48)
    with pytest.raises(OnnxFileError, match='--input 640'):
        prepare(convolution(shape=(1, 3, None, None)))


def test_weights_that_old_exporters_list_as_inputs_are_none(image):
    ready = prepare(convolution(weights_listed=True))
    assert [each.name for each in ready.graph.input] == ['x']
    np.testing.assert_array_equal(answer(ready, image), answer(prepare(convolution()), image))


def test_other_layouts_and_types_are_turned_inside(image):
    expected = answer(prepare(convolution()), image)
    conv = helper.make_node('Conv', ['chw', 'w'], ['y'], pads=[1, 1, 1, 1])
    last = helper.make_node('Transpose', ['image'], ['chw'], perm=[0, 3, 1, 2])
    ready = prepare(convolution(shape=(1, 32, 48, 3), nodes=[last, conv]))
    np.testing.assert_allclose(answer(ready, image), expected, atol=1e-6)

    axes = helper.make_node('Constant', [], ['zero'], value_ints=[0])
    batch = helper.make_node('Unsqueeze', ['image', 'zero'], ['chw'])
    ready = prepare(convolution(shape=(3, 32, 48), nodes=[axes, batch, conv]))
    np.testing.assert_allclose(answer(ready, image), expected, atol=1e-6)

    ready = prepare(convolution(kind=TensorProto.FLOAT16))
    assert slots(ready.graph)['x'].kind == TensorProto.FLOAT
    np.testing.assert_allclose(answer(ready, image), expected, atol=0.05)


def test_the_size_of_the_source_image_is_that_of_the_input(image):
    size = helper.make_tensor_value_info('orig_target_sizes', TensorProto.INT64, ('n', 2))
    conv = helper.make_node('Conv', ['image', 'w'], ['c'], pads=[1, 1, 1, 1])
    cast = helper.make_node('Cast', ['orig_target_sizes'], ['size'], to=TensorProto.FLOAT)
    total = helper.make_node('ReduceSum', ['size'], ['s'], keepdims=0)
    add = helper.make_node('Add', ['c', 's'], ['y'])
    ready = prepare(convolution(further=[size], nodes=[conv, cast, total, add]))
    assert [each.name for each in ready.graph.input] == ['x']
    expected = answer(prepare(convolution()), image) + (32 + 48)
    np.testing.assert_allclose(answer(ready, image), expected, atol=1e-4)


@pytest.mark.parametrize(
    ('changes', 'size', 'says'),
    [
        ({'shape': (4, 3, 32, 48)}, None, 'fixed to 4 images at once'),
        ({'shape': (1, 1, 32, 48)}, None, 'images of 1 channels'),
        ({'shape': (1, 3)}, None, 'takes one image'),
        ({}, (64, 64), 'fixed to 32×48, it cannot be 64×64'),
        ({'shape': (1, 3, None, None)}, (4, 4), 'none that things are detected in'),
        ({'kind': TensorProto.INT64}, None, 'int64, which no camera gives'),
        ({'opset': 99}, None, 'opset 99'),
        (
            {'further': [helper.make_tensor_value_info('prompt', TensorProto.FLOAT, (1, 77))]},
            None,
            "an input 'prompt' beside its image",
        ),
    ],
)
def test_what_is_no_detector_on_a_camera_is_refused(changes, size, says):
    with pytest.raises(OnnxFileError, match=says):
        prepare(convolution(**changes), size)


def test_files_that_are_none_are_refused(tmp_path):
    path = tmp_path / 'best.onnx'
    with pytest.raises(OnnxFileError, match='there is no file'):
        read_onnx(path)
    path.write_bytes(b'')
    with pytest.raises(OnnxFileError, match='no operations'):
        read_onnx(path)
    path.write_bytes(b'PK\x03\x04 a checkpoint of PyTorch')
    with pytest.raises(OnnxFileError, match='has to be exported first'):
        read_onnx(path)
    whole = convolution().SerializeToString()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(OnnxFileError, match='export or copy it again'):
        read_onnx(path)
    with pytest.raises(OnnxFileError, match='cannot be read'):
        read_onnx(tmp_path)


def test_weights_beside_the_file_are_read_or_missed(tmp_path, image):
    path = tmp_path / 'best.onnx'
    onnx.save(
        convolution(), path, save_as_external_data=True, location='best.data', size_threshold=0
    )
    expected = answer(prepare(convolution()), image)
    np.testing.assert_array_equal(answer(prepare(read_onnx(path)), image), expected)
    before = content_hash(read_onnx(path))
    assert content_hash(read_onnx(path)) == before
    (tmp_path / 'best.data').unlink()
    with pytest.raises(OnnxFileError, match='lie in a file of their own'):
        read_onnx(path)


def test_a_slot_knows_whether_it_is_fixed():
    assert Slot((1, 2)).fixed
    assert not Slot((1, -1)).fixed
