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

"""A fit on a detector that came as an ONNX file, with an exit behind its neck."""

from __future__ import annotations

import warnings
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from e4_ros.perception.setup import EngineOptions, set_up
from e4_ros.vision.bundle import load_bundle
from e4_ros.vision.detections import Detections
from e4_ros.vision.export.build import build_bundle
from e4_ros.vision.inference.exit_thresholds import ExitThresholds
from e4_ros.vision.training.fit import LEAST_FRAMES, fit
from e4_ros.vision.training.fit_settings import FitSettings
from e4_ros.vision.zoo import load_model

SIDECAR = """
family: yolox
names: [person, bicycle, car, dog, bus]
"""


class Detector(nn.Module):
    """YOLOX's raw grid of three scales, with a neck in which they meet."""

    def __init__(self) -> None:
        super().__init__()
        sides = [3, 8, 8, 12, 12, 16]
        self.down = nn.ModuleList(nn.Conv2d(a, b, 3, 2, 1) for a, b in pairwise(sides))
        self.lateral = nn.ModuleList(nn.Conv2d(a, 12, 1) for a in sides[3:])
        self.meet = nn.ModuleList(nn.Conv2d(24, 12, 3, padding=1) for _ in range(2))
        self.heads = nn.ModuleList(nn.Conv2d(12, 10, 1) for _ in range(3))

    def forward(self, x):
        scales = []
        for layer in self.down:
            x = torch.relu(layer(x))
            scales.append(x)
        c3, c4, c5 = (fit(x) for fit, x in zip(self.lateral, scales[2:], strict=True))
        p4 = torch.relu(self.meet[0](torch.cat([_twice(c5), c4], 1)))
        p3 = torch.relu(self.meet[1](torch.cat([_twice(p4), c3], 1)))
        found = [head(p).flatten(2) for head, p in zip(self.heads, (p3, p4, c5), strict=True)]
        grid = torch.cat(found, 2).permute(0, 2, 1)
        return torch.cat([grid[..., :4], torch.sigmoid(grid[..., 4:] - 2)], 2)


def _twice(x):
    return nn.functional.interpolate(x, scale_factor=2.0)


@pytest.fixture(scope='module')
def file(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp('model') / 'mine.onnx'
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        torch.onnx.export(Detector().eval(), torch.zeros(1, 3, 96, 96), path, dynamo=False)
    path.with_suffix('.yaml').write_text(SIDECAR)
    return path


class Known:
    """A teacher that knows where two things are, a bicycle and a dog."""

    def pseudo_label(self, clip, progress):
        progress(len(clip))
        return [
            Detections.of(
                np.array([[10 + i, 20, 40 + i, 70], [80, 30 + i / 2, 110, 60 + i / 2]], float),
                np.array([0.9, 0.8]),
                np.array([1, 3]),
            )
            for i in range(len(clip))
        ]


@pytest.fixture(scope='module')
def clip():
    rng = np.random.default_rng(0)
    still = rng.integers(0, 90, (90, 120, 3)).astype(np.uint8)
    frames = [still.copy() for _ in range(LEAST_FRAMES)]
    for i, frame in enumerate(frames):
        frame[20:70, 10 + i : 40 + i] = 200
        frame[30 + i // 2 : 60 + i // 2, 80:110] = 140
    return [(i / 10, frame) for i, frame in enumerate(frames)]


def test_a_detector_of_a_file_gets_exits_behind_its_neck(file, clip, tmp_path, monkeypatch):
    monkeypatch.setenv('E4_CACHE', str(tmp_path / 'cache'))
    model = load_model(str(file))
    assert model.decoder.kind == 'yolox'
    cuts = model.network.cuts()
    cut = [c.node for c in cuts if c.tensors == 3 and c.shape[1:] == (12, 12, 12)][-1]
    settings = FitSettings(steps=2, epochs=1, views=1, samples=12, rehearsed=8, cuts=(cut,))
    checkpoint = fit(model, [clip], settings, teacher=Known())
    build_bundle(model, tmp_path / 'mine', checkpoint)

    network = load_bundle(tmp_path / 'mine').network
    assert len(network.stages[1].program.inputs) == 3
    learnt = [network.exits[0].classes.labels, network.temporal.classes.labels]
    assert learnt == [(1, 3), (1, 3)]  # the classes that occur, in the network's numbers
    engine = set_up(EngineOptions(str(tmp_path / 'mine'), threads=1, tracks=False)).early_exits
    for name in ('temporal', 'exit1', 'full'):
        engine.reset()
        engine.thresholds = ExitThresholds({name: 0.0} if name != 'full' else {})
        assert name in [engine.process(frame, stamp).exit for stamp, frame in clip[:3]]

    again = load_model(str(tmp_path / 'mine'))  # a bundle is cut and fitted anew like its file
    assert again.network.fingerprint == model.network.fingerprint
    assert cut in [c.node for c in again.network.cuts()]
