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

"""`e4 reproduce` on one board, with exits from a record."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from e4_ros.commands.app import app
from e4_ros.energy.board_model import SegmentWork
from e4_ros.evaluation.exit_record import load_exits, save_exits
from e4_ros.evaluation.simulation.reproduction import Backbone, ExitTrace

WORKS = [
    SegmentWork('prepare', 0, 1.35e6, 8, 'cpu'),
    SegmentWork('stage0', 300e6, 70e6, 30),
    SegmentWork('stage1', 300e6, 70e6, 30),
]
PATHS = {'temporal': [0], 'exit1': [0, 1], 'full': [0, 1, 2]}


@pytest.fixture
def record(tmp_path) -> Path:
    exits = ('temporal', 'exit1', 'temporal', 'full') * 10
    trace = ExitTrace(PATHS, exits, 0.95)
    save_exits(tmp_path / 'given.json', [Backbone('net', WORKS, trace, trace)])
    return tmp_path / 'given.json'


def reproduce(*arguments: object):
    return CliRunner().invoke(app, ['reproduce', *map(str, arguments)], env={'COLUMNS': '200'})


def test_the_figures_have_the_shape_that_others_read(record, tmp_path):
    out = tmp_path / 'out' / 'figures.json'
    result = reproduce(
        '--json', out, '--exits-record', record, '--boards', 'jetson_nano', '--train-frames', 0,
        '--paces', '1.5,3', '--streams', 2,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    data = json.loads(out.read_text())
    assert {'rows', 'summary', 'settings'} <= set(data)
    for row in data['rows']:
        assert {
            'board',
            'backbone',
            'workload',
            'policy',
            'energy_j_per_frame',
            'latency_ms',
            'deadline_miss_percent',
            'agreement',
        } <= set(row)
        assert set(row['latency_ms']) == {'p50', 'p99'}
    assert {row['workload'] for row in data['rows']} == {'steady', 'bursty'}
    summary = data['summary']
    parts = sum(summary[f'from_{part}_percent'] for part in ('exits', 'clocks', 'segment_clocks'))
    assert summary['saving_vs_best_governor_percent'] == pytest.approx(parts)
    assert 0 < summary['saving_vs_best_governor_percent'] < summary['bound_percent']
    assert [pace['pace'] for pace in data['paces']] == [1.5, 3.0]
    assert data['paces'][0]['summary'] == summary
    assert data['settings']['modes'] == {'jetson_nano': 'MAXN'}
    assert load_exits(out.with_name('exits.json')) == load_exits(record)
    assert 'jetson_nano' in out.with_suffix('.html').read_text()


@pytest.mark.parametrize(
    ('arguments', 'says'),
    [
        (['--exits-record', 'missing.json'], 'No such file'),
        (['--exits-record', __file__], 'not a record of exits'),
        (['--model', __file__], 'is no bundle'),
        (['--model', 'missing'], 'missing is no bundle'),
        (['--source', 'missing.mp4'], 'does not exist'),
        (['--boards', 'nintendo'], "unknown board 'nintendo'"),
        (['--boards', 'jetson_nano', '--mode', '50W'], "no power mode '50W'"),
        (['--paces', '1.1'], 'more than 1.2 times'),
        (['--paces', 'fast'], 'could not convert'),
    ],
)
def test_bad_input_is_told_before_anything_takes_long(record, tmp_path, arguments, says):
    given = [] if arguments[0] in ('--model', '--source') else ['--exits-record', record]
    if arguments[0] == '--exits-record':
        given = []
    result = reproduce(
        *given, *arguments, '--train-frames', 0, '--json', tmp_path / 'out' / 'figures.json'
    )
    assert result.exit_code == 2
    assert says in result.output
    assert not (tmp_path / 'out').exists()
