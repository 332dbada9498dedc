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

from __future__ import annotations

import pytest
from onnx import TensorProto, helper

from e4_ros.vision.onnx_file.graph import Graph, same_axis


def graph(nodes, shapes):
    """A graph of an image ``x`` with tensors of given shapes, the last one its output."""
    infos = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in shapes.items()
    ]
    entry = helper.make_tensor_value_info('x', TensorProto.FLOAT, (1, 3, 8, 8))
    made = helper.make_graph(nodes, 'net', [entry], infos[-1:], value_info=infos[:-1])
    return Graph(helper.make_model(made))


def test_what_a_tensor_is_put_together_of_is_seen_through_reshapes_and_transposes():
    found = graph(
        [
            helper.make_node('Concat', ['boxes', 'scores'], ['both'], axis=1),
            helper.make_node('Reshape', ['both', 'shape'], ['flat']),
            helper.make_node('Transpose', ['flat'], ['rows'], perm=[0, 2, 1]),
        ],
        {
            'boxes': (1, 4, 5, 5),
            'scores': (1, 3, 5, 5),
            'both': (1, 7, 5, 5),
            'flat': (1, 7, 25),
            'rows': (1, 25, 7),
        },
    )
    assert found.columns('rows', 2) == [('boxes', 4), ('scores', 3)]
    assert found.columns('rows', 1) == [('rows', 25)]
    assert found.size == (8, 8)


def test_a_tensor_that_is_joined_with_itself_again_and_again_is_read_at_once():
    nodes, shapes = [], {'t0': (1, 1, 4)}
    for number in range(40):
        before = f't{number}'
        nodes.append(helper.make_node('Concat', [before, before], [f't{number + 1}'], axis=1))
        shapes[f't{number + 1}'] = (1, 2 ** (number + 1), 4)
    assert len(graph(nodes, shapes).columns('t40', 1)) <= 64


@pytest.mark.parametrize(
    ('source', 'target', 'axis', 'expected'),
    [
        ((1, 85, 20, 20), (1, 85, 400), 1, 1),
        ((1, 3, 20, 20, 85), (1, 1200, 85), 2, 4),
        ((1, 4, 5), (4, 5), 0, 1),
        ((1, 12, 5), (1, 4, 15), 1, None),
    ],
)
def test_axes_are_followed_through_reshapes(source, target, axis, expected):
    assert same_axis(source, target, axis) == expected


def test_operations_before_a_tensor_end_at_what_was_learnt():
    found = graph(
        [
            helper.make_node('Exp', ['x'], ['early']),
            helper.make_node('Conv', ['early', 'w'], ['middle']),
            helper.make_node('Sigmoid', ['middle'], ['late']),
        ],
        {'early': (1, 3, 8, 8), 'middle': (1, 3, 8, 8), 'late': (1, 3, 8, 8)},
    )
    assert found.steps('late') == {'Sigmoid'}
