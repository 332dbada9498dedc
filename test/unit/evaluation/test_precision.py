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

from e4_ros.evaluation import precision
from e4_ros.evaluation.precision import try_precision
from e4_ros.evaluation.sources import open_source
from e4_ros.perception.setup import EngineOptions, set_up
from e4_ros.vision.bundle import BundleError, Calibration, read_manifest, shipped_bundle
from e4_ros.vision.bundle.folder import save_changed
from e4_ros.vision.exit_checkpoint import Checkpoint, Exit
from e4_ros.vision.export.build import build_bundle
from e4_ros.vision.models.decoders import ClassDecoder
from e4_ros.vision.models.preprocessing import Stretch
from e4_ros.vision.nets.heads import ClassHead
from e4_ros.vision.networks.torch_network import TorchNetwork
from e4_ros.vision.networks.trainable import TrainableModel
from e4_ros.vision.runtime.interfaces import RuntimeUnavailableError
from e4_ros.vision.runtime.precision import PrecisionError


def tiny_model():
    """Tells apart which colour there is most of."""
    torch.manual_seed(0)
    first = nn.Conv2d(3, 3, 3, padding=1)
    nn.init.dirac_(first.weight)
    network = nn.Sequential(first, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    preprocessing = Stretch(size=(16, 16), mean=(0, 0, 0), std=(255, 255, 255))
    names = ('red', 'green', 'blue')
    decoder = ClassDecoder()
    whole = TorchNetwork(network, preprocessing.size, decoder.output_names)
    return TrainableModel('tiny', 'classify', names, preprocessing, decoder, whole)


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    monkeypatch.setenv('E4_CACHE', str(tmp_path / 'cache'))
    build_bundle(tiny_model(), tmp_path / 'tiny')
    return tmp_path / 'tiny'


@pytest.fixture
def frames():
    rng = np.random.default_rng(0)
    coloured = rng.integers(0, 120, (60, 16, 16, 3)).astype(np.uint8)
    coloured[np.arange(60), ..., np.arange(60) % 3] += 100
    return list(coloured)


@pytest.fixture
def any_speed(monkeypatch):
    monkeypatch.setattr(precision, '_LEAST_SPEEDUP', 0.0)


def logits(bundle, bits, frame):
    engine = set_up(EngineOptions(str(bundle), exits=False, threads=1, precision=bits)).engine
    engine.process_full(frame)
    return engine._steps[-1].stage.outputs['logits'].read().copy()


@pytest.mark.parametrize('bits', ['int8', 'fp16'])
def test_what_is_kept_runs_and_is_not_fp32(tiny, frames, bits, any_speed):
    trial = try_precision(tiny, bits, frames, threads=1)
    assert (trial.refused, trial.agreement) == ('', 1.0)
    exact = logits(tiny, 'fp32', frames[0])
    reduced = logits(tiny, bits, frames[0])
    assert 0 < np.abs(reduced - exact).max() < 0.01


def test_every_stage_is_made(tmp_path, tiny, frames, any_speed):
    model = tiny_model()
    head = ClassHead(3, 3).eval()
    fitted = Checkpoint('tiny', model.network.fingerprint, [Exit('exit1', '_1', head)])
    build_bundle(model, tmp_path / 'cut', fitted)
    assert not try_precision(tmp_path / 'cut', 'int8', frames, threads=1).refused
    with pytest.raises(PrecisionError):  # the uncut network is another bundle
        logits(tiny, 'int8', frames[0])
    exact, reduced = (logits(tmp_path / 'cut', bits, frames[0]) for bits in ('fp32', 'int8'))
    assert 0 < np.abs(reduced - exact).max() < 0.01
    assert [set(stage.reduced) for stage in read_manifest(tmp_path / 'cut').stages] == [
        {'int8'}
    ] * 2


def test_what_is_not_faster_is_not_kept_and_takes_away_what_was(
    tiny, frames, any_speed, monkeypatch
):
    assert not try_precision(tiny, 'int8', frames, threads=1).refused
    monkeypatch.setattr(precision, '_LEAST_SPEEDUP', 1e6)
    assert try_precision(tiny, 'int8', frames, threads=1).refused == 'not faster'
    with pytest.raises(PrecisionError, match='run `e4 precision'):
        logits(tiny, 'int8', frames[0])


def test_what_says_something_else_is_not_kept(tiny, frames, any_speed):
    other = [np.full_like(frame, 0) for frame in frames[:40]]  # ranges that real frames leave
    bad = try_precision(tiny, 'int8', [*other, *frames[40:]], threads=1)
    assert bad.agreement < 0.9
    assert bad.refused == 'agrees less than 0.9'


def test_nothing_is_left_beside_what_is_kept(tiny, frames, any_speed, monkeypatch):
    try_precision(tiny, 'int8', frames, threads=1)
    assert [p.name.split('-')[:2] for p in sorted(tiny.glob('*.onnx'))] == [
        ['stage0', read_manifest(tiny).stages[0].file.name.split('-')[1]],
        ['stage0', 'int8'],
    ]
    monkeypatch.setattr(precision, '_LEAST_SPEEDUP', 1e6)
    try_precision(tiny, 'int8', frames, threads=1)
    assert len(list(tiny.iterdir())) == 2
    assert read_manifest(tiny).trials == {}


def test_another_bundle_leaves_this_one_as_it_is(tmp_path, tiny, frames, any_speed):
    before = (tiny / 'bundle.json').read_text()
    assert not try_precision(tiny, 'int8', frames, threads=1, out=tmp_path / 'other').refused
    assert (tiny / 'bundle.json').read_text() == before
    assert read_manifest(tmp_path / 'other').precisions == ['fp32', 'int8']
    logits(tmp_path / 'other', 'int8', frames[0])


def test_too_few_frames_say_how_many(tiny, frames):
    with pytest.raises(PrecisionError, match='39 frames; it takes at least 40'):
        try_precision(tiny, 'int8', frames[:39], threads=1)


def test_precisions_that_do_not_exist_are_named():
    with pytest.raises(PrecisionError, match='int8'):
        set_up(EngineOptions(precision='int4'))
    with pytest.raises(RuntimeUnavailableError, match='torch has no int8'):
        set_up(EngineOptions(runtime='torch', precision='int8'))


def test_a_promise_holds_in_the_precision_it_was_made_in(tmp_path):
    shipped = shipped_bundle('pedestrian_ssdlite')
    promised = Calibration(risk=0.05, precision='int8', against='full')
    manifest = read_manifest(shipped)
    save_changed(shipped, manifest.calibrated(manifest.thresholds, promised), {}, tmp_path / 'own')
    with pytest.raises(BundleError, match='certified in int8, not in fp32'):
        set_up(EngineOptions(str(tmp_path / 'own')))
    set_up(EngineOptions(str(tmp_path / 'own'), exits=False))  # where nothing answers early


def test_the_detector_in_int8_still_finds_the_people(tmp_path, monkeypatch, any_speed):
    monkeypatch.setenv('E4_CACHE', str(tmp_path))
    shown = [
        frame for _, frame in zip(range(48), (f for _, f in open_source('bikes')), strict=False)
    ]
    shipped = shipped_bundle('pedestrian_ssdlite')
    trial = try_precision(shipped, 'int8', shown, 0.7, 1, out=tmp_path / 'int8')
    assert not trial.refused
    assert 0.7 < trial.agreement < 1


def test_a_detector_that_finds_nothing_is_not_kept(tmp_path):
    nobody = [np.full((60, 80, 3), 90, np.uint8)] * precision.LEAST_FRAMES
    shipped = shipped_bundle('pedestrian_ssdlite')
    trial = try_precision(shipped, 'fp16', nobody, threads=1, out=tmp_path / 'out')
    assert trial.agreement is None
    assert trial.refused == 'nothing found to compare'
    assert read_manifest(tmp_path / 'out').trials == {}
