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

"""A second real provider: OpenVINO's ONNX Runtime, which cannot be installed beside the usual one.

``E4_OPENVINO_PYTHON`` names an interpreter that has onnxruntime-openvino and the package's other
requirements; docs/devices.md says how to make one.
"""

from __future__ import annotations

import json
import os
import subprocess

import pytest

PYTHON = os.environ.get('E4_OPENVINO_PYTHON', '')

pytestmark = pytest.mark.skipif(not PYTHON, reason='E4_OPENVINO_PYTHON names no interpreter')

_COMPARE = """
import json, sys
import numpy as np
from e4_ros.evaluation.sources import open_source
from e4_ros.perception.setup import EngineOptions, set_up

def build(model, **options):
    return set_up(EngineOptions(model, **options)).engine

engines = {n: build('pedestrian_ssdlite', device=n, threads=2) for n in ('cpu', 'openvino')}
frames = [frame for _, (_, frame) in zip(range(10), open_source('vtest'))]
answers = {n: [e.process_full(f).detections for f in frames] for n, e in engines.items()}
print(json.dumps({
    'auto': build('pedestrian_ssdlite', threads=2).device,
    'devices': [s.device for s in engines['openvino'].segments],
    'found': [len(a) for a in answers['cpu']],
    'worst': max(
        float(np.abs(a.scores[:len(b)] - b.scores[:len(a)]).max())
        for a, b in zip(answers['cpu'], answers['openvino']) if len(a) and len(a) == len(b)
    ),
    'same_number': sum(len(a) == len(b) for a, b in zip(answers['cpu'], answers['openvino'])),
}))
"""


def said(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PYTHON, *arguments], capture_output=True, text=True, timeout=300, check=False
    )


@pytest.fixture(scope='module')
def compared():
    done = said('-c', _COMPARE)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_auto_takes_openvino_where_it_is_there(compared):
    assert compared['auto'] == 'openvino'


def test_the_stages_run_on_it_and_the_preparation_on_the_cpu(compared):
    assert compared['devices'][0] == 'cpu'
    assert set(compared['devices'][1:]) == {'openvino'}


def test_it_finds_what_the_cpu_finds(compared):
    assert min(compared['found']) > 0
    assert compared['same_number'] >= 9
    assert compared['worst'] < 1e-2


def test_the_doctor_says_that_it_works():
    checks = {c['name']: c for c in json.loads(said('-m', 'e4_ros.cli', 'doctor', '--json').stdout)}
    assert checks['device openvino']['state'] == 'ok'
    assert 'as the CPU' in checks['device openvino']['found']


def test_a_run_names_the_device_in_its_summary(tmp_path):
    done = said(
        '-m', 'e4_ros.cli', 'run', 'vtest', '--frames', '5', '--device', 'openvino',
        '--out', str(tmp_path),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / 'summary.json').read_text())['device'] == 'openvino'


def test_cuda_is_refused_there_with_what_there_is():
    done = said('-m', 'e4_ros.cli', 'run', 'vtest', '--frames', '1', '--device', 'cuda')
    assert done.returncode != 0
    assert 'it has OpenVINOExecutionProvider' in done.stderr
