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

"""`e4 bench models` on files that cannot be read, and on a real one where there is one."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest
from typer.testing import CliRunner

from e4_ros.benchmarks.exits.streams import Place, Stream
from e4_ros.benchmarks.models import experiment
from e4_ros.benchmarks.models.experiment import measure
from e4_ros.commands.app import app
from e4_ros.console import Phases

FIXTURE = Path(__file__).parents[2] / 'fixtures' / 'detector'


@pytest.fixture(scope='module')
def frames():
    paths = sorted(FIXTURE.glob('vtest_*.webp'))[:12]
    return [cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB) for path in paths]


def bench(*arguments: object):
    return CliRunner().invoke(
        app, ['bench', 'models', *map(str, arguments)], env={'E4_FOOTAGE': ''}
    )


def test_files_that_cannot_be_read_are_listed_and_the_exit_code_says_so(tmp_path):
    text, missing = tmp_path / 'text.onnx', tmp_path / 'missing.onnx'
    text.write_text('this is no network')
    out = tmp_path / 'models.json'
    said = bench(text, missing, '--quick', '--stream', 'bikes', '--json', out)
    assert said.exit_code == 2
    figures = json.loads(out.read_text())
    assert figures['models'] == []
    assert [one['file'] for one in figures['failed']] == ['text.onnx', 'missing.onnx']
    assert 'ONNX' in figures['failed'][0]['why']
    assert 'not read: text.onnx' in said.stdout
    assert 'text.onnx' in out.with_suffix('.html').read_text()
    assert str(tmp_path) not in out.read_text()


def test_a_bug_in_one_file_does_not_cost_the_others(tmp_path, monkeypatch, capsys):
    def breaks(file: Path, *_: object) -> dict[str, object]:
        if file.name == 'odd.onnx':
            raise TypeError('nobody thought of this')
        raise ValueError('not a network')

    monkeypatch.setattr(experiment, 'measure', breaks)
    files = [tmp_path / 'odd.onnx', tmp_path / 'text.onnx']
    plan = experiment.Plan(files, quick=True, streams=['bikes'])
    failed = experiment.run(plan, tmp_path / 'models.json')['failed']
    assert [one['why'] for one in failed] == [
        'a bug, TypeError: nobody thought of this',
        'not a network',
    ]
    assert 'Traceback' in capsys.readouterr().err


def test_without_a_file_nothing_is_measured(tmp_path):
    said = bench('--json', tmp_path / 'models.json')
    assert said.exit_code == 0
    assert json.loads((tmp_path / 'models.json').read_text())['models'] == []


def test_a_stream_that_is_not_there_is_named(tmp_path):
    said = bench('--stream', 'nowhere', '--json', tmp_path / 'models.json')
    assert said.exit_code == 2
    assert not (tmp_path / 'models.json').exists()


@pytest.mark.parametrize('name', ['yolox_nano_416.onnx', 'deimv2_atto.onnx'])
def test_a_real_detector_is_read_as_its_file_says(name, real_model, frames):
    file = real_model(name)
    clip = [(index / 10, frame) for index, frame in enumerate(frames)]
    place = Place('few', 'few', lambda: Stream('few', clip, moving=False))
    with Phases(shown=False) as phases:
        found = measure(file, 1, [place], frames, phases)
    assert (found['file'], found['classes']) == (name, 80)
    assert found['chain_max_diff'] < 1e-3
    assert found['original_max_diff'] < 1e-3
    assert {max(one['tensors']) for one in found['chains']} >= {1, 2, 3}
    assert found['reference']['kept'], found['reference']
    assert found['reference']['boxes'] > 50
    (stream,) = found['streams']
    assert stream['stream'] == 'few'
    assert stream['boxes'] > 20
    assert 0 < stream['f1_full_tracked'] <= 1
    assert stream['speedup'] > 0
