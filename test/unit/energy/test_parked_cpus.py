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

"""CPUs go offline while leases need fewer, and always come back."""

from __future__ import annotations

import pytest

from e4_ros.energy.client.client import DvfsClient
from e4_ros.energy.client.status_page import PageWriter
from e4_ros.energy.daemon.core import DaemonCore
from e4_ros.energy.daemon.daemon import Daemon
from e4_ros.energy.daemon.lease import Lease, Peer
from e4_ros.energy.daemon.parked_cpus import parse_cpus
from e4_ros.energy.daemon.recovery import recover
from e4_ros.energy.daemon.undo_log import UndoLog
from e4_ros.energy.domains.cpu_switches import switch
from e4_ros.energy.domains.discovery import discover, restore_snapshot
from e4_ros.energy.errors import DomainError
from e4_ros.energy.power_mode import CONF, STATUS

BOARD = 'jetson_orin_nano'
SPARE = (2, 3, 4, 5)


@pytest.fixture
def undo_log(short_dir):
    return UndoLog(short_dir / 'state')


@pytest.fixture
def core(board_root, undo_log):
    page = PageWriter()
    yield DaemonCore(BOARD, board_root, discover(board_root), undo_log, page, spare_cpus=SPARE)
    page.close()


def begun(core, cpus, sweep):
    lease = Lease(f'needs {cpus}', Peer(1, 2, 3), cpus=cpus)
    core.begin(lease)
    core.set_plan(lease, sweep(core.frequencies_hz))
    return lease


def offline(root):
    return [cpu for cpu in range(6) if (root / switch(cpu)).read_text().strip() == '0']


def test_what_nobody_needs_is_off_while_the_lease_is_awake(core, board_root, sweep, files):
    before = files(board_root)
    lease = begun(core, 3, sweep)
    assert offline(board_root) == [3, 4, 5]
    core.rest(lease)
    assert offline(board_root) == []
    core.step(lease, 0, 0)
    assert offline(board_root) == [3, 4, 5]
    assert core.end(lease) == []
    assert files(board_root) == before


def test_the_operators_list_is_the_limit(core, board_root, sweep):
    lease = begun(core, 1, sweep)
    assert offline(board_root) == list(SPARE)
    core.end(lease)


def test_of_several_leases_the_largest_need_counts(core, board_root, sweep):
    small, large = begun(core, 2, sweep), begun(core, 5, sweep)
    assert offline(board_root) == [5]
    core.end(large)
    assert offline(board_root) == [2, 3, 4, 5]
    everything = begun(core, 0, sweep)
    assert offline(board_root) == []
    core.end(everything, small)


def test_after_a_kill_the_undo_log_brings_them_back(core, board_root, undo_log, sweep):
    begun(core, 2, sweep)
    assert offline(board_root) == [2, 3, 4, 5]
    assert recover(undo_log, BOARD, board_root) == []
    assert offline(board_root) == []
    assert undo_log.read() is None


def test_they_are_saved_before_the_first_goes_off(core, board_root, undo_log, sweep, monkeypatch):
    seen = []
    park = core._ownership._parked.park
    monkeypatch.setattr(
        core._ownership._parked, 'park', lambda cpus: (seen.append(undo_log.read()), park(cpus))
    )
    core.end(begun(core, 4, sweep))
    assert seen[0].entries[0].snapshot == {switch(4): '1', switch(5): '1'}


def test_what_others_switch_on_is_theirs(core, board_root, sweep):
    lease = begun(core, 3, sweep)
    (board_root / switch(4)).write_text('1\n')
    core.follow()
    assert offline(board_root) == [3, 5], 'it is not switched off again'
    core.end(lease)
    assert offline(board_root) == []


def test_what_a_power_mode_switches_off_stays_off(core, board_root, sweep):
    lease = begun(core, 3, sweep)
    (board_root / CONF).parent.mkdir(parents=True, exist_ok=True)
    (board_root / STATUS).parent.mkdir(parents=True, exist_ok=True)
    (board_root / CONF).write_text(
        '< POWER_MODEL ID=1 NAME=small >\nCPU_ONLINE CORE_4 0\nCPU_ONLINE CORE_5 0\n'
    )
    (board_root / STATUS).write_text('pmode:0001\n')
    core.follow()
    core.end(lease)
    assert offline(board_root) == [4, 5]


def test_a_cpu_that_does_not_come_back_is_a_problem_until_it_does(
    core, board_root, undo_log, sweep, monkeypatch
):
    lease = begun(core, 3, sweep)
    from e4_ros.energy.domains import cpu_switches

    def refuse(root, snapshot, files):
        return ['CPU 5 is busy'] if switch(5) in snapshot else real(root, snapshot, files)

    real = cpu_switches.CpuSwitches.restore_files
    monkeypatch.setattr(cpu_switches.CpuSwitches, 'restore_files', staticmethod(refuse))
    assert core.end(lease)
    assert offline(board_root) == [5]
    assert undo_log.read() is not None
    monkeypatch.undo()
    assert core.recover() == []
    assert offline(board_root) == []
    assert undo_log.read() is None


def test_a_forged_undo_log_switches_nothing_else(board_root):
    for name in ('sys/devices/system/memory/memory1/online', 'sys/devices/system/cpu/online'):
        with pytest.raises(DomainError, match='switch'):
            restore_snapshot(board_root, 'cpus', {name: '1'})


def test_a_client_says_how_many_it_needs(config, board_root, sweep):
    with Daemon(config.model_copy(update={'spare_cpus': SPARE})) as daemon:
        client = DvfsClient(config.socket_path)
        client.acquire('robot', cpus=4)
        client.set_plan(sweep(daemon.core.frequencies_hz))
        assert offline(board_root) == [4, 5]
        client.release()
    assert offline(board_root) == []


def test_without_the_operators_word_none_goes(config, board_root, sweep):
    with Daemon(config) as daemon:
        client = DvfsClient(config.socket_path)
        client.acquire('robot', cpus=1)
        client.set_plan(sweep(daemon.core.frequencies_hz))
        assert offline(board_root) == []
        client.release()


@pytest.mark.parametrize('cpus', ['-1', 'many', '5000', '1e3'])
def test_a_need_that_is_no_number_is_refused(daemon, config, cpus):
    from e4_ros.energy.client import protocol
    from e4_ros.energy.client.connection import Connection

    connection = Connection(config.socket_path, 5.0)
    request = protocol.pack_request(protocol.ACQUIRE, client='x', cpus=cpus)
    answer, _ = connection.ask(request)
    connection.close()
    assert 'no number of CPUs' in answer['error']


@pytest.mark.parametrize(
    ('text', 'cpus'), [('', ()), ('4-7', (4, 5, 6, 7)), ('2, 3', (2, 3)), ('1,1-2', (1, 2))]
)
def test_lists_of_cpus(text, cpus):
    assert parse_cpus(text) == cpus


@pytest.mark.parametrize('text', ['all', '-3', '3-', '1-99999', '2;3'])
def test_what_is_no_list_is_refused(text):
    with pytest.raises(ValueError, match='no list of CPUs'):
        parse_cpus(text)
