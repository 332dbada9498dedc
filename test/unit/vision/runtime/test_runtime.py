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

import numpy as np
import pytest
import torch
from torch import nn

from e4_ros.vision.inference.stage_chain import Boundaries
from e4_ros.vision.networks import nearest_cuts
from e4_ros.vision.networks.torch_export import ExportError, ModuleProgram, export
from e4_ros.vision.runtime.factory import make_runtime
from e4_ros.vision.runtime.interfaces import RuntimeUnavailableError
from e4_ros.vision.zoo import load_model


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU())

    def forward(self, x):
        x = self.layers(x)
        return x, x.mean((2, 3))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv('E4_CACHE', str(tmp_path))
    return tmp_path / 'onnx'


def run_chain(runtime, programs, image):
    entry = runtime.buffer(image.shape)
    between = Boundaries(entry)
    pieces = [between.compile(program, runtime) for program in programs]
    entry.write(image)
    for compiled in pieces:
        compiled.run()
    return {name: buffer.read() for name, buffer in pieces[-1].outputs.items()}


def small(side=8):
    return ModuleProgram('small', Small().eval(), {'x': (1, 3, side, side)}, ('map', 'mean'))


def test_runtimes_agree_on_the_detector():
    model = load_model('pedestrian_ssdlite')
    cuts = nearest_cuts(model.network.cuts(), [0.4, 0.7])
    programs = [part.program for part in model.network.stages(cuts)]
    image = np.random.default_rng(0).uniform(-1, 1, (1, 3, 300, 300)).astype(np.float32)
    ours = run_chain(make_runtime('onnxruntime', threads=1), programs, image)
    reference = run_chain(make_runtime('torch'), programs, image)
    assert list(ours) == list(reference) == ['encodings', 'logits']
    for name in ours:
        np.testing.assert_allclose(ours[name], reference[name], atol=1e-3)


def test_pieces_share_their_buffers():
    runtime = make_runtime('onnxruntime', threads=1)
    entry = runtime.buffer((1, 3, 8, 8))
    first = runtime.compile(small(), {'x': entry})
    entry.write(np.ones(entry.shape))
    first.run()
    seen = first.outputs['map'].read()
    before = seen.copy()
    entry.write(np.zeros(entry.shape))
    first.run()
    assert not np.array_equal(seen, before)  # a view of the buffer, not a copy


def test_export_is_made_once(cache):
    program = small()
    path = program.file()
    made = path.stat().st_mtime_ns
    assert program.file() == path
    assert path.stat().st_mtime_ns == made
    assert [p.name for p in cache.iterdir()] == [path.name]  # no scratch file is left


def test_other_weights_or_shapes_are_another_file(cache):
    module, shapes, names = Small().eval(), {'x': (1, 3, 8, 8)}, ('map', 'mean')
    paths = {export(module, shapes, names), export(module, {'x': (1, 3, 9, 9)}, names)}
    paths |= {export(module, {'y': (1, 3, 8, 8)}, names), export(module, shapes, ('a', 'b'))}
    with torch.no_grad():
        module.layers[0].bias += 1
    paths.add(export(module, shapes, names))
    assert len(paths) == 5


def test_outputs_without_a_name_are_refused(cache):
    with pytest.raises(ExportError, match='2 outputs'):
        export(Small().eval(), {'x': (1, 3, 8, 8)}, ('map',))


@pytest.mark.parametrize('name', ['onnxruntime', 'torch'])
def test_inputs_are_found_by_name(cache, name):
    class Difference(nn.Module):
        def forward(self, one, other):
            return one - other

    program = ModuleProgram(
        'difference', Difference().eval(), {'one': (1, 2), 'other': (1, 2)}, ('apart',)
    )
    runtime = make_runtime(name)
    one, other = runtime.buffer((1, 2)), runtime.buffer((1, 2))
    one.write(np.array([[5, 7]]))
    other.write(np.array([[1, 2]]))
    compiled = runtime.compile(program, {'other': other, 'one': one})
    compiled.run()
    assert compiled.outputs['apart'].read().tolist() == [[4, 5]]
    with pytest.raises(ValueError, match='other'):
        runtime.compile(program, {'one': one})
    with pytest.raises(ValueError, match='shape'):
        runtime.compile(program, {'one': one, 'other': runtime.buffer((1, 3))})


def test_training_mode_is_refused(cache):
    with pytest.raises(ExportError, match='eval mode'):
        export(Small(), {'x': (1, 3, 8, 8)}, ('map', 'mean'))


def test_what_onnx_cannot_say_is_refused_and_leaves_nothing(cache):
    class Strange(nn.Module):
        def forward(self, x):
            return torch.linalg.eigvals(x).real

    with pytest.raises(ExportError, match='Strange'):
        export(Strange().eval(), {'x': (1, 1, 4, 4)}, ('y',))
    assert list(cache.iterdir()) == []


def test_unknown_runtime_lists_the_known():
    with pytest.raises(RuntimeUnavailableError, match='onnxruntime'):
        make_runtime('tflite')
