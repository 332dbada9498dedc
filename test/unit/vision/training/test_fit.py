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

"""Fits on a few frames: what comes out works, is the same again, and goes on after a stop.

They learn next to nothing; how good fitted exits are is for `e4 bench exits` to say.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from e4_ros.evaluation.sources import open_source
from e4_ros.vision.bundle import load_bundle
from e4_ros.vision.detections import Detections
from e4_ros.vision.exit_checkpoint import load, load_bytes
from e4_ros.vision.export import assemble as export
from e4_ros.vision.export.build import build_bundle
from e4_ros.vision.inference.engine import EarlyExitEngine
from e4_ros.vision.inference.exit_thresholds import ExitThresholds
from e4_ros.vision.inference.temporal_input import GRID, PRIOR
from e4_ros.vision.nets.temporal_net import SLOTS
from e4_ros.vision.networks.torch_network import TorchNetwork
from e4_ros.vision.networks.trainable import TrainableModel
from e4_ros.vision.runtime.onnx_runtime import OnnxRuntime
from e4_ros.vision.training.feature_extractor import FeatureExtractor
from e4_ros.vision.training.fit import LEAST_FRAMES, FitError, fit
from e4_ros.vision.training.fit_settings import FitSettings
from e4_ros.vision.zoo import load_model
from e4_ros.vision.zoo.ssdlite import Ssdlite

SETTINGS = FitSettings(steps=2, epochs=2, views=1, samples=12, rehearsed=8, cuts=('add_1',))


class Hasty:
    """A teacher that takes no tiles: the network's answer to the frame."""

    def __init__(self, model):
        self._probe = FeatureExtractor(model, model.network.stages())

    def pseudo_label(self, clip, progress):
        answers = []
        for number, (_, frame) in enumerate(clip, 1):
            self._probe.see(frame)
            answers.append(self._probe.detections(frame.shape))
            progress(number)
        return answers


@pytest.fixture(scope='module')
def model():
    return load_model('pedestrian_ssdlite')


def footage():
    return list(islice(open_source('vtest'), 0, 2 * LEAST_FRAMES, 2))


@pytest.fixture(scope='module')
def clip():
    return footage()


@pytest.fixture(scope='module')
def fitted(model, clip):
    return fit(model, [clip], SETTINGS, teacher=Hasty(model))


def assemble(model, checkpoint, thresholds):
    network = export.assemble(model, checkpoint)
    return EarlyExitEngine(network, ExitThresholds(thresholds), OnnxRuntime(1))


def tensors(checkpoint):
    parts = [checkpoint.temporal, *(e.head for e in checkpoint.exits)]
    parts += [e.gate for e in checkpoint.exits]
    return [value for part in parts if part is not None for value in part.state_dict().values()]


def same(one, other):
    pairs = list(zip(tensors(one), tensors(other), strict=True))
    assert len(pairs) > 20
    return all(torch.equal(a, b) for a, b in pairs)


def test_every_exit_of_it_answers_after_a_trip_to_the_disk(model, clip, fitted, tmp_path):
    fitted.save(tmp_path / 'exits.safetensors')
    checkpoint = load(tmp_path / 'exits.safetensors', model)
    assert [(e.name, e.cut) for e in checkpoint.exits] == [('exit1', 'add_1')]
    assert set(checkpoint.notes['gate_right_share']) == {'temporal', 'exit1'}
    for exit_name in ('temporal', 'exit1', 'full'):
        engine = assemble(model, checkpoint, {exit_name: 0.0} if exit_name != 'full' else {})
        taken = [engine.process(frame, stamp_s).exit for stamp_s, frame in clip[:3]]
        assert exit_name in taken


def test_the_same_seed_gives_the_same_exits_and_another_gives_others(model, clip, fitted):
    assert same(fitted, fit(model, [clip], SETTINGS, teacher=Hasty(model)))
    assert not same(fitted, fit(model, [clip], replace(SETTINGS, seed=1), teacher=Hasty(model)))


class InterruptedFitError(Exception):
    pass


def test_an_interrupted_fit_goes_on_to_the_same_exits(model, clip, fitted, tmp_path):
    def stop(what, done, total):
        if what == 'temporal exit' and done == total:
            raise InterruptedFitError

    with pytest.raises(InterruptedFitError):
        fit(model, [clip], SETTINGS, stop, tmp_path, Hasty(model))
    said = []
    again = fit(
        model, [clip], SETTINGS, lambda *step: said.append(step), tmp_path, Hasty(model)
    )  # fmt: skip
    assert same(fitted, again)
    assert ('temporal exit', 1, 2) not in said


_KILLED = """
import os, pathlib, signal, sys
sys.path.insert(0, sys.argv[1])
import torch
import test_fit as ours
from e4_ros.vision.inference.temporal_input import GRID, PRIOR
from e4_ros.vision.zoo import load_model
from e4_ros.vision.zoo.ssdlite import Ssdlite
from e4_ros.vision.networks.trainable import TrainableModel
from e4_ros.vision.nets.temporal_net import SLOTS

torch.set_num_threads(1)

def kill(phase, done, total):
    if (phase, done) == ('exit1', 1):
        os.kill(os.getpid(), signal.SIGKILL)

model = load_model('pedestrian_ssdlite')
ours.fit(
    model, [ours.footage()], ours.SETTINGS, kill, pathlib.Path(sys.argv[2]), ours.Hasty(model)
)
"""


def test_a_killed_fit_goes_on_to_the_same_exits(model, clip, fitted, tmp_path):
    command = [sys.executable, '-c', _KILLED, str(Path(__file__).parent), str(tmp_path)]
    killed = subprocess.run(command, check=False, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    said = []
    again = fit(
        model, [clip], SETTINGS, lambda *step: said.append(step), tmp_path, Hasty(model)
    )  # fmt: skip
    assert same(fitted, again)
    assert ('exit1', 1, 2) not in said
    assert ('exit1', 2, 2) in said


def test_an_interrupted_fit_keeps_its_cuts(model, clip, tmp_path):
    def stop(what, done, total):
        if what == 'network':
            raise InterruptedFitError

    measured = replace(SETTINGS, cuts=(0.4,))
    with pytest.raises(InterruptedFitError):
        fit(model, [clip], measured, stop, tmp_path, Hasty(model))
    (kept,) = tmp_path.glob('*/cuts.json')
    kept.write_text('["add_3"]')
    assert fit(model, [clip], measured, work=tmp_path, teacher=Hasty(model)).exits[0].cut == 'add_3'


@pytest.mark.parametrize('without', ['attention', 'memory', 'gates'])
def test_parts_can_be_left_out(model, clip, fitted, without):
    checkpoint = fit(model, [clip], replace(SETTINGS, **{without: False}), teacher=Hasty(model))
    assert weighs_memories(fitted)
    assert remembers(fitted)
    assert weighs_memories(checkpoint) == (without == 'gates')
    assert remembers(checkpoint) == (without != 'memory')
    assert (checkpoint.exits[0].gate is None) == (without == 'gates')
    engine = assemble(model, checkpoint, {'exit1': 0.0})
    assert engine.process(clip[0][1], 0.0).exit == 'exit1'


def looked(checkpoint, memory):
    """Logits of the temporal exit for a grey frame, an empty prior and remembered frames."""
    net = checkpoint.temporal
    inputs = torch.zeros(1, 3, 144, 192), memory, torch.ones(1, SLOTS), torch.zeros(1, 3, 36, 48)
    with torch.inference_mode():
        return net(*inputs)['logits']


def memories(checkpoint):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(1, SLOTS, checkpoint.temporal.width, 36, 48, generator=generator)


def remembers(checkpoint):
    memory = memories(checkpoint)
    return not torch.allclose(looked(checkpoint, memory), looked(checkpoint, 0 * memory))


def weighs_memories(checkpoint):
    """Whether it tells remembered frames apart, or knows their mean alone."""
    memory = memories(checkpoint)
    means = memory.mean(1, keepdim=True).expand_as(memory)
    apart = looked(checkpoint, memory) - looked(checkpoint, means)
    return bool(apart.abs().max() > 1e-3)


class Birdwatcher:
    """A teacher that sees two of eighty classes, always at the same places."""

    def pseudo_label(self, clip, progress):
        boxes = np.array([[100, 100, 200, 300], [400, 200, 500, 400], [300, 300, 400, 400]])
        return [Detections.of(boxes, np.array([0.9, 0.8, 0.4]), np.array([7, 3, 60]))] * len(clip)


def test_exits_of_a_network_with_many_classes_learn_those_that_occur(model, clip, tmp_path):
    names = tuple(f'bird {i}' for i in range(80))
    torch.manual_seed(0)
    module = Ssdlite(model.input_size, len(names))
    network = TorchNetwork(module, model.input_size, model.decoder.output_names)
    many = TrainableModel('birds', 'detect', names, model.preprocessing, model.decoder, network)
    checkpoint = fit(many, [clip], SETTINGS, teacher=Birdwatcher())
    assert checkpoint.temporal.classes.labels == checkpoint.exits[0].head.classes.labels == (3, 7)
    build_bundle(many, tmp_path / 'birds', checkpoint)
    network = load_bundle(tmp_path / 'birds').network
    assert network.temporal.program.inputs['prior'] == (1, 2 * PRIOR, *GRID)
    for exit_name in ('temporal', 'exit1'):
        thresholds = ExitThresholds({exit_name: 0.0})
        engine = EarlyExitEngine(network, thresholds, OnnxRuntime(1))
        found = [engine.process(frame, stamp_s) for stamp_s, frame in clip[:2]][-1]
        assert found.exit == exit_name
        assert set(found.detections.labels.tolist()) <= {3, 7}
    assert load_bytes(checkpoint.to_bytes(), '', many).temporal.classes.labels == (3, 7)


def test_a_classifier_gets_exits_too(clip):
    model = load_model('efficientnet_lite0')
    checkpoint = fit(model, [clip], replace(SETTINGS, cuts=(0.5,)))
    assert checkpoint.temporal is None
    engine = assemble(model, checkpoint, {'exit1': 0.0})
    assert engine.process(clip[0][1], 0.0).exit == 'exit1'


def still(clip):
    return [(stamp_s, clip[0][1]) for stamp_s, _ in clip]


def turned(clip):
    return [*clip[:20], *((stamp_s, np.rot90(frame)) for stamp_s, frame in clip[20:])]


def empty(clip):
    return [(s, np.full_like(frame, 10 + i)) for i, (s, frame) in enumerate(clip)]


@pytest.mark.parametrize(
    ('clips', 'said'),
    [
        (lambda clip: [], 'at least one source'),
        (lambda clip: [clip[:20]], 'source 1 has 20 frames; fitting needs at least 40'),
        (lambda clip: [clip, still(clip)], 'source 2 is one still image'),
        (lambda clip: [turned(clip)], 'changes its size at frame 20: from 768x576 to 576x768'),
        (lambda clip: [empty(clip)], 'finds nothing in this footage'),
    ],
)
def test_bad_footage_is_refused_before_it_takes_time(model, clip, clips, said):
    def none_of_it(what, done, total):
        assert what in ('teacher', 'network'), 'it went on'

    with pytest.raises(FitError, match=said):
        fit(model, clips(clip), SETTINGS, none_of_it, teacher=Hasty(model))


def test_a_cut_that_does_not_exist_is_named(model, clip):
    with pytest.raises(ValueError, match='nowhere'):
        fit(model, [clip], replace(SETTINGS, cuts=('nowhere',)), teacher=Hasty(model))
