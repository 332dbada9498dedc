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

"""Policies of offloading side by side: the same worlds for all, and a log of one's own."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from e4_ros.benchmarks.siblings.offload_policies import AGAINST, BOUND, SCENARIOS, compare
from e4_ros.commands.app import app
from e4_ros.evaluation.simulation.edge_policies import baselines
from e4_ros.evaluation.simulation.edge_world import Scenario
from e4_ros.perception.controller import Observation


def test_every_policy_is_played_on_the_same_worlds_and_none_is_below_the_bound():
    rows = {row['policy']: row for row in compare(Scenario(), [1], 60)}
    assert rows[AGAINST]['regret_percent'] == 0.0
    assert set(rows) == {
        BOUND, 'dvfo:exact', 'dvfo:greedy', 'dvfo:learned', *baselines(Scenario()),
    }  # fmt: skip
    assert all(row['cost'] >= rows[BOUND]['cost'] for row in rows.values())
    assert rows['dvfo:learned']['training_frames'] > 0
    assert rows['edge-only, full network']['f1'] == 1.0
    assert rows['edge-only, ladder']['edge_percent'] == 0.0
    assert rows['cloud-only, JPEG']['edge_percent'] > 30


@pytest.mark.parametrize('name', list(SCENARIOS))
def test_baselines_decide_where_nobody_answers_and_send_nothing_then(name):
    scenario = SCENARIOS[name]
    for make in baselines(scenario).values():
        decision = make().decide(Observation(board=scenario.board_state()))
        assert decision.point
        assert not decision.offload.service


def test_a_log_of_ones_own_link_is_compared_on(tmp_path):
    log, out = tmp_path / 'log.csv', tmp_path / 'found.json'
    log.write_text('\n'.join(f'{t},{10 + t % 5}' for t in range(20)))
    args = ['bench', 'offload-policies', '--trace', str(log), '--frames', '50', '--json', str(out)]
    ran = CliRunner().invoke(app, args)
    assert ran.exit_code == 0, ran.output
    assert {row['policy'] for row in json.loads(out.read_text())['policies']} >= {AGAINST, BOUND}


@pytest.mark.parametrize(
    ('args', 'says'),
    [
        (['--trace', 'absent.csv'], 'absent.csv'),
        (['--board', 'toaster'], 'toaster'),
        (['--share', '0'], 'share'),
    ],
)
def test_what_cannot_be_played_is_said(args, says):
    ran = CliRunner().invoke(app, ['bench', 'offload-policies', *args])
    assert ran.exit_code == 2
    assert says in ' '.join(ran.output.replace('│', ' ').split())


def test_a_log_of_garbage_is_said(tmp_path):
    log = tmp_path / 'log.csv'
    log.write_text('0,1\n1,fast\n')
    ran = CliRunner().invoke(app, ['bench', 'offload-policies', '--trace', str(log)])
    assert ran.exit_code == 2
    assert 'line 2' in ' '.join(ran.output.replace('│', ' ').split())
    assert replace(Scenario(), board='jetson_nano').board_state().name == 'jetson_nano'
