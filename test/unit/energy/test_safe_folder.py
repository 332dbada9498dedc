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

"""Folders of the daemon that somebody else might swap."""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
import threading
import time
from pathlib import Path

import pytest

from e4_ros.energy.client import protocol
from e4_ros.energy.daemon import access, state_folders
from e4_ros.energy.daemon.safe_folder import UnsafeFolder, open_folder
from e4_ros.energy.daemon.undo_log import UndoLog, UndoLogError
from e4_ros.energy.daemon.undo_record import Entry, Record, boot_id

STRANGER = 54321
RECORD = Record('b', '/', boot_id(), (Entry('cpu', 'cpufreq', {'sys/x': '1'}),))


def test_missing_folders_are_made_for_this_user(short_dir):
    os.close(open_folder(short_dir / 'a' / 'b'))
    assert (short_dir / 'a' / 'b').stat().st_mode & 0o022 == 0


def test_missing_folder_that_may_not_be_made_is_named(short_dir):
    with pytest.raises(FileNotFoundError, match='a: No such file'):
        open_folder(short_dir / 'a' / 'b', make=False)
    (short_dir / 'file').write_text('')
    with pytest.raises(UnsafeFolder, match='file is no folder'):
        open_folder(short_dir / 'file')


@pytest.mark.parametrize('place', ['parent', 'folder'])
def test_no_symbolic_link_is_followed(short_dir, place):
    (short_dir / 'precious' / 'state').mkdir(parents=True)
    (short_dir / 'link').symlink_to(short_dir / 'precious')
    path = short_dir / 'link' / 'state' if place == 'parent' else short_dir / 'link'
    with pytest.raises(UnsafeFolder, match='link is no folder but a symbolic link'):
        open_folder(path)
    with pytest.raises(UndoLogError, match='symbolic link'):
        UndoLog(path)
    with pytest.raises(access.SocketPathError, match='symbolic link'):
        access.listen(path / 's')
    assert list((short_dir / 'precious' / 'state').iterdir()) == []


@pytest.mark.parametrize('depth', ['parent', 'folder'])
def test_folder_that_others_may_write_is_refused(short_dir, depth):
    (short_dir / 'open' / 'state').mkdir(parents=True)
    (short_dir / 'open').chmod(0o777)
    path = short_dir / 'open' / 'state' if depth == 'parent' else short_dir / 'open'
    with pytest.raises(UndoLogError, match=r'open may be written by others.*chmod go-w'):
        UndoLog(path)


def test_sticky_folder_may_be_on_the_way_but_not_the_end(short_dir):
    (short_dir / 'tmp').mkdir()
    (short_dir / 'tmp').chmod(0o1777)
    UndoLog(short_dir / 'tmp' / 'own').close()
    access.listen(short_dir / 'tmp' / 's').close()
    with pytest.raises(UndoLogError, match='may be written by others'):
        UndoLog(short_dir / 'tmp')


@pytest.mark.other_user
def test_folder_below_another_users_is_refused(short_dir):
    parent = short_dir / 'e4-0'
    (parent / 'e4').mkdir(parents=True, mode=0o700)
    os.chown(parent, STRANGER, STRANGER)
    with pytest.raises(UndoLogError, match=f'e4-0 belongs to user {STRANGER}'):
        UndoLog(parent / 'e4')
    with pytest.raises(access.SocketPathError, match='belongs to'):
        access.listen(parent / 'e4' / 's')
    assert list((parent / 'e4').iterdir()) == []


@contextlib.contextmanager
def swapping(folder: Path, target: Path):
    """A thread that swaps a folder for a link to another one and back, as fast as it can."""
    ending = threading.Event()
    away = folder.with_name('away')

    def swap() -> None:
        while not ending.is_set():
            folder.rename(away)
            folder.symlink_to(target)
            folder.unlink()
            away.rename(folder)
            time.sleep(0.0003)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()


@pytest.mark.parametrize('depth', ['parent', 'folder'])
def test_folder_swapped_for_a_link_at_any_moment_leads_nowhere(short_dir, depth):
    """Who owned the parent once made a root daemon write its files wherever he liked."""
    state, precious = short_dir / 'e4-0' / 'e4', short_dir / 'precious'
    for folder in (state, precious / 'e4'):
        folder.mkdir(parents=True)
    swapped = state.parent if depth == 'parent' else state
    target = precious if depth == 'parent' else precious / 'e4'
    opened = refused = 0
    with swapping(swapped, target):
        while (opened < 30 or refused < 5) and opened + refused < 20_000:
            try:
                undo_log = UndoLog(state, make=False)
            except (UndoLogError, FileNotFoundError):
                refused += 1
                continue
            opened += 1
            undo_log.lock()
            undo_log.write(RECORD)
            assert undo_log.read() == RECORD
            undo_log.close()
    assert opened >= 30
    assert refused >= 5
    assert list((precious / 'e4').iterdir()) == []
    assert {path.name for path in state.iterdir()} == {'lock', 'undo_log.json'}


def test_full_disk_names_the_folder(short_dir):
    disk = short_dir / 'disk'
    disk.mkdir()
    tmpfs = ['mount', '-t', 'tmpfs', '-o', 'size=8k,mode=700', 'tmpfs', str(disk)]
    if subprocess.run(tmpfs, capture_output=True, check=False).returncode:
        pytest.skip('nothing can be mounted here')
    try:
        undo_log = UndoLog(disk)
        with contextlib.suppress(OSError), (disk / 'full').open('wb', buffering=0) as file:
            while True:
                file.write(bytes(4096))
        with pytest.raises(OSError, match=f'no undo log can be written in {disk}: No space'):
            undo_log.write(RECORD)
        (disk / 'full').unlink()
        undo_log.write(RECORD)
        undo_log.close()
    finally:
        subprocess.run(['umount', str(disk)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason='only root has the folder /run/e4 by default')
def test_root_has_a_folder_that_nobody_else_can_make(monkeypatch):
    monkeypatch.setenv('XDG_RUNTIME_DIR', '/tmp/of-another')
    assert protocol.runtime_dir() == Path('/run/e4')
    assert state_folders.notes_folder().parent == Path('/run')


def test_user_without_a_runtime_folder_has_one_of_his_own(monkeypatch):
    monkeypatch.delenv('XDG_RUNTIME_DIR', raising=False)
    monkeypatch.setattr(os, 'geteuid', lambda: STRANGER)
    monkeypatch.setattr(protocol, '_SYSTEM', Path('/nowhere'))
    assert protocol.runtime_dir() == Path(f'/tmp/e4-{STRANGER}/e4')


def test_folder_made_by_root_lets_members_of_the_group_through(short_dir):
    os.close(open_folder(short_dir / 'made'))
    mode = stat.S_IMODE((short_dir / 'made').stat().st_mode)
    assert mode == (0o755 if os.geteuid() == 0 else 0o700)
