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

"""Server and client together, over a real socket, on a plain board."""

from __future__ import annotations

import math
import os
import socket
import stat
import subprocess
import sys
import threading
import time

import pytest

from e4_ros.energy.client import protocol
from e4_ros.energy.client.client import ClientState, DaemonError, DvfsClient, LeasesInTheWay
from e4_ros.energy.daemon import access
from e4_ros.energy.daemon.daemon import Daemon, DaemonConfig, parse_limits
from e4_ros.energy.daemon.undo_log import DaemonRunning, UndoLogError
from e4_ros.energy.errors import DomainError
from e4_ros.energy.virtual.board import write_tree


def until(condition, timeout_s: float = 60.0) -> bool:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)
    return True


@pytest.fixture
def client(config):
    client = DvfsClient(config.socket_path)
    yield client
    client.close()


@pytest.fixture
def plan(daemon, sweep):
    return sweep(daemon.core.frequencies_hz)


def begin(client, plan):
    client.acquire('test')
    client.set_plan(plan)
    assert client.step(0, 1)
    assert until(lambda: client.applied().point == plan.point('full', 1))


def test_a_whole_lease(daemon, client, plan, board_root, files):
    before = files(board_root)
    with client:
        begin(client, plan)
        assert client.board == 'jetson_orin_nano'
        assert client.domains == ('cpu', 'gpu', 'emc')
        assert client.step(0, 2)
        assert until(lambda: client.applied().point == plan.point('full', 2))
        assert [lease['plan'] for lease in client.status()['leases']] == ['sweep']
        assert files(board_root) != before
    assert files(board_root) == before
    assert client.state is ClientState.CLOSED


def test_a_client_is_used_from_several_threads(daemon, client, plan, sweep):
    """One thread steps and reads while another replaces plans and loses and takes the lease."""
    other_plan = sweep({'gpu': daemon.core.frequencies_hz['gpu']})
    begin(client, plan)
    stepped, wrong, ending = [0], [], threading.Event()
    points = {frozenset(p.items()) for p in plan.paths['full'].points}

    def drive() -> None:
        try:
            while not ending.is_set():
                stepped[0] += client.step(0, stepped[0] % 3)
                applied = client.applied()
                assert set(applied.point) in (set(), {'cpu', 'gpu', 'emc'})
                assert client.counters().failed == 0
                assert client.changed_ns() >= 0
                time.sleep(0.0005)
        except BaseException as error:
            wrong.append(error)

    workers = [threading.Thread(target=drive) for _ in range(2)]
    for worker in workers:
        worker.start()
    try:
        for turn in range(20):
            client.set_plan(other_plan if turn % 2 else plan)
            assert client.status()['leases'][0]['plan'] == 'sweep'
            if turn % 5 == 4:
                client.release()
                client.acquire('test')
        client.set_plan(plan)
        before = stepped[0]
        assert until(lambda: stepped[0] > before + 5)
    finally:
        ending.set()
        for worker in workers:
            worker.join()
    assert wrong == []
    assert client.state is ClientState.HELD
    assert until(lambda: frozenset(client.applied().point.items()) in points)


def test_steps_wait_for_no_request(daemon, client, plan):
    """While a request waits for its answer, a step returns at once, and closing ends the wait."""
    begin(client, plan)
    daemon.core._lock.acquire()  # the daemon cannot put a plan in force
    failed = []

    def replace() -> None:
        try:
            client.set_plan(plan)
        except DaemonError as error:
            failed.append(error)

    waiting = threading.Thread(target=replace)
    try:
        waiting.start()
        assert until(lambda: not client.step(0, 1))
        assert client.unsent == 0
        assert client.applied().point
        client.close()
        waiting.join(timeout=2.0)
        assert not waiting.is_alive()
    finally:
        daemon.core._lock.release()
    (error,) = failed
    assert 'closed meanwhile' in str(error)
    assert client.state is ClientState.CLOSED


def test_who_needs_the_clocks_alone_waits_until_others_have_left(daemon, client, plan, config):
    begin(client, plan)
    other = DvfsClient(config.socket_path)
    with pytest.raises(LeasesInTheWay, match='other needs the clocks alone, and test'):
        other.acquire('other', exclusive=True)
    assert [lease['client'] for lease in other.status()['leases']] == ['test']
    client.release()
    other.acquire('other', exclusive=True)
    with pytest.raises(LeasesInTheWay, match=r'other .* needs the clocks alone; try again'):
        client.acquire('test')
    leaving = threading.Timer(0.2, other.release)
    leaving.start()
    client.acquire('test', wait_s=60)
    leaving.join()


def test_clocks_are_restored_when_the_client_hangs_up(daemon, client, plan, board_root, files):
    before = files(board_root)
    begin(client, plan)
    client.close()
    assert until(lambda: not daemon.server.leases)
    assert files(board_root) == before


def test_same_client_may_acquire_again_at_once(daemon, client, plan):
    for _ in range(20):
        begin(client, plan)
        client.release()


def test_steps_do_not_raise_when_the_daemon_stops(daemon, client, plan, board_root, files):
    before = files(board_root)
    begin(client, plan)
    daemon.stop()
    assert files(board_root) == before
    assert not client.step(0, 2)
    assert client.state is ClientState.LOST
    assert 'the daemon stopped' in client.lost_because
    assert not client.step(0, 2)
    point, energy_j, source = client.applied()
    assert point == {}
    assert math.isnan(energy_j)
    assert source == 'none'
    with pytest.raises(DaemonError, match='no daemon listens'):
        client.acquire('again')


def test_daemon_that_starts_again_is_acquired_again(config, client, sweep):
    for _ in range(2):
        with Daemon(config) as daemon:
            begin(client, sweep(daemon.core.frequencies_hz))
        client.step(0, 2)


def test_watchdog_restores_and_the_next_step_sets_the_point(
    config, client, sweep, board_root, files
):
    before = files(board_root)
    with Daemon(config.model_copy(update={'watchdog_s': 0.05})) as daemon:
        client.acquire('test')
        client.set_plan(sweep(daemon.core.frequencies_hz))
        # A slow machine may rest before anybody could look at the point, so steps are counted.
        for step in (1, 2):
            assert client.step(0, step)
            assert until(lambda applied=step: client.counters().applied == applied)
            assert until(lambda: files(board_root) == before)


def warm(zone, text):
    """Write without making the file empty for a moment, as sysfs never is."""
    with zone.open('r+') as file:
        file.write(text)


def cpu_zone(root):
    types = root.glob('sys/class/thermal/thermal_zone*/type')
    return next(t.parent / 'temp' for t in types if 'cpu' in t.read_text().lower())


def test_heat_restores_the_clocks_and_ends_the_lease(daemon, client, plan, board_root, config):
    zone = cpu_zone(board_root)
    cool = zone.read_text()
    begin(client, plan)
    before = DvfsClient(config.socket_path)
    warm(zone, '99000\n')
    assert until(lambda: not daemon.server.leases)
    assert until(lambda: not client.step(0, 2))
    assert 'too hot: 99.0' in client.lost_because
    with pytest.raises(DaemonError, match='too hot'):
        before.acquire('eager')
    warm(zone, '91000\n')
    time.sleep(0.3)
    with pytest.raises(DaemonError, match='too hot'):
        before.acquire('eager')
    warm(zone, cool)
    assert until(lambda: not daemon.server._leases._refusal)
    before.acquire('patient')
    before.release()


def test_a_cap_that_changes_while_nobody_has_a_lease_is_told(daemon, board_root):
    table = daemon.core.frequencies_hz['gpu']
    cap = next(board_root.glob('sys/class/devfreq/*.gpu/max_freq'))
    cap.write_text(f'{table[1]}\n')
    assert until(lambda: daemon.core.frequencies_hz['gpu'] == table[:2])


def test_a_power_converter_that_reads_100_degrees_keeps_no_lease_away(
    config, board_root, client, sweep
):
    zone = board_root / 'sys/class/thermal/thermal_zone9'
    zone.mkdir()
    (zone / 'type').write_text('PMIC-Die\n')
    (zone / 'temp').write_text('100000\n')
    with Daemon(config) as daemon:
        begin(client, sweep(daemon.core.frequencies_hz))
        time.sleep(0.3)
        assert client.step(0, 2)
        client.release()


def test_refused_plan_keeps_the_lease_and_the_plan(daemon, client, plan, sweep):
    begin(client, plan)
    with pytest.raises(DaemonError, match='made for board'):
        client.set_plan(sweep(daemon.core.frequencies_hz, board='another'))
    assert client.step(0, 3)
    assert until(lambda: client.applied().point == plan.point('full', 3))


def test_requests_without_a_lease(daemon, client, plan):
    with pytest.raises(DaemonError, match='acquire the lease first'):
        client.set_plan(plan)
    assert not client.step(0, 0)
    client.release()


def test_a_lease_that_ends_as_it_is_released_is_no_complaint(daemon, client, monkeypatch):
    client.acquire('robot')
    answer = daemon.server._answer

    def stop_first(lease, request):
        daemon.server.end(lease, 'the daemon stopped')
        return answer(lease, request)

    monkeypatch.setattr(daemon.server, '_answer', stop_first)
    client.release()
    assert client.state is ClientState.CLOSED
    assert not daemon.server.leases


def test_newest_of_many_steps_wins(daemon, client, plan):
    begin(client, plan)
    received = client.counters().received
    with daemon.core._lock:
        sent = sum(client.step(0, segment % 4) for segment in range(50))
        sent += client.step(0, 3)
    assert until(lambda: client.counters().received == received + sent)
    assert client.applied().point == plan.point('full', 3)
    assert client.counters().applied <= 4


def test_full_socket_does_not_block(daemon, client, plan):
    begin(client, plan)
    with daemon.core._lock:
        while client.step(0, 1):
            pass
        assert client.unsent == 1
        assert client.state is ClientState.HELD


def test_modes_of_the_socket(short_dir):
    path = short_dir / 'own.sock'
    with access.listen(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with access.listen(path, os.getgid()):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert path.stat().st_gid == os.getgid()


def test_stale_socket_is_replaced_and_a_live_one_is_not(short_dir):
    path = short_dir / 'helper.sock'
    live = access.listen(path)
    with pytest.raises(access.SocketPathError, match='somebody listens'):
        access.listen(path)
    live.close()
    assert path.exists()
    access.listen(path).close()


def test_live_socket_of_another_sort_is_left_alone(short_dir):
    path = short_dir / 'other.sock'
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        other.bind(str(path))
        other.listen()
        with pytest.raises(access.SocketPathError, match='somebody listens'):
            access.listen(path)


@pytest.mark.parametrize('kind', ['file', 'folder', 'link'])
def test_path_that_is_no_socket_is_left_alone(short_dir, kind):
    path = short_dir / 'helper.sock'
    if kind == 'file':
        path.write_text('precious')
    elif kind == 'folder':
        path.mkdir()
    else:
        path.symlink_to('/dev/null')
    with pytest.raises(access.SocketPathError, match='not a socket'):
        access.listen(path)
    assert path.exists()


def test_path_too_long_for_a_socket(short_dir):
    with pytest.raises(ValueError, match='choose a shorter folder'):
        access.listen(short_dir / ('x' * 108))
    with pytest.raises(ValueError, match='choose a shorter folder'):
        DvfsClient(short_dir / ('x' * 108)).acquire('test')


def test_group_that_does_not_exist():
    with pytest.raises(access.SocketPathError, match='groupadd'):
        access.gid_of('no_such_group')


def test_peers_are_known_by_the_kernel():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        assert access.peer_of(ours) == (os.getpid(), os.getuid(), os.getgid())
        assert access.may_talk(ours)


# Imports come first: the other user may not be allowed to read where Python lies.
CALL = """
import os, socket, sys
path, gid, *groups = sys.argv[1:]
caller = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
os.setgroups([int(group) for group in groups])
os.setgid(int(gid))
os.setuid(12345)
caller.connect(path)
caller.recv(1)
"""


@pytest.mark.other_user
@pytest.mark.parametrize(
    ('gid', 'groups', 'may'), [(4242, [], True), (99, [4242], True), (99, [], False)]
)
def test_stranger_needs_the_group(short_dir, gid, groups, may):
    short_dir.chmod(0o755)
    path = short_dir / 's'
    with access.listen(path, 4242) as listener:
        path.chmod(0o666)  # so that SO_PEERCRED alone decides
        listener.settimeout(60)
        words = [str(path), str(gid), *map(str, groups)]
        with subprocess.Popen([sys.executable, '-ISc', CALL, *words]) as caller:
            connection, _ = listener.accept()
            with connection:
                assert access.may_talk(connection, 4242) is may
            assert caller.wait(60) == 0


def test_second_daemon_on_the_same_state(daemon, config, short_dir):
    root = write_tree('jetson_tx2', short_dir / 'tx2')
    places = {'root': root, 'socket_path': short_dir / 'second.sock'}
    with pytest.raises(DaemonRunning, match='a daemon is running'):
        Daemon(config.model_copy(update=places))


def test_second_daemon_on_the_same_socket(daemon, config, short_dir):
    root = write_tree('jetson_tx2', short_dir / 'tx2')
    with pytest.raises(access.SocketPathError, match='somebody listens'):
        Daemon(config.model_copy(update={'root': root, 'state_dir': short_dir / 'second'}))


def test_damaged_undo_log_stops_the_start(config, board_root, files):
    config.state_dir.mkdir(mode=0o700)
    (config.state_dir / 'undo_log.json').write_text('{"version": 1, "rec')
    before = files(board_root)
    for _ in range(2):
        with pytest.raises(UndoLogError, match='nothing of it was applied'):
            Daemon(config)
    assert files(board_root) == before


def test_machine_without_clocks(short_dir):
    empty = DaemonConfig(
        root=short_dir / 'none', state_dir=short_dir / 's', socket_path=short_dir / 'h'
    )
    with pytest.raises(DomainError, match='no clock'):
        Daemon(empty)
    assert not (short_dir / 'h').exists()


def test_page_cannot_be_written_by_a_client(daemon, client):
    import mmap

    client.acquire('test')
    with pytest.raises(PermissionError):
        mmap.mmap(daemon.page.fd, mmap.PAGESIZE)
    with pytest.raises(PermissionError):
        os.ftruncate(os.open(f'/proc/self/fd/{daemon.page.fd}', os.O_RDWR), 0)


def test_silent_connections_do_not_keep_others_waiting(daemon, client, plan):
    silent = [socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(20)]
    for connection in silent:
        connection.connect(str(daemon.server.socket_path))
    begin(client, plan)
    for connection in silent:
        connection.close()


def test_threads_end_with_the_daemon(config):
    before = threading.active_count()
    with Daemon(config), DvfsClient(config.socket_path) as client:
        client.acquire('test')
    assert threading.active_count() == before
    assert not config.socket_path.exists()


def test_limits_as_text():
    assert parse_limits(['gpu=306000000..612000000']) == {'gpu': (306_000_000, 612_000_000)}
    for wrong in ('gpu', 'gpu=1', 'gpu=a..b', '=1..2..3'):
        with pytest.raises(ValueError, match='is not like'):
            parse_limits([wrong])


def test_request_forms():
    assert protocol.parse_request(b'{"client": "me"}') == {'client': 'me'}
    for wrong in (
        b'',
        b'[]',
        b'{',
        b'{"a": 1}',
        b'\xff',
        b'[' * 100_000,
        b'{"a":"' + b'x' * 201 + b'"}',
    ):
        with pytest.raises(protocol.ProtocolError):
            protocol.parse_request(wrong)
