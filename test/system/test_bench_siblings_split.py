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

"""`e4 bench siblings --part split` from end to end, with two steps on few frames."""

import json

import pytest
from typer.testing import CliRunner

from e4_ros.commands.app import app
from e4_ros.evaluation.sources import SourceError, open_source


def test_a_split_is_judged_on_footage_that_it_did_not_learn_from(tmp_path):
    pytest.importorskip('torch')
    try:
        open_source('vtest')
    except SourceError as error:
        pytest.skip(str(error))
    path = tmp_path / 'siblings.json'
    options = ['--part', 'split', '--quick', '--json', str(path)]
    ran = CliRunner().invoke(
        app, ['bench', 'siblings', *options], env={'E4_FOOTAGE': '', 'COLUMNS': '160'}
    )
    assert ran.exit_code == 0, ran.output
    found = json.loads(path.read_text())['split']
    assert found['learned_from'] == 'vtest 0-299, bikes 0-119'
    streams = {row['stream'] for row in found['rows']}
    assert 'vtest from 500 on' in streams
    halves = [
        row['fused'] for row in found['rows'] if (row['halves'], row['kept']) == ('trained', 0.5)
    ]
    assert found['accepted'] == (min(halves) >= found['least_f1'])
    assert f'{"accepted" if found["accepted"] else "not accepted"}: 0.95' in ran.output
