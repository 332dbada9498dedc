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

from e4_ros.vision.detections import Detections
from e4_ros.vision.export.assemble import temporal_part
from e4_ros.vision.inference.learned_temporal_exit import LearnedTemporalExit
from e4_ros.vision.inference.temporal_input import prior_maps, thumbnail
from e4_ros.vision.nets.in_distribution import (
    InDistribution,
    fit_in_distribution,
    measure_reliability,
    statistics,
)
from e4_ros.vision.nets.temporal_net import GRID, THUMBNAIL, TemporalAtRunTime, TemporalNet
from e4_ros.vision.networks.torch_export import ModuleProgram
from e4_ros.vision.runtime.factory import make_runtime
from e4_ros.vision.training.holdout import FootageSegment
from e4_ros.vision.training.temporal_samples import TemporalSamples, footage
from e4_ros.vision.training.temporal_training import train_net


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def walking_square(count):
    """Frames with a bright square that walks right, and where it is."""
    rng = np.random.default_rng(0)
    ground = rng.integers(40, 80, (120, 160, 3), dtype=np.uint8)
    frames, answers = [], []
    for index in range(count):
        left = 10 + 2 * index
        frame = ground.copy()
        frame[40:80, left : left + 20] = 220
        frames.append(frame)
        answers.append(Detections.of(np.array([[left, 40, left + 20, 80]]), np.array([0.95])))
    return frames, answers


def walk(frames, answers):
    return FootageSegment(frames, [i / 10 for i in range(len(frames))], answers, answers)


@pytest.mark.parametrize('switches', [{}, {'attention': False}, {'memory': False}])
def test_runtimes_agree(switches):
    net = TemporalAtRunTime(TemporalNet(1, width=8, depth=1, **switches)).eval()
    results = []
    for name in ('onnxruntime', 'torch'):
        rng = np.random.default_rng(0)
        runtime = make_runtime(name, 1)
        program = ModuleProgram('temporal', net, net.input_shapes, net.output_names)
        inputs = {name: runtime.buffer(shape) for name, shape in program.inputs.items()}
        for buffer in inputs.values():
            buffer.write(rng.random(buffer.shape))
        compiled = runtime.compile(program, inputs)
        compiled.run()
        results.append({name: buffer.read() for name, buffer in compiled.outputs.items()})
    ours, reference = results
    assert list(ours) == list(reference) == list(net.output_names)
    for name in ours:
        np.testing.assert_allclose(ours[name], reference[name], atol=1e-3)


@pytest.mark.parametrize('switches', [{}, {'attention': False}, {'memory': False}, {'classes': 3}])
def test_what_is_exported_computes_what_was_trained(switches):
    net = TemporalNet(**{'classes': 1, 'width': 8, 'depth': 2, **switches}).eval()
    image, prior = torch.rand(1, 3, *THUMBNAIL), torch.rand(1, 3 * net.settings['classes'], *GRID)
    past, filled = torch.rand(3, 3, *THUMBNAIL), torch.tensor([[1.0, 1.0, 0.0]])
    at_run_time = TemporalAtRunTime(net)
    with torch.inference_mode():
        trained = net(image, net.encoder(past)[None], filled, prior)
        empty = torch.zeros(at_run_time.input_shapes['memory'])
        kept = [at_run_time(each[None], empty, filled * 0, prior)[5] for each in past]
        outputs = at_run_time(image, torch.stack(kept, 1), filled, prior)
    exported = dict(zip(at_run_time.output_names, outputs, strict=True))
    torch.testing.assert_close(exported['sides'], trained['sides'])
    torch.testing.assert_close(exported['diversity'], trained['diversity'])
    torch.testing.assert_close(exported['seen'][:, :8], trained['seen'])
    found = exported['peaks'] > 0
    torch.testing.assert_close(exported['peaks'][found], trained['logits'].sigmoid()[found])
    assert found.any()


def test_training_lowers_the_loss_and_is_repeatable():
    frames, answers = walking_square(40)
    losses = []
    for _ in range(2):
        torch.manual_seed(1)
        net = TemporalNet(1, width=8, depth=1)
        source = footage(walk(frames, answers))
        losses.append(train_net(net, TemporalSamples([source], 1, seed=1), steps=30, batch=8))
    assert np.mean(losses[0][-5:]) < 0.6 * np.mean(losses[0][:3])
    assert losses[0] == losses[1]


def test_prior_has_a_peak_at_the_centre_and_its_size():
    detections = Detections.of(np.array([[40, 40, 80, 120]]), np.array([0.9]))
    maps = prior_maps(detections, (144, 192, 3), 1)
    assert np.unravel_index(maps[0].argmax(), GRID) == (20, 15)
    assert maps[1, 20, 15] == pytest.approx(10 / 4)
    assert maps[2, 20, 15] == pytest.approx(20 / 8)


def test_doubtful_objects_are_no_prior():
    detections = Detections.of(np.array([[40, 40, 80, 120]]), np.array([0.4]))
    assert not prior_maps(detections, (144, 192, 3), 1).any()


def test_objects_at_the_rim_stay_on_the_grid():
    detections = Detections.of(
        np.array([[150, 100, 400, 400], [-90, -90, 4, 4]]), np.array([0.9, 0.9])
    )
    assert np.isfinite(prior_maps(detections, (144, 192, 3), 2)).all()


@pytest.mark.parametrize('shape', [(1, 1, 3), (2000, 3, 3), (576, 768, 3)])
def test_thumbnail_of_any_frame(shape):
    assert thumbnail(np.zeros(shape, np.uint8)).shape == (*THUMBNAIL, 3)


def test_memory_starts_empty_and_is_emptied():
    net = TemporalNet(1, width=8, depth=1).eval()
    memory = LearnedTemporalExit(temporal_part(net), make_runtime('torch'))
    frames, answers = walking_square(3)
    assert memory.look(frames[0], 0.0) == (1.0, 0.0)
    memory.remember(answers[0], computed=True)
    diversity, _ = memory.look(frames[0], 0.1)
    assert diversity == pytest.approx(0, abs=1e-3)
    memory.reset()
    assert memory.look(frames[0], 0.2) == (1.0, 0.0)


def test_familiar_is_what_was_seen_and_its_like():
    rng = torch.Generator().manual_seed(0)
    scene = torch.rand(1, 4, 6, 6, generator=rng)
    seen = scene + 0.01 * torch.randn(80, 4, 6, 6, generator=rng)
    in_distribution = InDistribution(4)
    tokens = statistics(seen)
    fit_in_distribution(in_distribution, [tokens[:60]], [tokens[60:]])
    assert in_distribution(tokens)[0].min() > 0.9
    other = statistics(torch.rand(5, 4, 6, 6, generator=rng))
    assert in_distribution(other)[0].max() < 0.1


def test_no_trust_where_an_exit_was_wrong():
    rng = torch.Generator().manual_seed(0)
    here, there = (
        statistics(
            torch.rand(1, 4, 6, 6, generator=rng) + 0.01 * torch.randn(80, 4, 6, 6, generator=rng)
        )
        for _ in range(2)
    )
    in_distribution = InDistribution(4)
    fit_in_distribution(in_distribution, [here[:60], there[:60]], [here[60:], there[60:]])
    held = torch.cat([here[60:], there[60:]])
    measure_reliability(in_distribution, held, torch.cat([torch.ones(20), torch.zeros(20)]))
    familiar, trusted = in_distribution(held)
    assert familiar.min() > 0.9
    assert trusted[:20].min() > 0.9
    assert trusted[20:].max() < 0.1
