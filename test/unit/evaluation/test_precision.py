from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from e4_ros.evaluation import precision
from e4_ros.evaluation.precision import try_precision
from e4_ros.evaluation.sources import open_source
from e4_ros.vision.detections import Detections
from e4_ros.vision.exit_checkpoint import Checkpoint, CheckpointError, network_hash
from e4_ros.vision.inference.engine import EarlyExitEngine
from e4_ros.vision.inference.factory import build
from e4_ros.vision.inference.policy import FullPolicy
from e4_ros.vision.models import load_model
from e4_ros.vision.runtime.factory import make_runtime
from e4_ros.vision.runtime.interfaces import RuntimeUnavailableError
from e4_ros.vision.runtime.precision import PrecisionError


class Tiny:
    """Tells apart which colour there is most of."""

    name, task, class_names, input_size = 'tiny', 'classify', ('red', 'green', 'blue'), (16, 16)
    output_names = ('logits',)

    def __init__(self):
        torch.manual_seed(0)
        first = nn.Conv2d(3, 3, 3, padding=1)
        nn.init.dirac_(first.weight)
        self.network = nn.Sequential(first, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.network.eval().requires_grad_(False)

    def preprocess(self, frame):
        return frame.transpose(2, 0, 1)[None].astype(np.float32) / 255

    def decode(self, outputs, frame_shape, min_score):
        return Detections.of_class(int(outputs['logits'][0].argmax()), 1.0, frame_shape)


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    monkeypatch.setenv('E4_CACHE', str(tmp_path))
    return Tiny()


@pytest.fixture
def frames():
    rng = np.random.default_rng(0)
    coloured = rng.integers(0, 120, (60, 16, 16, 3)).astype(np.uint8)
    coloured[np.arange(60), ..., np.arange(60) % 3] += 100
    return list(coloured)


@pytest.fixture
def any_speed(monkeypatch):
    monkeypatch.setattr(precision, '_LEAST_SPEEDUP', 0.0)


def logits(model, bits, frame):
    runtime = make_runtime('onnxruntime', 1)
    engine = EarlyExitEngine(model, FullPolicy(), runtime, precision=bits)
    engine.process_full(frame)
    return engine._steps[-1].stage.outputs['logits'].read().copy()


@pytest.mark.parametrize('bits', ['int8', 'fp16'])
def test_what_is_kept_runs_and_is_not_fp32(tiny, frames, bits, any_speed):
    trial = try_precision(tiny, [], bits, frames, threads=1)
    assert (trial.refused, trial.agreement) == ('', 1.0)
    exact = logits(tiny, 'fp32', frames[0])
    reduced = logits(tiny, bits, frames[0])
    assert 0 < np.abs(reduced - exact).max() < 0.01


def test_every_stage_is_made(tiny, frames, any_speed):
    assert not try_precision(tiny, ['_1'], 'int8', frames, threads=1).refused
    with pytest.raises(PrecisionError):  # the uncut network is another stage
        logits(tiny, 'int8', frames[0])
    assert not try_precision(tiny, [], 'int8', frames, threads=1).refused
    logits(tiny, 'int8', frames[0])


def test_what_is_not_faster_is_not_kept_and_takes_away_what_was(
    tiny, frames, any_speed, monkeypatch
):
    assert not try_precision(tiny, [], 'int8', frames, threads=1).refused
    monkeypatch.setattr(precision, '_LEAST_SPEEDUP', 1e6)
    assert try_precision(tiny, [], 'int8', frames, threads=1).refused == 'not faster'
    with pytest.raises(PrecisionError, match='run `e4 precision'):
        logits(tiny, 'int8', frames[0])


def test_what_says_something_else_is_not_kept(tiny, frames, any_speed):
    other = [np.full_like(frame, 0) for frame in frames[:40]]  # ranges that real frames leave
    bad = try_precision(tiny, [], 'int8', [*other, *frames[40:]], threads=1)
    assert bad.agreement < 0.9
    assert bad.refused == 'agrees less than 0.9'


def test_nothing_is_left_beside_what_is_kept(tiny, frames, any_speed, tmp_path):
    try_precision(tiny, [], 'int8', frames, threads=1)
    assert [p.name for p in tmp_path.iterdir()] == ['onnx']
    assert len(list((tmp_path / 'onnx').iterdir())) == 2


def test_too_few_frames_say_how_many(tiny, frames):
    with pytest.raises(PrecisionError, match='39 frames; it takes at least 40'):
        try_precision(tiny, [], 'int8', frames[:39], threads=1)


def test_precisions_that_do_not_exist_are_named():
    with pytest.raises(PrecisionError, match='int8'):
        build('pedestrian_ssdlite', precision='int4')
    with pytest.raises(RuntimeUnavailableError, match='torch has no int8'):
        build('pedestrian_ssdlite', runtime='torch', precision='int8')


def test_a_promise_holds_in_the_precision_it_was_made_in(tmp_path):
    model = load_model('pedestrian_ssdlite')
    path = tmp_path / 'promised.safetensors'
    notes = {'risk': 0.05, 'precision': 'int8'}
    Checkpoint(model.name, network_hash(model.network), notes=notes).save(path)
    with pytest.raises(CheckpointError, match='certified in int8, not in fp32'):
        build(model.name, threads=1, checkpoint=path)


def test_the_detector_in_int8_still_finds_the_people(tmp_path, monkeypatch, any_speed):
    monkeypatch.setenv('E4_CACHE', str(tmp_path))
    shown = [
        frame for _, frame in zip(range(48), (f for _, f in open_source('bikes')), strict=False)
    ]
    trial = try_precision(load_model('pedestrian_ssdlite'), ['add_1'], 'int8', shown, 0.7, 1)
    assert not trial.refused
    assert 0.7 < trial.agreement < 1
