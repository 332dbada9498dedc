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

"""Several clients, each a process, on one daemon: killed, stopped and hostile ones."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from e4_ros.energy.client import protocol
from e4_ros.energy.client.client import ClientState, DaemonError, DvfsClient
from e4_ros.energy.daemon.daemon import Daemon
from e4_ros.energy.daemon.lease import MAX_OF_ONE_USER

# Steps one segment of the plan that comes by stdin, every few milliseconds, for ever.
CLIENT = """
import sys, time
from e4_ros.energy.client.client import DvfsClient
from e4_ros.energy.plan import FrequencyPlan
path, name, segment = sys.argv[1], sys.argv[2], int(sys.argv[3])
client = DvfsClient(path)
client.acquire(name)
client.set_plan(FrequencyPlan.from_json(sys.stdin.buffer.read()))
while client.step(0, segment) or client.unsent:
    time.sleep(0.01)
print(client.lost_because)
"""


def until(condition: Callable[[], bool], why: str = '', timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, why
        time.sleep(0.002)


@pytest.fixture
def quick(config) -> Iterator[Daemon]:
    """A daemon whose leases rest soon, though not before a slow machine's client steps again."""
    with Daemon(config.model_copy(update={'watchdog_s': 0.5})) as daemon:
        yield daemon


@pytest.fixture
def start(config):
    processes = []

    def begin(name: str, plan, segment: int) -> subprocess.Popen:
        words = [str(config.socket_path), name, str(segment)]
        process = subprocess.Popen(
            [sys.executable, '-c', CLIENT, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert process.stdin is not None
        process.stdin.write(plan.model_dump_json().encode())
        process.stdin.close()
        processes.append(process)
        return process

    yield begin
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


def names(daemon: Daemon) -> list[str]:
    return [lease.client for lease in daemon.server.leases]


def test_killed_and_stopped_clients_take_only_their_own(quick, start, board_root, sweep, files):
    before = files(board_root)
    core = quick.core
    plan = sweep(core.frequencies_hz)
    clients = {}
    for segment, name in enumerate(('low', 'middle', 'high'), 1):
        clients[name] = start(name, plan, segment)

    def at(segment: int) -> Callable[[], bool]:
        return lambda: core.applied_hz() == plan.point('full', segment)

    until(at(3), 'the highest of three')
    clients['high'].send_signal(signal.SIGSTOP)
    until(at(2), 'the highest of those that step')
    assert sorted(names(quick)) == ['high', 'low', 'middle']
    clients['high'].send_signal(signal.SIGCONT)
    until(at(3), 'the stopped client steps again')
    clients['high'].kill()
    until(at(2), 'the killed client takes its own')
    until(lambda: sorted(names(quick)) == ['low', 'middle'])
    clients['middle'].send_signal(signal.SIGSTOP)
    until(at(1), 'the lowest alone steps')
    clients['middle'].kill()
    clients['low'].kill()
    until(lambda: not names(quick))
    assert files(board_root) == before
    assert core.problems == []


def test_clients_of_a_daemon_that_stops_are_told(config, start, sweep, board_root, files):
    before = files(board_root)
    with Daemon(config) as daemon:
        plan = sweep(daemon.core.frequencies_hz)
        clients = [start(f'camera {n}', plan, n) for n in (1, 2)]
        until(lambda: sum(bool(lease.target) for lease in daemon.server.leases) == 2)
        until(lambda: daemon.core.applied_hz() == plan.point('full', 2))
    assert files(board_root) == before
    for client in clients:
        assert client.wait(60) == 0
        assert b'the daemon stopped' in client.stdout.read()


def test_who_asks_and_does_not_step_rests(quick, config, sweep, board_root, files):
    before = files(board_root)
    with DvfsClient(config.socket_path) as client:
        client.acquire('talker')
        client.set_plan(sweep(client.frequencies_hz))
        client.step(0, 1)
        until(lambda: client.counters().applied == 1)

        def asks() -> bool:
            return not client.status()['leases'][0]['awake']

        until(asks, 'it keeps the clocks by asking')
        assert files(board_root) == before
        client.step(0, 1)
        until(lambda: client.counters().applied == 2)


def test_hostile_client_takes_nothing_from_another(daemon, config, sweep):
    plan = sweep(daemon.core.frequencies_hz)
    noise = [
        b'\0', b'\xff' * 4096, bytes([protocol.SET_PLAN]) + b'{', bytes([protocol.ACQUIRE]),
        b'\x01' * 5, protocol.pack_step(255, 65535), protocol.pack_step(0, 9),
        bytes([protocol.SET_PLAN]) + plan.model_dump_json().encode().replace(b'"cpu"', b'"../x"'),
    ]  # fmt: skip
    with DvfsClient(config.socket_path) as good, DvfsClient(config.socket_path) as mad:
        good.acquire('good')
        mad.acquire('mad')
        good.set_plan(plan)
        mad.set_plan(sweep({'gpu': daemon.core.frequencies_hz['gpu']}))
        good.step(0, 2)
        mad.step(0, 0)
        until(lambda: good.counters().applied == 1)
        for message in noise * 5:
            mad._connection.send(message)
            good.step(0, 2)
        until(lambda: good.counters().received == 1 + 5 * len(noise))
        assert good.counters() == (1, 5 * len(noise), 0)
        assert good.applied().point == plan.point('full', 2)
        assert good.state is ClientState.HELD
        mad.close()
    until(lambda: not daemon.server.leases)


def test_each_client_reads_its_own_counters(daemon, config, sweep):
    plan = sweep(daemon.core.frequencies_hz)
    with DvfsClient(config.socket_path) as front, DvfsClient(config.socket_path) as rear:
        for client, steps in ((front, 1), (rear, 3)):
            client.acquire('camera')
            client.set_plan(plan)
            for segment in range(steps):
                client.step(0, segment)
        until(lambda: (front.counters().received, rear.counters().received) == (1, 3))
        front.release()
        assert front.counters() == (0, 0, 0)
        front.acquire('again')
        assert front.counters() == (0, 0, 0)
        assert rear.counters().received == 3
        assert daemon.page.counters().received == 4


def test_more_clients_than_there_is_room_for(daemon, config):
    several = [DvfsClient(config.socket_path) for _ in range(MAX_OF_ONE_USER)]
    try:
        for number, client in enumerate(several):
            client.acquire(f'camera {number}')
        with pytest.raises(DaemonError, match=f'holds {MAX_OF_ONE_USER} leases, .*camera 0'):
            DvfsClient(config.socket_path).acquire('one more')
        several[3].release()
        several[3].acquire('a seat that was left')
    finally:
        for client in several:
            client.close()


def test_hung_up_exclusive_lease_is_free_at_once(daemon, config):
    for _ in range(5):
        alone = DvfsClient(config.socket_path)
        alone.acquire('e4 profile', exclusive=True, wait_s=60)
        alone.close()


def cpu_zone(root):
    types = root.glob('sys/class/thermal/thermal_zone*/type')
    return next(t.parent / 'temp' for t in types if 'cpu' in t.read_text().lower())


def test_heat_ends_every_lease(daemon, config, board_root, sweep):
    zone = cpu_zone(board_root)
    with DvfsClient(config.socket_path) as front, DvfsClient(config.socket_path) as rear:
        front.acquire('front')
        rear.acquire('rear')
        with zone.open('r+') as file:
            file.write('99000\n')
        until(lambda: not daemon.server.leases)
        for client in (front, rear):
            assert not client.step(0, 0)
            with pytest.raises(DaemonError, match='too hot'):
                client.set_plan(sweep(daemon.core.frequencies_hz))


def test_nobody_waits_for_a_silent_connection_with_a_lease(daemon, config):
    """A client that never reads its answers keeps neither the daemon nor another client."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as silent:
        silent.connect(str(config.socket_path))
        silent.send(protocol.pack_request(protocol.ACQUIRE, client='silent'))
        until(lambda: names(daemon) == ['silent'])
        silent.setblocking(False)
        for _ in range(1000):
            try:
                silent.send(protocol.pack_request(protocol.STATUS))
            except (BlockingIOError, BrokenPipeError, ConnectionResetError):
                break
        with DvfsClient(config.socket_path) as other:
            other.acquire('other')
            assert 'other' in [lease['client'] for lease in other.status()['leases']]
