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

"""Limits that others change while a lease holds the clocks."""

from __future__ import annotations

import pytest

from e4_ros.energy.client.status_page import PageWriter
from e4_ros.energy.daemon.core import DaemonCore
from e4_ros.energy.daemon.lease import Lease, Peer
from e4_ros.energy.daemon.undo_log import UndoLog
from e4_ros.energy.domains.discovery import discover

BOARD = 'jetson_orin_nano'
GPU = 'sys/class/devfreq/17000000.gpu'
CAP = 'sys/kernel/nvpmodel_clk_cap/emc'


@pytest.fixture
def undo_log(short_dir):
    return UndoLog(short_dir / 'state')


@pytest.fixture
def page():
    page = PageWriter()
    yield page
    page.close()


@pytest.fixture
def core(board_root, undo_log, page):
    return DaemonCore(BOARD, board_root, discover(board_root), undo_log, page)


@pytest.fixture
def lease(core, sweep):
    lease = Lease('test', Peer(0, 0, 0))
    core.begin(lease)
    core.set_plan(lease, sweep(core.frequencies_hz, points=5))
    core.step(lease, 0, 4)
    yield lease
    if lease.plan is not None:
        core.end(lease)


@pytest.fixture
def write(board_root):
    def write(path, text):
        file = board_root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        with file.open('r+') as opened:
            opened.write(f'{text}\n')
            opened.truncate()

    return write


def hertz(root, name):
    return int((root / GPU / name).read_text())


def gpu_in_log(undo_log):
    record = undo_log.read()
    (gpu,) = (entry for entry in record.entries if entry.name == 'gpu')
    return [int(text) for text in gpu.snapshot.values()]


@pytest.mark.parametrize('through', ['follow', 'step'])
def test_a_lowered_cap_binds_at_once_and_stays(core, lease, board_root, undo_log, write, through):
    table = core.frequencies_hz['gpu']
    write(f'{GPU}/max_freq', table[1])
    if through == 'follow':
        core.follow()
        assert hertz(board_root, 'max_freq') == hertz(board_root, 'min_freq') == table[1]
    core.step(lease, 0, 3)
    assert core.frequencies_hz['gpu'] == table[:2]
    assert hertz(board_root, 'max_freq') == hertz(board_root, 'min_freq') == table[1]
    assert gpu_in_log(undo_log) == [table[0], table[1]]
    core.step(lease, 0, 0)
    assert hertz(board_root, 'max_freq') == table[0]
    core.step(lease, 0, 4)
    assert hertz(board_root, 'max_freq') == table[1]
    assert core.end(lease) == []
    assert (hertz(board_root, 'min_freq'), hertz(board_root, 'max_freq')) == table[:2]


def test_a_cap_that_was_lowered_in_the_last_moment_is_not_restored(core, lease, board_root, write):
    table = core.frequencies_hz['gpu']
    write(f'{GPU}/max_freq', table[0])
    core.end(lease)
    assert hertz(board_root, 'max_freq') == table[0]


def test_a_raised_cap_may_be_used_at_once_and_stays(core, lease, board_root, write, undo_log):
    table = core.domains['gpu'].frequencies_hz
    before = core.frequencies_hz['gpu']
    assert before[-1] < table[-1]
    core.step(lease, 0, 0)
    write(f'{GPU}/max_freq', table[-1])
    core.follow()
    assert core.frequencies_hz['gpu'] == tuple(hz for hz in table if hz >= before[0])
    assert hertz(board_root, 'max_freq') == before[0]
    core.end(lease)
    assert hertz(board_root, 'max_freq') == table[-1]


def test_heat_binds_and_is_not_what_is_restored(core, lease, board_root, write):
    table = core.frequencies_hz['gpu']
    cooling = 'sys/class/thermal/cooling_device9'
    for name, text in {'type': 'devfreq-gpu', 'cur_state': 2, 'max_state': 9}.items():
        write(f'{cooling}/{name}', text)
    write(f'{GPU}/max_freq', table[1])
    core.follow()
    assert core.frequencies_hz['gpu'] == table[:2]
    assert hertz(board_root, 'max_freq') == table[1]
    write(f'{cooling}/cur_state', 0)
    core.follow()
    assert core.frequencies_hz['gpu'] == table
    core.end(lease)
    assert hertz(board_root, 'max_freq') == table[-1]


def test_a_mode_whose_cap_is_the_pinned_clock_is_seen_by_its_status(core, lease, board_root, write):
    table = core.frequencies_hz['gpu']
    core.step(lease, 0, 1)
    assert hertz(board_root, 'max_freq') == table[1]
    write('etc/nvpmodel.conf', conf(table[1]))
    write('var/lib/nvpmodel/status', 'pmode:0003 fmode:fanNull')
    core.follow()
    assert core.frequencies_hz['gpu'] == table[:2]
    core.end(lease)
    assert hertz(board_root, 'max_freq') == table[1]


def conf(gpu_hz):
    return f"""
< PARAM TYPE=CLOCK NAME=GPU >
MAX_FREQ /{GPU}/max_freq
MIN_FREQ /{GPU}/min_freq
< POWER_MODEL ID=3 NAME=LOW >
GPU MIN_FREQ 0
GPU MAX_FREQ {gpu_hz}
"""


def test_a_lower_cap_of_the_memory_lowers_its_pinned_rate(core, lease, board_root, write):
    table = core.frequencies_hz['emc']
    write(CAP, table[1])
    core.follow()
    assert core.applied_hz()['emc'] <= table[1]
    assert core.frequencies_hz['emc'] == table[:2]


def test_limits_change_between_leases_too(core, board_root, write, sweep):
    table = core.frequencies_hz['gpu']
    write(f'{GPU}/max_freq', table[2])
    lease = Lease('next', Peer(0, 0, 0))
    core.begin(lease)
    assert core.frequencies_hz['gpu'] == table[:3]
    core.end(lease)


def test_a_cap_below_what_is_configured_wins(board_root, undo_log, page, write):
    gpu = next(d for d in discover(board_root) if d.name == 'gpu').allowed_hz
    limits = {'gpu': (gpu[2], gpu[-1])}
    core = DaemonCore(BOARD, board_root, discover(board_root), undo_log, page, limits)
    write(f'{GPU}/max_freq', gpu[1])
    core.begin(Lease('next', Peer(0, 0, 0)))
    assert core.frequencies_hz['gpu'] == (gpu[1],)
