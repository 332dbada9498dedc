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

"""One daemon a board, whatever folders daemons work with and whoever starts them."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import pytest

from e4_ros.energy.client.client import DaemonError, DvfsClient
from e4_ros.energy.daemon import hold_point, state_folders
from e4_ros.energy.daemon.board_lock import BoardLock
from e4_ros.energy.daemon.daemon import Daemon, DaemonConfig
from e4_ros.energy.daemon.hold_point import hold
from e4_ros.energy.daemon.undo_log import DaemonRunning, UndoLog, UndoLogError
from e4_ros.energy.domains.discovery import discover
from e4_ros.energy.virtual.mount import mounted

POINT = {'gpu': 612_000_000}


@pytest.fixture(autouse=True)
def notes(short_dir, monkeypatch) -> Path:
    """Notes of state folders that are this test's alone."""
    monkeypatch.setattr(state_folders, 'notes_folder', lambda: short_dir / 'notes')
    return short_dir / 'notes'


@pytest.fixture
def elsewhere(config, short_dir) -> DaemonConfig:
    """The same board from another runtime folder, as with sudo or in a container."""
    places = {'state_dir': short_dir / 'else' / 'state', 'socket_path': short_dir / 'else' / 's'}
    return config.model_copy(update=places)


def gpu_files(root: Path) -> dict[str, str]:
    return next(d for d in discover(root) if d.name == 'gpu').snapshot()


def in_a_child(work) -> int:
    """Run `work` in a forked process; return the process."""
    process = os.fork()
    if not process:
        try:
            work()
        finally:
            os._exit(1)
    return process


def die_holding(config: DaemonConfig, point: dict[str, int], before: dict[str, str]) -> None:
    """A daemon in a process of its own that is killed while a point is held."""

    def serve() -> None:
        with hold(point, config):
            time.sleep(300)

    process = in_a_child(serve)
    deadline = time.monotonic() + 60
    while gpu_files(config.root) == before and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    assert gpu_files(config.root) != before


def test_second_daemon_is_refused_and_told_who_holds_the_board(daemon, elsewhere, sweep):
    with pytest.raises(DaemonRunning, match=rf'process {os.getpid()} of .*holds the clocks below'):
        Daemon(elsewhere)
    assert not elsewhere.socket_path.exists()


def test_board_is_one_under_every_name(daemon, elsewhere, board_root, short_dir):
    (short_dir / 'alias').symlink_to(board_root)
    with pytest.raises(DaemonRunning):
        Daemon(elsewhere.model_copy(update={'root': short_dir / 'alias'}))


@pytest.mark.fuse
def test_mounted_board_is_one(elsewhere, config, tmp_path):
    with mounted('jetson_nano', tmp_path / 'nano') as root:
        with (
            Daemon(config.model_copy(update={'root': root})),
            pytest.raises(DaemonRunning, match='holds the clocks'),
        ):
            Daemon(elsewhere.model_copy(update={'root': root}))
        Daemon(elsewhere.model_copy(update={'root': root})).stop()


def test_boards_beside_each_other_have_a_daemon_each(daemon, elsewhere, tmp_path, board_root):
    from e4_ros.energy.virtual.board import write_tree

    root = write_tree('jetson_tx2', tmp_path / 'tx2')
    Daemon(elsewhere.model_copy(update={'root': root})).stop()


@pytest.mark.other_user
def test_lock_is_seen_by_other_users(board_root, short_dir):
    for folder in (short_dir, board_root):
        folder.chmod(0o755)

    def try_it() -> None:
        os.setgid(54321)
        os.setuid(54322)
        try:
            BoardLock(board_root).lock()
        except DaemonRunning:
            os._exit(7)

    with BoardLock(board_root):
        assert os.waitstatus_to_exitcode(os.waitpid(in_a_child(try_it), 0)[1]) == 7
    assert os.waitstatus_to_exitcode(os.waitpid(in_a_child(try_it), 0)[1]) == 1


def test_real_sysfs_can_be_locked():
    lock = BoardLock('/')
    try:
        lock.lock()
    except DaemonRunning:
        pytest.skip('a daemon runs on this machine')
    with pytest.raises(DaemonRunning):
        BoardLock('/').lock()
    lock.unlock()
    with BoardLock('/'):
        pass


def test_what_a_killed_daemon_left_is_restored_from_another_folder(config, elsewhere, board_root):
    before = gpu_files(board_root)
    die_holding(config, POINT, before)
    with Daemon(elsewhere) as second:
        assert gpu_files(board_root) == before
        assert second.core.problems == []
    assert gpu_files(board_root) == before
    assert not (config.state_dir / 'undo_log.json').exists()
    Daemon(config).stop()


def test_notes_go_away_with_daemons_that_end_in_order(daemon, notes):
    assert state_folders.noted() == [daemon.config.state_dir]
    daemon.stop()
    assert state_folders.noted() == []


def test_another_boards_clocks_are_left_to_it(config, elsewhere, tmp_path, board_root):
    from e4_ros.energy.virtual.board import write_tree

    before = gpu_files(board_root)
    die_holding(config, POINT, before)
    held = gpu_files(board_root)
    tx2 = elsewhere.model_copy(update={'root': write_tree('jetson_tx2', tmp_path / 'tx2')})
    Daemon(tx2).stop()
    assert gpu_files(board_root) == held
    Daemon(elsewhere).stop()
    assert gpu_files(board_root) == before


def test_state_folder_that_vanished_is_forgotten(config, elsewhere, short_dir):
    state_folders.note(short_dir / 'gone')
    Daemon(elsewhere).stop()
    assert state_folders.noted() == []


def test_damaged_undo_log_of_another_folder_stops_nobody(config, elsewhere, board_root, caplog):
    undo_log = UndoLog(config.state_dir)
    undo_log.path.write_text('{')
    state_folders.note(config.state_dir)
    Daemon(elsewhere).stop()
    assert 'not a whole undo log' in caplog.text
    with pytest.raises(UndoLogError):
        Daemon(config)


def test_point_is_held_through_the_daemon_that_listens_elsewhere(config, elsewhere, monkeypatch):
    monkeypatch.setattr(hold_point, 'known_socket_paths', lambda: [elsewhere.socket_path])
    with Daemon(elsewhere) as other, hold(POINT, config):
        assert other.server.leases
        assert other.core.applied_hz().items() >= POINT.items()


def test_point_is_not_held_behind_a_daemon_that_cannot_be_found(elsewhere, config, board_root):
    before = gpu_files(board_root)
    with Daemon(elsewhere), pytest.raises(DaemonRunning) as said, hold(POINT, config):
        pass
    assert re.search(r'process \d+ of \w+ \(.*pytest', str(said.value))
    assert gpu_files(board_root) == before


def test_daemon_of_another_board_is_not_asked(daemon, config, tmp_path):
    from e4_ros.energy.virtual.board import write_tree

    root = write_tree('jetson_tx2', tmp_path / 'tx2')
    asked = DaemonConfig(root=root, state_dir=tmp_path / 's', socket_path=config.socket_path)
    with pytest.raises(ValueError, match='serves the clocks below'), hold(POINT, asked):
        pass


def test_refusal_of_a_running_daemon_is_its_own(daemon, config):
    with DvfsClient(config.socket_path) as other:
        other.acquire('robot')
        with pytest.raises(DaemonError, match='and robot'), hold(POINT, config):
            pass
