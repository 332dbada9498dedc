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

"""`e4 dvfs` as people run it: processes, signals, exit codes."""

from __future__ import annotations

import contextlib
import fcntl
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from e4_ros.energy.client.client import DvfsClient
from e4_ros.energy.virtual.board import write_tree

MAX = 'sys/class/devfreq/17000000.gpu/max_freq'


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory(prefix='e4') as name:
        yield Path(name)


@pytest.fixture
def root(folder):
    return write_tree('jetson_orin_nano', folder / 'root')


@pytest.fixture
def command(folder, root):
    def make(name: str, *words: str) -> list[str]:
        places = ['--sysfs-root', str(root)]
        if name in ('set', 'restore', 'serve'):
            places += ['--state-dir', str(folder / 'state')]
        if name in ('set', 'serve', 'watch'):
            places += ['--socket-path', str(folder / 'h.sock')]
        return [sys.executable, '-m', 'e4_ros.cli', 'dvfs', name, *places, *words]

    return make


@pytest.fixture
def run(command):
    def call(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(*words), capture_output=True, text=True, timeout=200, check=False
        )

    return call


@contextlib.contextmanager
def running(words: list[str], **pipes: int) -> Iterator[subprocess.Popen[str]]:
    """A process that does not outlive a test which fails."""
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


def gpu_max(root: Path) -> str:
    return (root / MAX).read_text().strip()


def wait_for(process: subprocess.Popen, word: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if word in line:
            return
    raise AssertionError(f'it ended without saying {word!r}')


def test_list_and_get(run):
    listed = run('list')
    assert listed.returncode == 0
    assert re.search(r'gpu .* 918 MHz .* 7 of 8 .* devfreq .* yes', listed.stdout)
    assert run('get', 'gpu').stdout == 'gpu 918000000\n'
    wrong = run('get', 'dla')
    assert wrong.returncode == 2
    assert "no domain 'dla'; this machine has cpu, gpu, emc" in wrong.stderr


def test_set_holds_during_a_command_and_passes_its_status_on(run, root):
    before = gpu_max(root)
    held = run('set', '--run', f'cat {root / MAX}; exit 7', 'gpu=612MHz')
    assert held.returncode == 7
    assert '612000000' in held.stdout
    assert gpu_max(root) == before


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_set_ends_in_order(command, root, number):
    before = gpu_max(root)
    with running(command('set', 'gpu=612MHz')) as held:
        wait_for(held, 'holding')
        assert gpu_max(root) == '612000000'
        held.send_signal(number)
        assert held.wait(60) == 0
    assert gpu_max(root) == before


def test_restore_after_a_kill(command, run, root):
    before = gpu_max(root)
    with running(command('set', 'gpu=612MHz')) as held:
        wait_for(held, 'holding')
        refused = run('restore')
        assert refused.returncode == 1
        assert 'a daemon is running' in refused.stderr
        held.kill()
    assert gpu_max(root) == '612000000'
    restored = run('restore')
    assert restored.returncode == 0, restored.stderr
    assert gpu_max(root) == before
    assert run('restore').stdout == 'nothing to restore\n'


def test_damaged_undo_log_is_reported_and_can_be_set_aside(run, folder, root):
    state = folder / 'state'
    state.mkdir(mode=0o700)
    (state / 'undo_log.json').write_text('{"version": 1')
    for words in (('restore',), ('set', '--for', '0', 'gpu=612MHz')):
        told = run(*words)
        assert told.returncode == 2
        assert 'nothing of it was applied' in told.stderr
        assert 'Traceback' not in told.stderr
    assert 'kept as' in run('restore', '--forget').stdout
    assert run('set', '--for', '0', 'gpu=612MHz').returncode == 0


def test_serve_lends_to_others_and_restores_at_the_end(command, run, root):
    before = gpu_max(root)
    with running(command('serve')) as serving:
        wait_for(serving, 'listening')
        with running(command('set', 'gpu=612MHz'), stderr=subprocess.PIPE) as held:
            wait_for(held, 'holding')
            assert 'e4 dvfs set' in run('watch', '--for', '0.1').stdout
            assert 'alone; try again when it has ended' in run('set', 'gpu=306MHz').stderr
            serving.send_signal(signal.SIGTERM)
            assert serving.wait(60) == 0
            assert gpu_max(root) == before
            assert held.wait(60) == 1
            assert 'the daemon stopped' in held.stderr.read()


def test_next_daemon_restores_what_a_killed_one_left(command, root):
    before = gpu_max(root)
    with running(command('serve')) as first:
        wait_for(first, 'listening')
        with running(command('set', 'gpu=612MHz')) as held:
            wait_for(held, 'holding')
            first.kill()
            first.wait()
            assert gpu_max(root) == '612000000'
            held.kill()
    with running(command('serve')) as second:
        wait_for(second, 'listening')
        assert gpu_max(root) == before


def test_client_that_is_killed_leaves_nothing(command, root):
    before = gpu_max(root)
    with running(command('serve')) as serving:
        wait_for(serving, 'listening')
        with running(command('set', 'gpu=612MHz')) as held:
            wait_for(held, 'holding')
            held.kill()
        deadline = time.monotonic() + 60
        while gpu_max(root) != before and time.monotonic() < deadline:
            time.sleep(0.005)
        assert gpu_max(root) == before


def test_log_that_nobody_reads_keeps_nobody_waiting(command, root, folder):
    before = gpu_max(root)
    with running(command('serve'), stderr=subprocess.PIPE) as serving:
        wait_for(serving, 'listening')
        room = fcntl.fcntl(serving.stderr, fcntl.F_SETPIPE_SZ, 4096)
        leases = room // len('the lease goes to …')
        for number in range(leases):
            with DvfsClient(folder / 'h.sock', timeout_s=60) as client:
                client.acquire(f'client {number}')
        serving.send_signal(signal.SIGTERM)
        assert serving.wait(60) == 0
    assert gpu_max(root) == before


def test_machine_without_clocks(folder):
    for name in ('list', 'get', 'watch'):
        words = [
            sys.executable,
            '-m',
            'e4_ros.cli',
            'dvfs',
            name,
            '--sysfs-root',
            str(folder / 'none'),
        ]
        told = subprocess.run(words, capture_output=True, text=True, timeout=200, check=False)
        assert told.returncode == 1
        assert 'e4 virtual-board' in told.stderr


def test_set_needs_the_clocks_alone_and_waits_as_long_as_it_may(folder, root, run, command):
    with running(command('serve')) as daemon:
        wait_for(daemon, 'listening')
        with DvfsClient(folder / 'h.sock') as robot:
            robot.acquire('robot')
            refused = run('set', '--for', '0', 'gpu=612MHz')
            assert refused.returncode == 1
            assert 'e4 dvfs set needs the clocks alone, and robot (pid' in refused.stderr
            assert 'robot (pid' in run('watch', '--for', '0.1').stdout
            with running(command('set', '--for', '0', '--wait', '200', 'gpu=612MHz')) as waiting:
                wait_for(waiting, 'waiting: e4 dvfs set needs the clocks alone, and robot')
                robot.release()
                wait_for(waiting, 'holding')
                assert waiting.wait(60) == 0
            robot.acquire('robot', wait_s=60)
            with running(command('set', '--wait', '200', 'gpu=612MHz')) as waiting:
                wait_for(waiting, 'waiting')
                waiting.send_signal(signal.SIGINT)
                assert waiting.wait(60) == 1
