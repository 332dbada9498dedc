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

"""A lease whose holder was stopped goes to who waits for it."""

from __future__ import annotations

import os
import signal
import time

import pytest

from e4_ros.energy.client.client import ClientState, DaemonError, DvfsClient, LeasesInTheWay
from e4_ros.energy.daemon.daemon import Daemon
from e4_ros.energy.daemon.lease import MAX_OF_ONE_USER, LeaseBook, Peer

PEER = Peer(1, 2, 3)


@pytest.fixture
def hasty(config):
    """A daemon whose leases rest and end soon."""
    with Daemon(config.model_copy(update={'watchdog_s': 0.1, 'idle_lease_s': 0.3})) as daemon:
        yield daemon


def stopped_holder(config, sweep) -> int:
    """A process that holds an exclusive lease, steps once, and is stopped."""
    reading, writing = os.pipe()
    process = os.fork()
    if not process:
        try:
            client = DvfsClient(config.socket_path)
            client.acquire('measuring', exclusive=True)
            client.set_plan(sweep(client.frequencies_hz))
            client.step(0, 1)
            os.write(writing, b'!')
            while client.step(0, 1):
                time.sleep(0.01)
            os.write(writing, client.lost_because.encode())
        finally:
            os._exit(0)
    os.close(writing)
    assert os.read(reading, 1) == b'!'
    os.kill(process, signal.SIGSTOP)
    return process, reading


def test_exclusive_lease_of_a_stopped_process_goes_to_the_next(
    hasty, config, sweep, board_root, files
):
    before = files(board_root)
    process, reading = stopped_holder(config, sweep)
    with DvfsClient(config.socket_path) as client:
        client.acquire('robot', wait_s=60)
        assert files(board_root) == before
        os.kill(process, signal.SIGCONT)
        assert b'no step came for 0.3 s, and robot waited for its place' in os.read(reading, 500)
        client.set_plan(sweep(client.frequencies_hz))
        assert client.step(0, 1)
    os.waitpid(process, 0)


def test_lease_is_kept_while_nobody_waits_for_it(hasty, config):
    with DvfsClient(config.socket_path) as idle:
        idle.acquire('idle', exclusive=True)
        time.sleep(0.5)
        assert idle.status()['leases'][0]['client'] == 'idle'
        assert idle.state is ClientState.HELD


def test_lease_that_steps_is_kept_from_who_waits(hasty, config, sweep):
    with DvfsClient(config.socket_path) as holder:
        holder.acquire('busy', exclusive=True)
        holder.set_plan(sweep(holder.frequencies_hz))
        until = time.monotonic() + 0.6
        while time.monotonic() < until:
            assert holder.step(0, 1)
            with pytest.raises(LeasesInTheWay, match='busy'):
                DvfsClient(config.socket_path).acquire('waiting')
            time.sleep(0.02)


def test_reservation_by_service_is_not_refused_for_an_idle_lease(hasty, config):
    with DvfsClient(config.socket_path) as idle:
        idle.acquire('idle', exclusive=True)
        with pytest.raises(ValueError, match='needs the clocks alone'):
            hasty.server.check('robot')
        time.sleep(0.35)
        hasty.server.check('robot')


def test_only_what_makes_room_is_ended(hasty, config, sweep):
    with DvfsClient(config.socket_path) as idle, DvfsClient(config.socket_path) as busy:
        idle.acquire('idle')
        busy.acquire('busy')
        busy.set_plan(sweep(busy.frequencies_hz))
        until = time.monotonic() + 0.5
        while time.monotonic() < until:
            assert busy.step(0, 1)
            time.sleep(0.02)
        with pytest.raises(DaemonError, match='needs the clocks alone'):
            DvfsClient(config.socket_path).acquire('measuring', exclusive=True)
        assert [lease.client for lease in hasty.server.leases] == ['idle', 'busy']


def test_who_is_in_the_way():
    book = LeaseBook()
    first, second = book.claim('first', PEER), book.claim('second', PEER)
    assert book.in_the_way(True, 0.0) == (first, second)
    first.awake = True
    assert book.in_the_way(True, 0.0) == ()
    assert book.in_the_way(False, 0.0) == (second,)
    assert book.in_the_way(False, 60.0) == ()


def test_one_idle_lease_of_the_user_with_too_many_ends():
    book = LeaseBook()
    book.claim('of another', Peer(1, 1000, 1))
    own = [book.claim(f'own {number}', PEER) for number in range(MAX_OF_ONE_USER)]
    own[0].awake = True
    assert book.in_the_way(False, 0.0, PEER.uid) == (own[1],)
