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

"""`e4 demo-edge`, short: real robots, a real server that is killed, swapped and comes back."""

import json

import pytest
from typer.testing import CliRunner

from e4_ros.commands.app import app

pytest.importorskip('zenoh')


def test_a_robot_answers_while_its_server_comes_and_goes(tmp_path):
    words = ['demo-edge', 'bikes', '--seconds', '10', '--fps', '8', '--share', '1']
    done = CliRunner().invoke(app, [*words, '--room', 'relay', '--out', str(tmp_path)])
    assert done.exit_code == 0, done.output
    told = json.loads((tmp_path / 'edge.json').read_text())
    own, alone = told['totals']['with a server'], told['totals']['alone']
    for totals in (own, alone):
        assert totals['received'] == 80
        assert totals['answered'] + totals['dropped'] == 80
        assert totals['failed'] == 0
    assert own['requests'] > 0
    assert alone['requests'] == 0
    assert own['judged_by'] == 'the full network'
    assert any('killed' in each['what'] for each in told['happenings'])
    assert 'Plotly' in (tmp_path / 'edge.html').read_text()


def test_what_cannot_be_shown_is_said():
    done = CliRunner().invoke(app, ['demo-edge', 'bikes', '--room', 'cellar'])
    assert done.exit_code == 2
    assert 'no room' in done.output
    done = CliRunner().invoke(app, ['demo-edge', 'no-such-film.mp4'])
    assert done.exit_code == 2
    assert 'does not exist' in done.output
