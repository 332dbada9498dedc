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

from __future__ import annotations

import pytest

from e4_ros.energy.daemon.recovery import recover
from e4_ros.energy.daemon.undo_log import DaemonRunning, UndoLog, UndoLogError
from e4_ros.energy.daemon.undo_record import Entry, Record, boot_id
from e4_ros.energy.domains.discovery import discover

MIN = 'sys/devices/system/cpu/cpufreq/policy0/scaling_min_freq'


@pytest.fixture
def undo_log(tmp_path):
    return UndoLog(tmp_path / 'state')


def record(root, board='jetson_orin_nano', boot=None):
    cpu = next(domain for domain in discover(root) if domain.name == 'cpu')
    saved = {**cpu.snapshot(), MIN: '115200'}
    return Record(board, str(root), boot or boot_id(), (Entry('cpu', cpu.kind, saved),))


def test_what_was_written_is_read(undo_log, board_root):
    assert undo_log.read() is None
    undo_log.write(record(board_root))
    assert undo_log.read() == record(board_root)
    undo_log.clear()
    assert undo_log.read() is None


def test_every_truncation_is_noticed(undo_log, board_root):
    undo_log.write(record(board_root))
    whole = undo_log.path.read_bytes()
    for length in range(len(whole)):
        undo_log.path.write_bytes(whole[:length])
        with pytest.raises(UndoLogError, match='nothing of it was applied'):
            undo_log.read()


def test_altered_text_is_noticed(undo_log, board_root):
    undo_log.write(record(board_root))
    undo_log.path.write_text(undo_log.path.read_text().replace('115200', '999999'))
    with pytest.raises(UndoLogError, match='checksum'):
        undo_log.read()


@pytest.mark.parametrize('name', ['/etc/passwd', 'sys/../etc/passwd'])
def test_file_outside_the_root_is_refused(undo_log, name):
    undo_log.write(Record('b', '/', 'x', (Entry('cpu', 'cpufreq', {name: '0'}),)))
    with pytest.raises(UndoLogError, match='leaves the root'):
        undo_log.read()


def test_folder_that_others_may_write_is_refused(tmp_path):
    (tmp_path / 'open').mkdir()
    (tmp_path / 'open').chmod(0o777)
    with pytest.raises(UndoLogError, match='only you may write'):
        UndoLog(tmp_path / 'open')


def test_one_daemon_per_folder(undo_log):
    other = UndoLog(undo_log.directory)
    undo_log.lock()
    with pytest.raises(DaemonRunning):
        other.lock()
    undo_log.unlock()
    other.lock()
    other.unlock()


def test_the_undo_log_alone_restores_the_state(undo_log, board_root):
    (board_root / MIN).write_text('1344000\n')
    undo_log.write(record(board_root))
    assert recover(undo_log, 'jetson_orin_nano', board_root) == []
    assert (board_root / MIN).read_text().strip() == '115200'
    assert undo_log.read() is None


def test_a_file_of_the_older_name_is_restored_and_removed(undo_log, board_root):
    """Earlier releases called the undo log `originals.json`."""
    (board_root / MIN).write_text('1344000\n')
    undo_log.write(record(board_root))
    older = undo_log.path.rename(undo_log.directory / 'originals.json')
    assert undo_log.path == older
    assert recover(undo_log, 'jetson_orin_nano', board_root) == []
    assert (board_root / MIN).read_text().strip() == '115200'
    assert not older.exists()
    undo_log.write(record(board_root))
    assert undo_log.path.name == 'undo_log.json'


def test_a_damaged_file_of_the_older_name_is_refused(undo_log, board_root):
    older = undo_log.directory / 'originals.json'
    older.write_text('{"version": 1')
    with pytest.raises(UndoLogError, match=r'originals\.json is not a whole undo log'):
        recover(undo_log, 'jetson_orin_nano', board_root)
    aside = undo_log.set_aside()
    assert aside is not None
    assert aside.read_text() == '{"version": 1'
    assert not older.exists()


def test_undo_log_of_another_board_is_not_applied(undo_log, board_root):
    (board_root / MIN).write_text('1344000\n')
    undo_log.write(record(board_root, board='jetson_nano'))
    with pytest.raises(UndoLogError, match="holds the saved state of board 'jetson_nano'"):
        recover(undo_log, 'jetson_orin_nano', board_root)
    assert (board_root / MIN).read_text().strip() == '1344000'
    assert undo_log.path.exists()


def test_undo_log_of_an_earlier_boot_is_dropped(undo_log, board_root):
    (board_root / MIN).write_text('1344000\n')
    undo_log.write(record(board_root, boot='earlier'))
    assert recover(undo_log, 'jetson_orin_nano', board_root) == []
    assert (board_root / MIN).read_text().strip() == '1344000'
    assert undo_log.read() is None


def test_device_that_disappeared_holds_nothing_up(undo_log, board_root):
    entries = (
        Entry('gpu', 'devfreq', {'sys/class/devfreq/gone/min_freq': '1'}),
        *record(board_root).entries,
    )
    (board_root / MIN).write_text('1344000\n')
    undo_log.write(record(board_root)._replace(entries=entries))
    assert recover(undo_log, 'jetson_orin_nano', board_root) == []
    assert (board_root / MIN).read_text().strip() == '115200'


def test_undo_log_set_aside_is_kept(undo_log, board_root):
    for number in (1, 2):
        undo_log.path.write_text(f'damaged {number}')
        aside = undo_log.set_aside()
        assert aside is not None
        assert aside.read_text() == f'damaged {number}'
    assert undo_log.read() is None
    assert undo_log.set_aside() is None


def test_only_what_was_not_restored_is_tried_again(undo_log, board_root):
    entries = tuple(Entry(d.name, d.kind, d.snapshot()) for d in discover(board_root))
    assert len(entries) > 1
    undo_log.write(Record('jetson_orin_nano', str(board_root), boot_id(), entries))
    governor = board_root / 'sys/devices/system/cpu/cpufreq/policy0/scaling_governor'
    text = governor.read_text()
    governor.unlink()
    governor.mkdir()  # nobody can write that, root neither
    assert recover(undo_log, 'jetson_orin_nano', board_root)
    left = undo_log.read()
    assert left is not None
    assert [entry.name for entry in left.entries] == ['cpu']
    device = next(d for d in discover(board_root) if d.name == 'gpu').device
    (device / 'min_freq').write_text('510000000')  # somebody else's by now
    governor.rmdir()
    governor.write_text(text)
    assert recover(undo_log, 'jetson_orin_nano', board_root) == []
    assert undo_log.read() is None
    assert (device / 'min_freq').read_text() == '510000000'


def test_marks_say_which_clocks_are_in_force(undo_log, board_root):
    entries = tuple(Entry(d.name, d.kind, d.snapshot()) for d in discover(board_root))
    whole = Record('jetson_orin_nano', str(board_root), boot_id(), entries)
    undo_log.write(whole, [True, False, True])
    assert undo_log.read() == whole._replace(entries=(entries[0], entries[2]))
    assert undo_log.mark([False, False, False])
    assert undo_log.read() == whole._replace(entries=())
    assert undo_log.mark([True, True, True])
    assert undo_log.read() == whole
    undo_log.clear()
    assert not undo_log.mark([True, True, True])
    assert not undo_log.path.exists()


def test_log_of_an_earlier_release_has_no_marks_and_all_is_in_force(undo_log, board_root):
    undo_log.write(record(board_root))
    undo_log.path.write_bytes(undo_log.path.read_bytes().partition(b'\n')[2])
    assert undo_log.read() == record(board_root)


@pytest.mark.parametrize('marks', [b'++', b'x', b'+\n+'])
def test_marks_that_do_not_fit_are_noticed(undo_log, board_root, marks):
    undo_log.write(record(board_root))
    body = undo_log.path.read_bytes().partition(b'\n')[2]
    undo_log.path.write_bytes(marks + b'\n' + body)
    with pytest.raises(UndoLogError, match='one mark for each clock'):
        undo_log.read()
