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

from itertools import islice
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from e4_ros.evaluation.sources import open_source
from e4_ros.vision.boxes import iou_matrix
from e4_ros.vision.bundle import load_bundle
from e4_ros.vision.bundle.program import StoredProgram
from e4_ros.vision.inference.batch_times import BatchTable, BatchTime, batch_times
from e4_ros.vision.inference.batched import BatchedNetwork
from e4_ros.vision.inference.widened import BatchError, bucket_of, widened
from e4_ros.vision.runtime.onnx_runtime import OnnxRuntime

BUNDLE = Path(__file__).parents[4] / 'e4_ros/weights/pedestrian_ssdlite'


def program(nodes, weights, out_shape, shape=(1, 3, 4, 4)):
    graph = helper.make_graph(
        nodes,
        'stage0',
        [helper.make_tensor_value_info('x', TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info('y', TensorProto.FLOAT, out_shape)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)
    onnx.checker.check_model(model)
    return StoredProgram('stage0', {'x': shape}, ('y',), model.SerializeToString())


def flattened(to):
    """A reshape, as exporters write it when they have seen a batch of one."""
    nodes = [helper.make_node('Reshape', ['x', 'to'], ['y'])]
    return program(nodes, {'to': np.array(to, np.int64)}, (1, 48))


@pytest.mark.parametrize(
    ('count', 'largest', 'bucket'), [(1, 8, 1), (3, 8, 4), (9, 8, 8), (3, 2, 2), (5, 1, 1)]
)
def test_a_bucket_holds_what_comes_or_is_the_largest(count, largest, bucket):
    assert bucket_of(count, largest) == bucket


def test_a_reshape_that_says_1_keeps_what_comes():
    wide = widened(flattened((1, -1)), 4)
    assert wide.inputs == {'x': (4, 3, 4, 4)}
    runtime = OnnxRuntime(1)
    given = runtime.buffer((4, 3, 4, 4))
    given.write(np.arange(192).reshape(4, 3, 4, 4))
    compiled = runtime.compile(wide, {'x': given})
    compiled.run()
    assert np.array_equal(compiled.outputs['y'].read(), np.arange(192).reshape(4, 48))


def test_a_batch_in_the_middle_of_a_reshape_is_refused_where_it_fails():
    nodes = [
        helper.make_node('Reshape', ['x', 'flat'], ['z']),
        helper.make_node('Reshape', ['z', 'to'], ['y']),
    ]
    weights = {'flat': np.array([48], np.int64), 'to': np.array([1, 48], np.int64)}
    with pytest.raises(BatchError, match='has a batch of 1 built in and cannot take 2'):
        widened(program(nodes, weights, (1, 48)), 2)


def test_rows_that_are_mixed_are_found_out():
    nodes = [
        helper.make_node('ReduceMean', ['x'], ['mean'], axes=[0], keepdims=1),
        helper.make_node('Sub', ['x', 'mean'], ['y']),
    ]
    with pytest.raises(BatchError, match='mixes the rows'):
        widened(program(nodes, {}, (1, 3, 4, 4)), 2)


def test_what_does_not_begin_with_a_batch_is_refused():
    nodes = [helper.make_node('Relu', ['x'], ['y'])]
    with pytest.raises(BatchError, match=r'has the shape \(3, 4, 4\)'):
        widened(program(nodes, {}, (3, 4, 4), (3, 4, 4)), 2)


def test_frames_of_any_sizes_get_their_own_answers():
    network = load_bundle(BUNDLE).network
    first = next(islice(open_source('bikes'), 120, None))[1]
    frames = [first[: 272 - 8 * row] for row in range(5)]
    runtime = OnnxRuntime(1)
    alone = BatchedNetwork(network.model, network.stages, runtime)
    together = BatchedNetwork(network.model, network.stages, runtime, 2)
    assert (alone.largest, together.largest) == (1, 2)
    for one, many in zip(alone.answers(frames, 0.1), together.answers(frames, 0.1), strict=True):
        assert len(one) == len(many) > 0
        assert np.allclose(one.scores, many.scores, atol=1e-4)
        assert (iou_matrix(one.boxes, many.boxes).max(1) > 0.99).all()


def test_a_table_says_what_it_measured_and_comes_back_from_a_file():
    network = load_bundle(BUNDLE).network
    frame = np.full((240, 320, 3), 114, np.uint8)
    table = batch_times(network, frame, (1, 2), (1,), seconds=0.01)
    assert [(each.batch, each.sessions) for each in table.times] == [(1, 1), (2, 1)]
    assert all(min(each.frame_s, each.run_s, each.cpu_s) > 0 for each in table.times)
    assert BatchTable.from_json(table.to_json()) == table
    assert table.run_s(2) == table.times[1].run_s
    with pytest.raises(KeyError):
        table.run_s(8)


def test_on_a_cpu_a_batch_pays_by_the_time_of_a_core():
    alone, together = BatchTime(1, 1, 0.01, 0.01, 0.01), BatchTime(4, 1, 0.02, 0.005, 0.0099)
    assert not BatchTable('cpu', (alone, together)).pays
    assert BatchTable('cuda', (alone, together)).pays
