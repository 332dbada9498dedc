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

"""`e4 models`: what ships, what is in the cache, what a file is taken for."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

from e4_ros.commands.app import app
from e4_ros.evaluation.model_facts import cached, look, timed
from e4_ros.perception.setup import EngineOptions, open_bundle, set_up


def e4(*arguments: object):
    return CliRunner().invoke(app, list(map(str, arguments)), env={'COLUMNS': '200'})


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv('E4_CACHE', str(tmp_path / 'cache'))


@pytest.fixture
def lamps(tmp_path, lamp_detector):
    return lamp_detector(tmp_path / 'lamps.onnx')


def test_what_ships_and_what_is_in_the_cache_is_listed(lamps):
    open_bundle(str(lamps))
    told = e4('models', '--no-time')
    assert told.exit_code == 0, told.output
    lines = {line.split()[0].split('-')[0]: line for line in told.stdout.splitlines()}
    assert 'person' in lines['pedestrian_ssdlite']
    assert lines['pedestrian_ssdlite'].rstrip().endswith('ships')
    assert '64×64' in lines['lamps']


def test_a_file_is_told_with_its_family_classes_and_places_to_cut(lamps):
    told = e4('models', lamps, '--no-time', '--json')
    assert told.exit_code == 0, told.output
    (found,) = json.loads(told.stdout)['models']
    assert re.fullmatch(r'lamps-[0-9a-f]{8}', found['model'])
    assert found['family'] == 'yolov8'
    assert found['class_names'] == ['lamp', 'sun']
    assert found['input_size'] == [64, 64]
    assert found['notes'], 'how it was recognised'
    assert found['macs'] == 3 * 64 * 64  # of its one convolution
    assert {group['tensors'] for group in found['cuts']} <= {1, 2, 3}
    assert found['full_ms'] is None
    table = e4('models', lamps, '--no-time').stdout
    assert 'lamp, sun' in table
    assert found['notes'][0] in ' '.join(table.split())


def test_exits_are_told_with_those_that_are_off(tmp_path, exits_bundle):
    e4('bundle', 'set', exits_bundle, '--threshold', 'exit1=off', '--out', tmp_path / 'own')
    told = e4('models', tmp_path / 'own', '--no-time')
    assert 'temporal, exit1 (off)' in told.stdout


def test_a_frame_is_timed_on_this_machine(lamps):
    assert timed(look(str(lamps)), seconds=0).full_ms > 0


def test_a_folder_stands_for_the_files_and_bundles_in_it(tmp_path, lamp_detector):
    (tmp_path / 'runs').mkdir()
    for name in ('b', 'a'):
        lamp_detector(tmp_path / 'runs' / f'{name}.onnx')
    shutil.copytree(open_bundle('pedestrian_ssdlite'), tmp_path / 'runs' / 'people')
    told = json.loads(e4('models', tmp_path / 'runs', '--no-time', '--json').stdout)
    names = [found['model'].split('-')[0] for found in told['models']]
    assert names == ['a', 'b', 'pedestrian_ssdlite']


def test_a_file_that_cannot_be_used_is_named_and_the_others_are_still_told(tmp_path, lamps):
    (tmp_path / 'cut.onnx').write_bytes(lamps.read_bytes()[:300])
    told = e4('models', tmp_path / 'cut.onnx', lamps, '--no-time')
    assert told.exit_code == 2
    assert isinstance(told.exception, SystemExit), 'no traceback'
    assert 'cut.onnx' in told.stderr
    assert 'lamp, sun' in told.stdout


def test_an_empty_folder_is_no_model(tmp_path):
    (tmp_path / 'runs').mkdir()
    told = e4('models', tmp_path / 'runs')
    assert told.exit_code == 2
    assert 'neither ONNX files nor bundles' in told.stderr


def test_two_files_of_one_name_live_side_by_side(tmp_path, lamp_detector):
    for folder, names in (('monday', ('lamp',)), ('tuesday', ('lamp', 'sun', 'moon'))):
        (tmp_path / folder).mkdir()
        lamp_detector(tmp_path / folder / 'best.onnx', names)
    found = {
        day: set_up(EngineOptions(str(tmp_path / day / 'best.onnx'), threads=1))
        for day in ('monday', 'tuesday', 'monday')
    }
    assert found['monday'].engine.model.class_names == ('lamp',)
    assert found['tuesday'].engine.model.class_names == ('lamp', 'sun', 'moon')
    assert len(cached()) == 2


def test_the_cache_is_emptied_and_filled_again(lamps):
    folder = open_bundle(str(lamps))
    assert e4('models', '--clear-cache').exit_code == 0
    assert cached() == []
    assert open_bundle(str(lamps)) == folder


def test_a_file_that_is_replaced_or_lost_while_it_runs_changes_nothing(tmp_path, lamp_detector):
    file = lamp_detector(tmp_path / 'best.onnx', ('lamp', 'sun'))
    frame = np.zeros((64, 64, 3), np.uint8)
    frame[16:32, 16:32] = 255
    running = set_up(EngineOptions(str(file), threads=1)).engine
    before = running.process_full(frame).detections
    lamp_detector(file, ('moon',), side=96)
    after = running.process_full(frame).detections
    np.testing.assert_array_equal(before.boxes, after.boxes)
    started_then = set_up(EngineOptions(str(file), threads=1)).engine
    assert (tuple(running.model.class_names), running.model.input_size) == (
        ('lamp', 'sun'),
        (64, 64),
    )
    assert (tuple(started_then.model.class_names), started_then.model.input_size) == (
        ('moon',),
        (96, 96),
    )
    file.unlink()
    assert len(running.process_full(frame).detections) == len(before) == 1
