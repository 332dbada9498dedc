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

"""`e4 profile --board here` on roots that stand for machines."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from e4_ros.commands.app import app
from e4_ros.energy.client.client import DvfsClient
from e4_ros.energy.daemon.daemon import Daemon, DaemonConfig
from e4_ros.energy.plan import FrequencyPlan
from e4_ros.energy.power_mode import read_power_mode
from e4_ros.energy.virtual.board import MARK, write_tree
from e4_ros.profiling.measuring import prober
from e4_ros.profiling.measuring.host import (
    NothingToSetError,
    axes_of,
    may_set,
    open_power,
    switch_cost,
)
from e4_ros.profiling.planning.cost_table import CostTable
from e4_ros.profiling.planning.objective import SwitchCost


@pytest.fixture(autouse=True)
def _set_fifo_priority(monkeypatch):
    monkeypatch.setattr(prober, 'SETTLE_S', 0.0)
    monkeypatch.setattr('e4_ros.profiling.measuring.power.CELL_S', 0.02)
    monkeypatch.setattr('e4_ros.profiling.measuring.this_machine._BASELINE_S', 0.02)


@pytest.fixture
def folder() -> Iterator[Path]:
    """One whose sockets have short enough names."""
    with tempfile.TemporaryDirectory(prefix='e4') as name:
        yield Path(name)


def run(folder: Path, root: Path, *more: str):
    arguments = [
        '--sysfs-root',
        root,
        '--state-dir',
        folder / 'state',
        '--socket-path',
        folder / 'sock',
    ]
    arguments += ['--out', folder / 'out', '--threads', '1', *more]
    return CliRunner().invoke(app, ['profile', '--board', 'here', *map(str, arguments)])


def contents(root: Path) -> dict[Path, str]:
    return {p: p.read_text() for p in root.rglob('*') if p.is_file() and not p.is_symlink()}


def test_a_virtual_board_is_measured_planned_for_and_restored(folder):
    root = write_tree('jetson_orin_nano', folder / 'root')
    before = contents(root)
    result = run(folder, root)
    assert result.exit_code == 0, result.output
    assert contents(root) == before
    assert 'This is a virtual board' in ' '.join(result.output.split())
    plan = FrequencyPlan.load(folder / 'out/plan.yaml')
    assert plan.board == 'jetson_orin_nano'
    assert plan.source == 'modelled'  # a plain tree has no rails
    found = json.loads((folder / 'out/profile.json').read_text())
    assert found['plan']['energy_j'] < found['default']['energy_j']
    assert [s['name'] for s in found['as_found']['segments']] == plan.segments
    identity = CostTable.load(folder / 'out/table.json').identity
    assert identity.board == plan.board
    mode = read_power_mode(root)
    assert identity.power_mode == ('' if mode is None else mode.key)
    assert len(identity.bundle) == 12
    again = CliRunner().invoke(
        app,
        ['profile', '--table', str(folder / 'out/table.json'), '--out', str(folder / 'again')],
    )
    assert again.exit_code == 0, again.output
    assert FrequencyPlan.load(folder / 'again/plan.yaml').paths == plan.paths


def test_a_machine_without_clocks_learns_its_latencies_and_why_there_is_no_plan(folder):
    (folder / 'root/sys').mkdir(parents=True)
    result = run(folder, folder / 'root')
    assert result.exit_code == 1, result.output
    text = ' '.join(result.output.split())
    assert 'no plan: no clock was found' in text
    assert 'virtual machines' in text
    found = json.loads((folder / 'out/profile.json').read_text())
    assert all(0 < s['latency_s'] < 10 for s in found['as_found']['segments'])
    assert all(s['energy_j'] is None for s in found['as_found']['segments'])
    assert not (folder / 'out/plan.yaml').exists()


def test_an_unknown_machine_without_sensors_may_borrow_a_power_model(folder):
    """Its files are a Raspberry Pi's, but it does not say so: here the real network runs."""
    root = write_tree('raspberry_pi_5', folder / 'root')
    (root / MARK).unlink()
    for name in ('model', 'compatible'):
        (root / 'proc/device-tree' / name).unlink()
    result = run(folder, root)
    assert result.exit_code == 1, result.output
    assert 'nothing tells the joules' in ' '.join(result.output.split())
    result = run(folder, root, '--power-like', 'raspberry_pi_5')
    assert result.exit_code == 0, result.output
    text = ' '.join(result.output.split())
    assert 'energy is modelled (the power model of raspberry_pi_5)' in text
    assert 'The cost of a clock change is assumed' in text
    assert FrequencyPlan.load(folder / 'out/plan.yaml').board == 'pc'
    assert run(folder, root, '--power-like', 'banana').exit_code == 2


def test_the_lease_of_another_is_respected(folder):
    root = write_tree('jetson_nano', folder / 'root')
    config = DaemonConfig(root=root, state_dir=folder / 'state', socket_path=folder / 'sock')
    with Daemon(config), DvfsClient(folder / 'sock') as other:
        other.acquire('perception')
        result = run(folder, root)
    assert result.exit_code == 1
    assert 'and perception (pid' in ' '.join(result.output.split())


@pytest.mark.parametrize(
    ('more', 'complaint'),
    [
        (['--plan-domains', 'cpu,npu'], 'no domain npu, only cpu, gpu, emc'),
        (['--deadline-s', '0.0001'], 'the fastest needs'),
        (['--model', 'banana'], 'banana'),
        (['--sysfs-root', '/nonexistent'], 'is no folder'),
    ],
)
def test_what_cannot_be_measured_says_why(folder, more, complaint):
    root = write_tree('jetson_nano', folder / 'root')
    before = contents(root)
    result = run(folder, root, *more)
    assert result.exit_code == 2, result.output
    assert complaint in ' '.join(result.output.split())
    assert contents(root) == before
    assert not (folder / 'out').exists()


def domain(name: str, allowed_hz=(1, 2, 3), closed=()):
    return SimpleNamespace(name=name, allowed_hz=allowed_hz, unwritable=lambda: list(closed))


def test_why_no_clock_may_be_set(folder):
    config = DaemonConfig(root=folder, socket_path=folder / 'sock')
    may_set({'cpu': domain('cpu')}, config)
    with pytest.raises(NothingToSetError, match='no clock was found'):
        may_set({}, config)
    with pytest.raises(NothingToSetError, match='one frequency only'):
        may_set({'cpu': domain('cpu', (5,))}, config)
    with pytest.raises(NothingToSetError, match=r'may not set gpu \(/sys/x\).*sudo e4 dvfs serve'):
        may_set({'cpu': domain('cpu'), 'gpu': domain('gpu', closed=['/sys/x'])}, config)


def test_a_running_daemon_may_set_what_this_user_may_not(folder):
    root = write_tree('jetson_nano', folder / 'root')
    config = DaemonConfig(root=root, state_dir=folder / 'state', socket_path=folder / 'sock')
    with Daemon(config):
        may_set({'gpu': domain('gpu', closed=['/sys/x'])}, config)


def test_axes_keep_to_the_daemons_limits_and_to_a_sensible_length():
    long = tuple(range(100, 1100))
    client = SimpleNamespace(frequencies_hz={'cpu': (2, 3), 'gpu': long})
    axes = axes_of({'cpu': domain('cpu'), 'gpu': domain('gpu', long)}, client)
    assert axes['cpu'] == (2, 3)
    assert len(axes['gpu']) == 32
    assert (axes['gpu'][0], axes['gpu'][-1]) == (100, 1099)


def test_switches_of_an_unknown_machine_are_assumed_and_that_is_said():
    known, note = switch_cost('jetson_tx2', ('cpu', 'gpu'))
    assert note == ''
    assert known.effect_s[1] > 0
    guessed, note = switch_cost('pc', ('cpu', 'gpu1'))
    assert guessed == SwitchCost((1e-4, 1e-4), (1e-3, 5e-3))
    assert 'assumed' in note


def test_a_measuring_daemon_tells_joules_that_this_user_may_not_read(folder):
    applied = SimpleNamespace(source='measured', energy_j=1.0, point={})
    client = SimpleNamespace(applied=lambda: applied)
    with contextlib.ExitStack() as stack:
        power, problem = open_power(stack, folder, client, 'pc', [])
    assert power is not None
    assert (power.source, problem) == ('measured', '')
