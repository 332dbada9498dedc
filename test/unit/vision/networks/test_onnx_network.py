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

"""Cutting ONNX graphs: random weights of real architectures, exported here."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
import torchvision
from onnx_graphs import exported
from torch import nn

from e4_ros.vision.bundle.join import joined_graph
from e4_ros.vision.inference.stage_chain import Boundaries
from e4_ros.vision.networks import StageError, nearest_cuts
from e4_ros.vision.networks.onnx_network import OnnxNetwork
from e4_ros.vision.networks.torch_network import TorchNetwork
from e4_ros.vision.onnx_file.prepare import prepare
from e4_ros.vision.runtime.onnx_runtime import OnnxRuntime

FAMILIES = ['resnet18', 'mobilenet_v3_small', 'efficientnet_b0', 'swin_t', 'googlenet']


class Neck(nn.Module):
    """Two scales that meet again, as in the neck of a detector, and a head for each."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.deep = nn.Conv2d(8, 16, 3, 2, 1)
        self.deeper = nn.Conv2d(16, 16, 3, 2, 1)
        self.lateral = nn.Conv2d(16, 16, 1)
        self.fine, self.coarse = nn.Conv2d(16, 5, 1), nn.Conv2d(16, 5, 1)
        self.relu = nn.ReLU()

    def forward(self, x):
        x = self.relu(self.deep(self.relu(self.stem(x))))
        deep = self.relu(self.deeper(x))
        fine = self.lateral(x) + nn.functional.interpolate(deep, scale_factor=2.0)
        fine, coarse = self.fine(self.relu(fine)), self.coarse(deep)
        return torch.cat([fine.flatten(2), coarse.flatten(2)], 2)


class Branches(nn.Module):
    """A block of two branches that are joined, then a deeper scale beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, 2, 1)
        self.one, self.two = nn.Conv2d(4, 4, 3, 1, 1), nn.Conv2d(4, 4, 3, 1, 1)
        self.deep, self.answer = nn.Conv2d(8, 16, 3, 2, 1), nn.Conv2d(16, 8, 1)

    def forward(self, x):
        x = self.stem(x)
        joined = torch.cat([torch.relu(self.one(x)), self.two(x)], 1)
        deep = self.answer(nn.functional.gelu(self.deep(joined)))
        return nn.functional.interpolate(deep, scale_factor=2.0) + joined


def exactly(model, options, **further):
    """A session that fuses nothing: a fused operation rounds in another order."""
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(model, options, **further)


def run_chain(parts, image):
    runtime = OnnxRuntime(1, open_session=exactly)
    entry = runtime.buffer(image.shape)
    between = Boundaries(entry)
    pieces = [between.compile(part.program, runtime) for part in parts]
    entry.write(image)
    for piece in pieces:
        piece.run()
    return next(iter(pieces[-1].outputs.values())).read()


def run_whole(model: onnx.ModelProto, image: np.ndarray) -> np.ndarray:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model.SerializeToString(), options)
    return session.run(None, {session.get_inputs()[0].name: image})[0]


@pytest.fixture
def image():
    return np.random.default_rng(0).uniform(-1, 1, (1, 3, 64, 64)).astype(np.float32)


@pytest.fixture
def neck():
    torch.manual_seed(0)
    return OnnxNetwork(prepare(exported(Neck())))


@pytest.mark.parametrize('name', FAMILIES)
def test_chain_equals_whole_exactly(name, image):
    torch.manual_seed(0)
    extra = {'init_weights': False} if name == 'googlenet' else {}
    original = exported(torchvision.models.get_model(name, weights=None, **extra))
    network = OnnxNetwork(prepare(original))
    parts = network.stages(nearest_cuts(network.cuts(), [0.2, 0.5, 0.8]))
    chain = run_chain(parts, image)
    np.testing.assert_array_equal(chain, run_chain(network.stages(), image))
    np.testing.assert_allclose(chain, run_whole(original, image), rtol=1e-4, atol=1e-5)


def test_more_tensors_open_the_neck(neck, image):
    assert {cut.tensors for cut in neck.cuts()} == {1, 2, 3}
    whole = run_chain(neck.stages(), image)
    for cut in neck.cuts():
        parts = neck.stages([cut.node])
        assert len(parts[1].program.inputs) == cut.tensors
        np.testing.assert_array_equal(run_chain(parts, image), whole)
    every = neck.stages([cut.node for cut in neck.cuts()])  # tensors cross several stages
    np.testing.assert_array_equal(run_chain(every, image), whole)


def test_an_exit_reads_the_tensor_of_its_cut(neck):
    for cut in neck.cuts():
        first = neck.stages([cut.node])[0].program
        assert first.outputs[0] == cut.node
        graph = onnx.load_from_string(first.onnx()).graph
        shape = graph.output[0].type.tensor_type.shape
        assert tuple(d.dim_value for d in shape.dim) == cut.shape


def test_a_cut_says_where_its_tensor_is_one_branch_of_several():
    cuts = OnnxNetwork(prepare(exported(Branches()))).cuts()
    branch = {cut.node.split('/')[-1]: (cut.tensors, cut.branch) for cut in cuts}
    assert branch['Relu_output_0'] == (2, True)  # the other one is as high and wide
    assert branch['Concat_output_0'] == (1, False)
    assert branch['Conv_output_0'] == (2, False)  # another scale waits beside it


def test_costs_are_those_of_the_torch_network(neck):
    torch.manual_seed(0)
    (ours,) = neck.stages()
    (theirs,) = TorchNetwork(Neck(), (64, 64), ['answer']).stages()
    assert ours.work.macs == theirs.work.macs
    assert ours.work.bytes_moved == pytest.approx(theirs.work.bytes_moved, rel=0.2)
    assert ours.work.layers == pytest.approx(theirs.work.layers, abs=3)
    parts = neck.stages([neck.cuts()[2].node])
    assert sum(part.work.macs for part in parts) == ours.work.macs


def test_joined_stages_can_be_cut_again_at_the_same_places(neck, image):
    cuts = [cut.node for cut in neck.cuts()][::2]
    parts = neck.stages(cuts)
    whole = OnnxNetwork(joined_graph(parts), neck.fingerprint)
    assert [cut.node for cut in whole.cuts()] == [cut.node for cut in neck.cuts()]
    np.testing.assert_array_equal(
        run_chain(whole.stages(cuts), image), run_chain(neck.stages(), image)
    )


def test_stages_whose_operations_have_no_names_are_joined(neck, image):
    graph = onnx.ModelProto.FromString(neck.model.SerializeToString())
    for node in graph.graph.node:
        node.name = ''
    parts = OnnxNetwork(graph).stages([neck.cuts()[1].node])
    np.testing.assert_array_equal(
        run_whole(joined_graph(parts), image), run_whole(neck.model, image)
    )


def test_impossible_cuts_are_refused(neck):
    first, second, *_ = (cut.node for cut in neck.cuts())
    with pytest.raises(StageError, match='cannot be cut after'):
        neck.stages(['nowhere'])
    with pytest.raises(StageError, match='in order'):
        neck.stages([second, first])


def test_the_fingerprint_is_that_of_the_weights():
    torch.manual_seed(0)
    one = prepare(exported(Neck()))
    assert OnnxNetwork(one).fingerprint == OnnxNetwork(one).fingerprint
    torch.manual_seed(1)
    assert OnnxNetwork(one).fingerprint != OnnxNetwork(prepare(exported(Neck()))).fingerprint
    assert OnnxNetwork(one, 'given').fingerprint == 'given'
