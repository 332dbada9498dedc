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

"""`e4 build` of a file that somebody brought."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from e4_ros.commands.app import app
from e4_ros.perception.setup import EngineOptions, set_up
from e4_ros.vision.bundle import read_manifest


def e4(*arguments: object):
    return CliRunner().invoke(app, list(map(str, arguments)), env={'COLUMNS': '300'})


@pytest.fixture
def lamps(tmp_path, lamp_detector):
    return lamp_detector(tmp_path / 'lamps.onnx', ('lamp', 'sun', 'moon'))


def test_a_file_becomes_a_bundle_that_runs_and_says_what_it_was_taken_for(tmp_path, lamps):
    told = e4('build', lamps, '--out', tmp_path / 'ours')
    assert told.exit_code == 0, told.output
    manifest = read_manifest(tmp_path / 'ours')
    for note in manifest.origin.recognised:
        assert note in ' '.join(told.stdout.split())
    assert 'YOLOv8' in manifest.origin.recognised[0]
    assert manifest.class_names == ('lamp', 'sun', 'moon')
    assert f'e4 run FOOTAGE --model {tmp_path / "ours"}' in told.stdout
    engine = set_up(EngineOptions(str(tmp_path / 'ours'), threads=1)).engine
    assert list(engine.paths) == ['track', 'full']


def test_only_the_wanted_classes_are_left(tmp_path, lamps):
    e4('build', lamps, '--classes', ' moon, lamp ', '--out', tmp_path / 'ours')
    assert read_manifest(tmp_path / 'ours').class_names == ('lamp', 'moon')


def test_names_of_a_file_go_before_those_in_the_network(tmp_path, lamps):
    names = tmp_path / 'names.txt'
    names.write_text('Lampe\nSonne\nMond\n')
    e4('build', lamps, '--names', names, '--out', tmp_path / 'ours')
    assert read_manifest(tmp_path / 'ours').class_names == ('Lampe', 'Sonne', 'Mond')


def test_classes_of_a_network_by_its_name_are_narrowed_too(tmp_path):
    told = e4('build', 'pedestrian_ssdlite', '--classes', 'person', '--out', tmp_path / 'ours')
    assert told.exit_code == 0, told.output
    assert read_manifest(tmp_path / 'ours').class_names == ('person',)


@pytest.mark.parametrize(
    ('arguments', 'said'),
    [
        ('LAMPS --classes dragon', "no class 'dragon'"),
        ('LAMPS --classes ,', 'no class is left'),
        ('LAMPS --names TWO', 'too few class names'),
        ('LAMPS --input 65', 'fixed to 64×64'),
        ('LAMPS --input wide', "'wide' is no size"),
        ('LAMPS --family magic', "no family of detectors is called 'magic'"),
        ('LAMPS --weights TWO', 'has its weights in it'),
        ('CUT', 'is no ONNX model, or it was cut'),
        ('nowhere.onnx', 'no file nowhere.onnx'),
        ('best.pt', 'best.pt is a checkpoint of PyTorch: export it to ONNX'),
        ('best.engine', 'best.engine is an engine of TensorRT, which runs on one machine only'),
        ('pedestrian_ssdlite --family yolox', 'only an ONNX file is to be recognised'),
        ('pedestrian_ssdlite --classes dragon', "no class 'dragon'"),
        ('torchvision/mobilenet_v3_small --names TWO', 'come with their own classes'),
    ],
)
def test_bad_input_ends_in_a_sentence_and_leaves_nothing(tmp_path, lamps, arguments, said):
    (tmp_path / 'two.txt').write_text('lamp\nsun\n')
    (tmp_path / 'cut.onnx').write_bytes(lamps.read_bytes()[:-200])
    files = {'LAMPS': lamps, 'TWO': tmp_path / 'two.txt', 'CUT': tmp_path / 'cut.onnx'}
    words = [str(files.get(word, word)) for word in arguments.split()]
    told = e4('build', *words, '--out', tmp_path / 'ours')
    assert told.exit_code == 2, told.output
    assert isinstance(told.exception, SystemExit), 'no traceback'
    assert said in ' '.join(told.stderr.split())
    assert not (tmp_path / 'ours').exists()
