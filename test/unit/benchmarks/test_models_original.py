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

"""Files run by themselves: small graphs whose answers are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from e4_ros.benchmarks.models.original import SIZES, Original, original_difference

PIXELS = np.random.default_rng(0).uniform(0, 255, (1, 3, 4, 6))
FRAME = np.zeros((40, 60, 3), np.uint8)


class Prepares:
    """Gives the same pixels for any frame."""

    def preprocess(self, frame: np.ndarray) -> np.ndarray:
        return PIXELS.astype(np.float32)


def written(tmp_path: Path, kind: int = TensorProto.FLOAT, channels_last: bool = False) -> Path:
    """A network that doubles its image, adds one to that, and tells the sizes it was given."""
    shape = [1, 4, 6, 3] if channels_last else ['N', 3, 4, 6]
    inputs = [
        helper.make_tensor_value_info('images', kind, shape),
        helper.make_tensor_value_info(SIZES, TensorProto.INT64, ['N', 2]),
    ]
    nodes = [
        helper.make_node('Add', ['images', 'images'], ['doubled']),
        helper.make_node('Add', ['doubled', 'one'], ['more']),
        helper.make_node('Identity', [SIZES], ['told']),
    ]
    outputs = [
        helper.make_tensor_value_info('more', kind, None),
        helper.make_tensor_value_info('told', TensorProto.INT64, None),
    ]
    one = helper.make_tensor('one', kind, [1], [1.0])
    model = helper.make_model(
        helper.make_graph(nodes, 'doubles', inputs, outputs, [one]),
        opset_imports=[helper.make_opsetid('', 17)],
        ir_version=8,
    )
    path = tmp_path / 'doubles.onnx'
    onnx.save(model, path)
    return path


def test_a_file_is_given_the_image_and_the_frames_width_and_height(tmp_path):
    said = Original(written(tmp_path)).run(PIXELS, FRAME.shape)
    np.testing.assert_allclose(said['more'], 2 * PIXELS + 1, rtol=1e-6)
    assert said['told'].tolist() == [[60, 40]]


@pytest.mark.parametrize(
    ('kind', 'channels_last', 'apart'),
    [(TensorProto.FLOAT16, False, 0.6), (TensorProto.FLOAT, True, 1e-4)],
)
def test_its_own_type_and_order_are_kept(tmp_path, kind, channels_last, apart):
    said = Original(written(tmp_path, kind, channels_last)).run(PIXELS, FRAME.shape)['more']
    expected = 2 * PIXELS + 1
    expected = expected.transpose(0, 2, 3, 1) if channels_last else expected
    np.testing.assert_allclose(said.astype(float), expected, atol=apart)


def test_tensors_inside_the_file_are_compared(tmp_path):
    path = written(tmp_path)
    ours = [{'out': (2 * PIXELS + 0.25).astype(np.float32)}]
    apart = original_difference(path, Prepares(), {'out': 'doubled'}, [FRAME], ours)
    assert apart == pytest.approx(0.25, abs=1e-3)


def test_what_was_put_behind_the_file_cannot_be_compared(tmp_path):
    ours = [{'out': PIXELS}]
    path = written(tmp_path)
    assert original_difference(path, Prepares(), {'out': 'padded'}, [FRAME], ours) is None


def test_an_input_that_is_no_image_is_named(tmp_path):
    model = onnx.load(written(tmp_path))
    model.graph.input[1].name = 'prompt'
    model.graph.node[2].input[0] = 'prompt'
    onnx.save(model, tmp_path / 'other.onnx')
    with pytest.raises(ValueError, match='prompt'):
        Original(tmp_path / 'other.onnx').run(PIXELS, FRAME.shape)
