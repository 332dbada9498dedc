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

"""The restorer in one file, as the system's Python runs it without this workspace."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from e4_ros.energy.daemon.restorer import write_restorer
from e4_ros.energy.daemon.undo_log import UndoLog
from e4_ros.energy.daemon.undo_record import Entry, Record, boot_id
from e4_ros.energy.domains.discovery import discover


@pytest.fixture(scope='module')
def restorer(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp('lib') / 'restore-clocks'
    write_restorer(path)
    return path


def run(restorer: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run it as with a Python that has nothing but its standard library."""
    command = [sys.executable, '-IS', restorer, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd='/')


@pytest.fixture
def undo_log(short_dir, board_root) -> UndoLog:
    """What a daemon that was killed left, whose clocks are still pinned."""
    domains = discover(board_root)
    undo_log = UndoLog(short_dir / 'state')
    entries = tuple(Entry(d.name, d.kind, d.snapshot()) for d in domains)
    undo_log.write(Record('jetson_orin_nano', str(board_root), boot_id(), entries))
    for domain in domains:
        domain.open()
        domain.set_hz(domain.allowed_hz[1])
        domain.close()
    return undo_log


def test_clocks_are_restored_without_the_workspace(restorer, undo_log, board_root):
    wanted = {entry.name: entry.snapshot for entry in undo_log.read().entries}
    assert {d.name: d.snapshot() for d in discover(board_root)} != wanted
    done = run(restorer, undo_log.directory)
    assert (done.returncode, done.stderr) == (0, '')
    assert {d.name: d.snapshot() for d in discover(board_root)} == wanted
    assert undo_log.read() is None


def test_nothing_to_restore_is_no_fault(restorer, short_dir):
    UndoLog(short_dir / 'state')
    for folder in ('state', 'never/was'):
        assert run(restorer, short_dir / folder).returncode == 0
    assert not (short_dir / 'never').exists()


def test_what_cannot_be_restored_is_said(restorer, undo_log):
    undo_log.path.write_text('{')
    done = run(restorer, undo_log.directory)
    assert done.returncode == 1
    assert 'not restored: ' in done.stderr
    assert 'not a whole undo log' in done.stderr


def test_running_daemon_is_left_alone(restorer, undo_log):
    undo_log.lock()
    done = run(restorer, undo_log.directory)
    assert done.returncode == 1
    assert 'a daemon is running' in done.stderr
    assert undo_log.read() is not None


def test_wrong_use_is_explained(restorer):
    done = run(restorer)
    assert done.returncode == 2
    assert 'usage: restore-clocks FOLDER' in done.stderr
