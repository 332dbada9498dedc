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

import json

import pytest
from typer.testing import CliRunner

from e4_ros.commands.app import app
from e4_ros.offload.payloads import read_tables, table_for
from e4_ros.vision.inference.batch_times import BatchTable


@pytest.fixture(scope='module')
def figures(tmp_path_factory):
    """What the two parts measured with few frames, and what they printed."""
    path = tmp_path_factory.mktemp('siblings') / 'siblings.json'
    parts = ['--part', 'batches', '--part', 'sent']
    ran = CliRunner().invoke(
        app,
        ['bench', 'siblings', *parts, '--quick', '--json', str(path)],
        env={'E4_FOOTAGE': '', 'COLUMNS': '160'},
    )
    assert ran.exit_code == 0, ran.output
    return path, ran.output


def test_every_way_of_sending_has_bytes_and_f1(figures):
    path, said = figures
    (table,) = read_tables(path)
    assert table.stream == 'bikes'
    assert table_for([table], table.network) is not None
    by_name = {way.name: way for way in table.ways}
    assert {way.form for way in table.ways} == {'features', 'frame', 'region'}
    sizes = [by_name[f'frame q{quality}'].bytes for quality in (30, 50, 70, 80, 90, 95)]
    assert sizes == sorted(sizes)
    assert by_name['region q50'].bytes < by_name['frame q50'].bytes
    for name in [name for name in by_name if name.endswith('8 bit')]:
        assert by_name[name.replace('8 bit', '4 bit')].bytes < by_name[name].bytes
        assert 0 < by_name[name].share < 1
    assert 'bikes: what is sent, 3 frames' in said


def test_whether_a_batch_pays_is_measured(figures):
    path, said = figures
    about = json.loads(path.read_text())['batches']['tables']
    table = next(t for t in map(BatchTable.from_json, about) if t.device == 'cpu')
    assert {(each.batch, each.sessions) for each in table.times} == {(1, 1), (1, 2), (4, 1), (4, 2)}
    assert ('cpu: a batch pays' in said) == table.pays
