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

"""From a file to a bundle: real detectors where they are, a small one made here."""

from __future__ import annotations

from itertools import islice

import numpy as np
import onnx
import pytest
import yaml
from onnx_exports import Yolov8, export, ultralytics

from e4_ros.evaluation.sources import open_source
from e4_ros.perception.bundle_cache import bundles_dir, open_bundle
from e4_ros.perception.setup import EngineOptions, set_up
from e4_ros.vision.bundle import load_bundle, read_manifest
from e4_ros.vision.networks.to_bundle import build_plain
from e4_ros.vision.onnx_file import is_onnx_file, load
from e4_ros.vision.onnx_file.load import load_onnx
from e4_ros.vision.onnx_file.read import OnnxFileError
from e4_ros.vision.zoo import load_model


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv('E4_CACHE', str(tmp_path / 'cache'))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / 'best.onnx'
    onnx.save(export(Yolov8(3), metadata=ultralytics(3)), path)
    return path


@pytest.fixture
def frame():
    return np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8)


def test_a_file_answers_frames(file, frame):
    setup = set_up(EngineOptions(str(file), threads=1, min_score=0.1))
    assert setup.model.startswith('best-')
    assert setup.manifest.class_names == ('thing0', 'thing1', 'thing2')
    assert setup.manifest.origin.file == 'best.onnx'
    first = setup.engine.process(frame, 0.0)
    assert first.exit == 'full'
    assert len(first.detections)
    assert setup.engine.process(frame, 0.1).exit == 'track'  # nothing moved


def test_a_bundle_is_made_once_and_anew_when_the_file_or_its_sidecar_changes(file):
    first = open_bundle(str(file))
    assert open_bundle(str(file)) == first
    assert first.parent == bundles_dir()
    file.with_suffix('.yaml').write_text(yaml.safe_dump({'classes': ['thing2']}))
    narrowed = open_bundle(str(file))
    assert narrowed != first
    assert read_manifest(narrowed).class_names == ('thing2',)
    file.with_suffix('.yaml').unlink()
    onnx.save(export(Yolov8(4), metadata=ultralytics(4)), file)
    assert len(read_manifest(open_bundle(str(file))).class_names) == 4
    assert len(read_manifest(first).class_names) == 3  # whoever uses it still has it


def test_a_bundle_is_made_anew_when_files_are_read_in_another_way(file, monkeypatch):
    made = open_bundle(str(file))
    monkeypatch.setattr(load, '_code', lambda: 'another')
    assert open_bundle(str(file)) != made


def test_two_files_of_one_name_are_two_models(file, tmp_path):
    (tmp_path / 'other').mkdir()
    other = tmp_path / 'other' / 'best.onnx'
    onnx.save(export(Yolov8(4), metadata=ultralytics(4)), other)
    assert open_bundle(str(file)) != open_bundle(str(other))
    assert load_onnx(file).name != load_onnx(other).name


def test_a_bundle_needs_its_file_no_more(file, tmp_path, frame):
    build_plain(load_onnx(file), tmp_path / 'bundle')
    before = load_model(str(file)).network.fingerprint
    file.unlink()
    model = load_model(str(tmp_path / 'bundle'))
    assert (model.file, model.network.fingerprint) == ('best.onnx', before)
    assert len(model.network.stages([model.network.cuts()[0].node])) == 2
    assert len(set_up(EngineOptions(str(tmp_path / 'bundle'), threads=1)).engine.paths) == 2
    assert load_bundle(tmp_path / 'bundle').network.weights == before


def test_files_are_told_by_their_suffix():
    assert is_onnx_file('/robot/BEST.ONNX')
    assert not is_onnx_file('torchvision/onnx')


def test_what_cannot_be_run_says_why(tmp_path, file):
    with pytest.raises(OnnxFileError, match='there is no file'):
        open_bundle(str(tmp_path / 'nowhere.onnx'))
    with pytest.raises(ValueError, match='give names and size in its sidecar'):
        load_model(str(file), class_names=['a', 'b', 'c'])


@pytest.mark.parametrize('name', ['yolox_nano_416.onnx', 'deimv2_atto.onnx'])
def test_real_detectors_find_people(real_model, name):
    street = next(frame for _, frame in islice(open_source('vtest'), 40, None))
    found = set_up(EngineOptions(str(real_model(name)), threads=1)).engine.process(street, 0.0)
    names = load_onnx(real_model(name)).class_names
    assert len(names) == 80
    assert [names[label] for label in found.detections.labels].count('person') >= 2
