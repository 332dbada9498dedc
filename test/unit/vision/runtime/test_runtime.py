from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from e4_ros.vision.models import load_model
from e4_ros.vision.runtime.graph_split import split
from e4_ros.vision.runtime.onnx_export import ExportError, export
from e4_ros.vision.runtime.onnx_runtime import RuntimeUnavailableError, make_runtime


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


def run_chain(runtime, stages, image):
    entry = runtime.buffer(image.shape)
    pieces, boundary = [], entry
    for stage in stages:
        pieces.append(runtime.compile(stage.module, [boundary]))
        boundary = pieces[-1].outputs[0]
    entry.write(image)
    for piece in pieces:
        piece.run()
    return [buffer.read() for buffer in pieces[-1].outputs]


def test_runtimes_agree_on_the_detector():
    network = load_model('pedestrian_ssdlite').network
    stages = split(network, torch.zeros(1, 3, 300, 300), [0.4, 0.7])
    image = np.random.default_rng(0).uniform(-1, 1, (1, 3, 300, 300)).astype(np.float32)
    ours = run_chain(make_runtime('onnxruntime', threads=1), stages, image)
    reference = run_chain(make_runtime('torch'), stages, image)
    for a, b in zip(ours, reference, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-3)


def test_pieces_share_their_buffers():
    runtime = make_runtime('onnxruntime', threads=1)
    entry = runtime.buffer((1, 3, 8, 8))
    first = runtime.compile(Small().eval(), [entry])
    entry.write(np.ones(entry.shape))
    first.run()
    seen = first.outputs[0].read()
    before = seen.copy()
    entry.write(np.zeros(entry.shape))
    first.run()
    assert not np.array_equal(seen, before)  # a view of the buffer, not a copy


def test_export_is_made_once(cache):
    module, example = Small().eval(), [torch.zeros(1, 3, 8, 8)]
    path = export(module, example)
    made = path.stat().st_mtime_ns
    assert export(module, example) == path
    assert path.stat().st_mtime_ns == made
    assert [p.name for p in cache.iterdir()] == [path.name]  # no scratch file is left


def test_other_weights_or_shapes_are_another_file(cache):
    module, example = Small().eval(), [torch.zeros(1, 3, 8, 8)]
    paths = {export(module, example), export(module, [torch.zeros(1, 3, 9, 9)])}
    with torch.no_grad():
        module.layers[0].bias += 1
    paths.add(export(module, example))
    assert len(paths) == 3


def test_training_mode_is_refused(cache):
    with pytest.raises(ExportError, match='eval mode'):
        export(Small(), [torch.zeros(1, 3, 8, 8)])


def test_what_onnx_cannot_say_is_refused_and_leaves_nothing(cache):
    class Strange(nn.Module):
        def forward(self, x):
            return torch.linalg.eigvals(x).real

    with pytest.raises(ExportError, match='Strange'):
        export(Strange().eval(), [torch.zeros(1, 1, 4, 4)])
    assert list(cache.iterdir()) == []


def test_unknown_runtime_lists_the_known():
    with pytest.raises(RuntimeUnavailableError, match='onnxruntime'):
        make_runtime('tflite')
