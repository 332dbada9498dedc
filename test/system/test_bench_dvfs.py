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

"""The short form of `e4 bench dvfs`: nothing lost, nothing crashed, figures where promised."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from e4_ros.benchmarks.dvfs import fuzz, kill_trials, parts, ros_steps
from e4_ros.benchmarks.dvfs.kills import KillResult, Place
from e4_ros.energy.domains.discovery import discover
from e4_ros.energy.virtual.board import write_tree
from e4_ros.energy.virtual.mount import mount_problem


@pytest.fixture(scope='module')
def result(tmp_path_factory):
    path = tmp_path_factory.mktemp('bench') / 'dvfs.json'
    words = [sys.executable, '-m', 'e4_ros.cli', 'bench', 'dvfs', '--quick', '--json', str(path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(path.read_text())


def test_the_run_says_that_it_is_whole_and_what_it_ran_on(result):
    assert result['complete']
    assert result['plan']['writes'] == 6
    assert result['machine']['step_thread'].startswith('SCHED_')
    assert len(result['machine']['load_after']) == 3


def test_no_original_is_lost(result):
    assert result['kills']['lost_trials'] == []
    assert result['kills']['tried'] == 24
    assert result['kills']['clocks_taken'] > 0
    assert result['kills']['restore_ms'].keys() >= {'p50', 'max'}


def test_hostile_input_does_nothing(result):
    fuzzed = result['fuzz']
    assert fuzzed['tried'] >= 5000
    assert (fuzzed['crashes'], fuzzed['bad_writes'], fuzzed['leases_stolen']) == (0, 0, 0)
    if not ros_steps.why_no_ros():
        assert fuzzed['service_requests'] == 100


def test_every_latency_is_measured_or_its_absence_explained(result):
    for key in ('step_client_us', 'step_to_write_us'):
        assert 0 < result[key]['p50'] <= result[key]['p99']
    for key in ('fuse_to_write_us', 'service_us', 'topic_us'):
        assert (result[key] is None) == (key in result['not_measured'])
        assert result[key] is None or 0 < result[key]['p50'] <= result[key]['p99']


def test_meters_find_the_energy(result):
    errors = {meter['meter']: meter['error_percent'] for meter in result['meters']}
    assert errors['RAPL counter across 100 wraps'] == 0
    assert (len(errors) == 1) == bool(mount_problem())
    # A sample that comes late on a busy machine moves a wave's mean by some percent; counters of
    # energy lose nothing by it.
    assert errors.get('RAPL, wrapping', 0) < 2
    assert max(errors.values()) < 10


def test_a_lost_original_would_be_found(tmp_path, monkeypatch):
    monkeypatch.setattr(kill_trials, 'PATIENCE_S', 0.1)
    root, undo_log = write_tree('jetson_nano', tmp_path / 'root'), tmp_path / 'undo_log.json'
    before = kill_trials.saved(root)
    assert kill_trials.wait_for(before, undo_log, time.monotonic())[0] == ''
    governor = next(path for path in before if path.name == 'scaling_governor')
    governor.write_text('performance\n')
    lost, _ = kill_trials.wait_for(before, undo_log, time.monotonic())
    assert 'scaling_governor' in lost


def test_lost_and_late_are_told_apart():
    place, result = Place('board', 'new', Path()), KillResult()
    result.add(place, 'client', kill_trials.Trial(True, '', 0.05))
    result.add(place, 'daemon', kill_trials.Trial(True, '', 0.25))
    result.add(place, 'client', kill_trials.Trial(False, 'min is 1', 5.0))
    summary = result.summary()
    assert (summary['tried'], summary['late'], summary['lost']) == (3, 1, 1)
    assert summary['restore_ms'] == {'p50': 250.0, 'p99': 250.0, 'max': 250.0}
    assert summary['late_trials'] == ['board, new, daemon: 250 ms']


def test_interrupted_run_keeps_what_it_has(tmp_path, monkeypatch):
    def measure(size, result, told):
        result['meters'] = [1]

    def interrupt(size, result, told):
        raise KeyboardInterrupt

    kept = (parts.Part('one', measure), parts.Part('two', interrupt))
    monkeypatch.setattr(parts, 'PARTS', kept)
    out = tmp_path / 'dvfs.json'
    with pytest.raises(KeyboardInterrupt):
        parts.run(parts.QUICK, out)
    result = json.loads(out.read_text())
    assert result['meters'] == [1]
    assert not result['complete']


def test_a_clock_outside_the_table_would_be_found(tmp_path):
    root = write_tree('jetson_nano', tmp_path / 'root')
    watch = fuzz._Watch(root)
    watch.look()
    assert watch.bad == 0
    name = next(name for name in discover(root)[0].snapshot() if name.endswith('max_freq'))
    (Path(root) / name).write_text('12345\n')
    watch.look()
    assert watch.bad == 1


def test_the_messages_are_of_every_sort():
    rng = random.Random(3)
    tables = {'cpu': (1, 2), 'gpu': (3, 4)}
    firsts = {fuzz._message(rng, 'b', tables)[:1] for _ in range(500)}
    assert len(firsts) > 100
