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

import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from e4_ros.vision.bundle import (
    BundleError,
    Calibration,
    find_bundle,
    load_bundle,
    read_manifest,
    shipped_bundle,
    write_bundle,
)
from e4_ros.vision.bundle import bundle as bundle_module
from e4_ros.vision.bundle.folder import destination, read_file, save_changed
from e4_ros.vision.bundle.join import joined
from e4_ros.vision.bundle.manifest import digest
from e4_ros.vision.exit_checkpoint import Checkpoint, Exit
from e4_ros.vision.export.assemble import assemble
from e4_ros.vision.export.build import build_bundle, trainable
from e4_ros.vision.inference.factory import make_engine
from e4_ros.vision.models.decoders import ClassDecoder
from e4_ros.vision.models.preprocessing import Stretch
from e4_ros.vision.nets.exit_gate import ExitGate
from e4_ros.vision.nets.heads import ClassHead
from e4_ros.vision.networks.torch_network import TorchNetwork
from e4_ros.vision.networks.trainable import TrainableModel
from e4_ros.vision.runtime.factory import make_runtime
from e4_ros.vision.runtime.precision import PrecisionError
from e4_ros.vision.zoo import load_model

SHIPPED = shipped_bundle('pedestrian_ssdlite')
FIXTURE = Path(__file__).parents[3] / 'fixtures' / 'detector'


def tiny():
    """Three stages' worth of a classifier, and an exit with a gate."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(4, 3),
    )  # fmt: skip
    preprocessing = Stretch(size=(16, 12), mean=(1, 2, 3), std=(250, 255, 260), channels='bgr')
    names = ('red', 'green', 'blue')
    decoder = ClassDecoder()
    whole = TorchNetwork(network, preprocessing.size, decoder.output_names)
    return TrainableModel('tiny', 'classify', names, preprocessing, decoder, whole)


@pytest.fixture
def model(tmp_path, monkeypatch):
    monkeypatch.setenv('E4_CACHE', str(tmp_path / 'cache'))
    return tiny()


@pytest.fixture
def fitted(model):
    found = Exit('exit1', '_1', ClassHead(4, 3).eval(), ExitGate(4).eval())
    notes = {'risk': 0.1, 'audit': {'exit1': {'bound': 0.3}}, 'rates': {'exit1': 0.2}, 'seed': 7}
    return Checkpoint('tiny', model.network.fingerprint, [found], None, {'exit1': 0.5}, notes)


@pytest.fixture
def folder(model, fitted, tmp_path):
    build_bundle(model, tmp_path / 'tiny', fitted)
    return tmp_path / 'tiny'


@pytest.fixture
def frames():
    return np.random.default_rng(0).integers(0, 256, (4, 40, 30, 3), dtype=np.uint8)


def gate_scores(network, frames):
    engine = make_engine(
        replace(network, thresholds={'exit1': 1.0}), make_runtime('onnxruntime', 1)
    )
    return [engine.process(frame, 0.1 * i).gate_scores['exit1'] for i, frame in enumerate(frames)]


def test_a_bundle_runs_as_what_it_was_made_of(model, fitted, folder, frames):
    assert gate_scores(load_bundle(folder).network, frames) == gate_scores(
        assemble(model, fitted), frames
    )


def test_it_keeps_what_is_known(folder):
    bundle = load_bundle(folder)
    assert bundle.network.thresholds == {'exit1': 0.5}
    assert bundle.network.audit_bounds == {'exit1': 0.3}
    assert bundle.network.rates == {'exit1': 0.2}
    assert bundle.manifest.calibration.risk == 0.1
    assert bundle.manifest.origin.notes == {'seed': 7}
    assert [entry.cut for entry in bundle.manifest.exits] == ['_1']
    assert bundle.network.model.class_names == ('red', 'green', 'blue')


def test_outputs_are_found_by_name(folder):
    (stage, last), (found,) = read_manifest(folder).stages, read_manifest(folder).exits
    assert (stage.inputs, stage.outputs) == ({'x': (1, 3, 16, 12)}, {'_1': (1, 4, 16, 12)})
    assert last.outputs == {'logits': (1, 3)}
    assert list(found.inputs) == ['features', 'memory', 'filled', 'state']
    assert list(found.outputs) == ['logits', 'gate', 'diversity', 'token', 'next_state']


def test_preparation_and_decoding_are_the_models(model, folder, frames):
    described = load_bundle(folder).network.model
    np.testing.assert_array_equal(described.preprocess(frames[0]), model.preprocess(frames[0]))
    swapped = described.preprocess(frames[0])[0, 2] * 260 + 3  # the network takes blue first
    plain = Stretch(size=(16, 12), mean=(0, 0, 0), std=(1, 1, 1))(frames[0])[0, 0]
    np.testing.assert_allclose(swapped, plain, atol=1e-3)
    outputs = {'logits': np.array([[0, 9, 1]], np.float32)}
    assert described.decode(outputs, (40, 30), 0.5).labels.tolist() == [1]


def test_a_narrowed_model_stays_narrow(model, tmp_path):
    build_bundle(model.narrowed(['blue', 'red']), tmp_path / 'narrow')
    manifest = read_manifest(tmp_path / 'narrow')
    assert (manifest.class_names, manifest.labels) == (('red', 'blue'), (0, 2))
    described = load_bundle(tmp_path / 'narrow').network.model
    outputs = {'logits': np.array([[0, 1, 9]], np.float32)}
    assert described.decode(outputs, (40, 30), 0.5).labels.tolist() == [1]
    with pytest.raises(ValueError, match='must rise'):
        type(manifest).model_validate(manifest.model_dump() | {'labels': (2, 0)})


def test_torch_modules_come_back_from_it(exits_bundle, folder):
    manifest = read_manifest(folder)
    with pytest.raises(ValueError, match='tiny'):  # it is in no zoo
        trainable(folder, manifest)
    network, found = trainable(exits_bundle, read_manifest(exits_bundle))
    assert network.name == 'pedestrian_ssdlite'
    assert [e.name for e in found.exits] == ['exit1']
    assert found.temporal is not None
    assert found.thresholds == read_manifest(exits_bundle).thresholds


def test_a_joined_network_is_the_uncut_one(model, folder, frames):
    whole = joined(load_bundle(folder).network)
    assert len(whole.stages) == 1
    engines = [
        make_engine(n, make_runtime('onnxruntime', 1), exits=False)
        for n in (whole, assemble(model))
    ]
    for frame in frames:
        ours, uncut = (engine.process_full(frame).detections for engine in engines)
        np.testing.assert_array_equal(ours.scores, uncut.scores)
    assert engines[0].segments == engines[1].segments


def test_what_ships_is_the_network_alone_as_a_build_gives_it(tmp_path):
    """Its ONNX file may differ with the exporter's version, what it computes may not."""
    build_bundle(load_model('pedestrian_ssdlite'), tmp_path / 'again')
    frame = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    outputs = []
    for path in (SHIPPED, tmp_path / 'again'):
        engine = make_engine(load_bundle(path).network, make_runtime('onnxruntime', 1))
        engine.process_full(frame)
        last = engine._steps[-1].stage.outputs
        outputs.append({name: buffer.read().copy() for name, buffer in last.items()})
    ours, again = outputs
    assert list(ours) == list(again)
    for name in ours:
        np.testing.assert_allclose(ours[name], again[name], atol=1e-4)
    shipped, rebuilt = read_manifest(SHIPPED), read_manifest(tmp_path / 'again')
    assert (shipped.exit_names, len(shipped.stages), shipped.checkpoint) == ([], 1, None)
    for name in ('preprocessing', 'decoder', 'thresholds', 'class_names', 'task'):
        assert getattr(shipped, name) == getattr(rebuilt, name)
    assert shipped.origin.network == rebuilt.origin.network


def test_what_ships_says_what_the_original_network_says():
    """By its recording in TensorFlow, as far as the torch module does."""
    recorded = np.load(FIXTURE / 'detections.npz')
    engine = make_engine(load_bundle(SHIPPED).network, make_runtime('onnxruntime', 1))
    found, wanted = [], []
    for name in recorded.files[::6]:
        image = cv2.cvtColor(cv2.imread(str(FIXTURE / f'{name}.webp')), cv2.COLOR_BGR2RGB)
        scores = np.sort(engine.process_full(image).detections.above(0.5).scores)
        theirs = np.sort(recorded[name][recorded[name][:, 0] > 0.5, 0])
        assert len(scores) == len(theirs)
        found += [*scores]
        wanted += [*theirs]
    assert len(wanted) > 5
    np.testing.assert_allclose(found, wanted, atol=1e-3)


def test_an_older_bundle_with_a_temporal_exit_that_was_never_learnt_loads(tmp_path):
    shutil.copytree(SHIPPED, tmp_path / 'older')
    path = tmp_path / 'older' / 'bundle.json'
    about = json.loads(path.read_text()) | {'thresholds': {'temporal': 0.75}}
    del about['digest']
    path.write_text(json.dumps(about | {'digest': digest(about)}))
    assert load_bundle(tmp_path / 'older').network.thresholds == {}


@pytest.mark.parametrize('keep', [0, 1, 0.5, 0.99])
def test_a_cut_manifest_is_refused(folder, keep):
    path = folder / 'bundle.json'
    text = path.read_text()
    path.write_text(text[: keep if isinstance(keep, int) else int(len(text) * keep)])
    with pytest.raises(BundleError, match=r'cut or damaged.*e4 build'):
        load_bundle(folder)


def test_an_edited_manifest_is_refused(folder):
    path = folder / 'bundle.json'
    path.write_text(path.read_text().replace('"exit1": 0.5', '"exit1": 0.1'))
    with pytest.raises(BundleError, match=r'edited.*e4 bundle set'):
        load_bundle(folder)


@pytest.mark.parametrize('kind', ['stage0', 'stage1', 'exit1'])
def test_a_cut_an_edited_and_a_missing_file_are_refused(folder, kind):
    (path,) = folder.glob(f'{kind}-*.onnx')
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(BundleError, match=f'{kind}.*was cut or replaced.*copy it again'):
        load_bundle(folder)
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(BundleError, match=f'{kind}.*was edited'):
        load_bundle(folder)
    path.unlink()
    with pytest.raises(BundleError, match=f'lacks {kind}'):
        load_bundle(folder)


@pytest.mark.parametrize(
    ('format', 'said'),
    [
        ('e4_ros.bundle/2', 'newer format.*update e4_ros'),
        ('e4_ros.bundle/0', 'older format.*e4 build'),
        ('org.example/1', 'another program'),
        (None, 'another program'),
    ],
)
def test_another_version_and_another_program_are_refused(folder, format, said):
    about = json.loads((folder / 'bundle.json').read_text()) | {'format': format}
    (folder / 'bundle.json').write_text(json.dumps(about))
    with pytest.raises(BundleError, match=said):
        load_bundle(folder)


def test_what_makes_no_sense_is_refused_by_its_place(folder):
    about = json.loads((folder / 'bundle.json').read_text())
    del about['digest']
    about['stages'][0]['file']['name'] = '../../../etc/passwd'
    (folder / 'bundle.json').write_text(json.dumps(about | {'digest': digest(about)}))
    with pytest.raises(BundleError, match=r'stages\.0\.file\.name'):
        load_bundle(folder)


def test_a_folder_that_is_none_is_refused(tmp_path):
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'file').write_text('')
    for name in ('nowhere', 'empty', 'file'):
        with pytest.raises(BundleError, match=r'no bundle.*e4 build'):
            load_bundle(tmp_path / name)


def test_a_precision_that_was_not_kept_is_refused(folder):
    with pytest.raises(PrecisionError, match='e4 precision'):
        load_bundle(folder, 'int8')


def test_a_bundle_on_a_disk_that_cannot_be_written_runs(folder, frames):
    for path in (*folder.iterdir(), folder):
        path.chmod(path.stat().st_mode & ~0o222)
    before = {path: path.stat().st_mtime_ns for path in (folder, *folder.iterdir())}
    assert len(gate_scores(load_bundle(folder).network, frames)) == 4
    assert {path: path.stat().st_mtime_ns for path in (folder, *folder.iterdir())} == before


def test_what_runs_does_not_mind_that_its_bundle_goes(folder, frames):
    network = load_bundle(folder).network
    shutil.rmtree(folder)
    assert len(gate_scores(network, frames)) == 4


def test_a_bundle_that_is_replaced_meanwhile_is_read_anew(folder, model, fitted, monkeypatch):
    """Between the manifest and the files somebody puts another bundle in its place."""
    with torch.no_grad():
        model.network.module[0].weight += 1
    fitted.network = model.network.fingerprint
    reads = []

    def slowly(path, entry):
        if not reads:
            build_bundle(model, folder, fitted)
        reads.append(entry.name)
        return read_file(path, entry)

    monkeypatch.setattr(bundle_module, 'read_file', slowly)
    found = load_bundle(folder)
    assert found.manifest.origin.network == fitted.network
    assert len(reads) > len(list(folder.glob('*.onnx')))


def test_replacing_a_bundle_leaves_no_file_of_the_old_one(folder, model):
    (folder / 'notes.txt').write_text('mine')
    with torch.no_grad():
        model.network.module[0].weight += 1
    build_bundle(model, folder)
    listed = {entry.name for entry in read_manifest(folder).files}
    assert {path.name for path in folder.iterdir()} == {*listed, 'bundle.json', 'notes.txt'}


def test_a_folder_of_something_else_is_left_alone(folder, tmp_path):
    (tmp_path / 'thesis').mkdir()
    (tmp_path / 'thesis' / 'chapter.tex').write_text('')
    with pytest.raises(BundleError, match='something else'):
        write_bundle(tmp_path / 'thesis', read_manifest(folder), {})
    assert [path.name for path in (tmp_path / 'thesis').iterdir()] == ['chapter.tex']


def test_a_write_that_fails_leaves_the_bundle_as_it_was(folder, model, monkeypatch):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with torch.no_grad():
        model.network.module[0].weight += 1
    monkeypatch.setattr('os.fsync', lambda _: (_ for _ in ()).throw(OSError('disk full')))
    with pytest.raises(OSError, match='disk full'):
        build_bundle(model, folder)
    with pytest.raises(OSError, match='disk full'):
        build_bundle(model, folder.with_name('new'))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert not [path for path in folder.parent.iterdir() if 'new' in path.name]


def test_thresholds_are_changed_and_their_promise_is_gone(folder):
    manifest = read_manifest(folder)
    changed = manifest.with_thresholds({'exit1': None, 'temporal': 0.9})
    assert changed.thresholds == {'temporal': 0.9}
    assert changed.calibration.risk is None
    assert changed.calibration.audit_bounds == {'exit1': 0.3}
    assert changed.exits_key != manifest.exits_key
    save_changed(folder, changed, {})
    assert load_bundle(folder).network.thresholds == {'temporal': 0.9}


@pytest.mark.parametrize(
    ('thresholds', 'said'),
    [({'exit7': 0.5}, 'temporal, exit1'), ({'exit1': -1}, 'thresholds.exit1'),
     ({'exit1': float('nan')}, 'thresholds.exit1')],
)  # fmt: skip
def test_thresholds_that_are_none_are_refused(folder, thresholds, said):
    with pytest.raises(BundleError, match=said):
        read_manifest(folder).with_thresholds(thresholds)


def test_what_ships_is_not_changed_in_place(tmp_path):
    with pytest.raises(BundleError, match='--out'):
        destination(SHIPPED, None)
    assert destination(SHIPPED, tmp_path / 'own') == tmp_path / 'own'


def test_a_changed_bundle_can_go_elsewhere(folder, tmp_path):
    before = (folder / 'bundle.json').read_bytes()
    calibration = Calibration(risk=0.2, against='full')
    changed = read_manifest(folder).calibrated({'exit1': 0.7}, calibration)
    save_changed(folder, changed, {}, tmp_path / 'other')
    assert (folder / 'bundle.json').read_bytes() == before
    assert load_bundle(tmp_path / 'other').manifest == changed


def test_bundles_are_found_by_name_and_by_path(folder, tmp_path, monkeypatch):
    assert find_bundle('pedestrian_ssdlite') == SHIPPED
    assert find_bundle(str(folder)) == folder
    monkeypatch.chdir(tmp_path)
    assert find_bundle('tiny').resolve() == folder
    assert find_bundle('nobody') is None
    assert find_bundle('') is None


def test_a_networks_place_for_weights_is_named_when_they_are_others(tmp_path):
    model = load_model('pedestrian_ssdlite', 'random')
    build_bundle(model, tmp_path / 'random')
    with pytest.raises(BundleError, match='other weights'):
        trainable(tmp_path / 'random', read_manifest(tmp_path / 'random'))
