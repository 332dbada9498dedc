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

"""Stages of networks that came as ONNX files, in fewer bits."""

from __future__ import annotations

import io
import warnings

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from torch import nn

from e4_ros.vision.export.quantize import reduce_model
from e4_ros.vision.networks.onnx_network import OnnxNetwork
from e4_ros.vision.onnx_file.prepare import prepare


class Detector(nn.Module):
    """Two scales that meet, and one tensor with corners in pixels and scores below 1."""

    def __init__(self) -> None:
        super().__init__()
        self.fine, self.coarse = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, 2, 1)
        self.boxes, self.scores = nn.Conv2d(8, 4, 1), nn.Conv2d(8, 2, 1)

    def forward(self, x):
        fine = torch.relu(self.fine(x))
        deep = torch.relu(self.coarse(fine))
        met = fine + nn.functional.interpolate(deep, scale_factor=2.0)
        boxes = 600 * torch.sigmoid(self.boxes(met))
        scores = 0.5 * torch.sigmoid(self.scores(met))
        return torch.cat([boxes, scores], 1)


def cut_in_two(opset):
    """Stages of a detector between which two tensors are alive."""
    torch.manual_seed(0)
    file = io.BytesIO()
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter('ignore')
        torch.onnx.export(
            Detector().eval(), torch.zeros(1, 3, 32, 32), file, dynamo=False, opset_version=opset
        )
    network = OnnxNetwork(prepare(onnx.load_from_string(file.getvalue())))
    (cut,) = (cut.node for cut in network.cuts() if cut.tensors == 2 and cut.shape[2] == 8)
    return [stage.program.onnx() for stage in network.stages([cut])]


def run(model, inputs):
    session = ort.InferenceSession(model, providers=['CPUExecutionProvider'])
    names = [slot.name for slot in session.get_outputs()]
    return dict(zip(names, session.run(None, inputs), strict=True))


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    return [{'x': rng.normal(size=(1, 3, 32, 32)).astype(np.float32)} for _ in range(8)]


@pytest.mark.parametrize('opset', [11, 17])
@pytest.mark.parametrize('precision', ['int8', 'fp16'])
def test_a_stage_with_several_inputs_says_nearly_the_same(images, opset, precision):
    first, second = cut_in_two(opset)
    between = [run(first, image) for image in images]
    assert len(between[0]) == 2
    exact = [next(iter(run(second, inputs).values())) for inputs in between]
    reduced = reduce_model(second, precision, between)
    assert reduced != second
    for inputs, wanted in zip(between, exact, strict=True):
        (found,) = run(reduced, inputs).values()
        assert 0 < np.abs(found[:, :4] - wanted[:, :4]).max() < 6  # of 600
        assert 0 < np.abs(found[:, 4:] - wanted[:, 4:]).max() < 0.005  # of 0.5


def test_what_follows_the_last_convolutions_stays_in_float(images):
    """A step of 600 / 255 for boxes and scores together would leave one score, 0."""
    _, second = cut_in_two(17)
    between = [run(cut_in_two(17)[0], image) for image in images]
    graph = onnx.load_from_string(reduce_model(second, 'int8', between)).graph
    made_by = {name: node for node in graph.node for name in node.output}
    (answer,) = (made_by[out.name] for out in graph.output)
    assert answer.op_type == 'Concat'
    assert {made_by[name].op_type for name in answer.input} == {'Mul'}
    assert sum(node.op_type == 'QuantizeLinear' for node in graph.node) > 2
