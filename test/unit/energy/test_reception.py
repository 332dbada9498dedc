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

"""Silent connections and floods: only who sends them waits, and everybody is told why."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import threading
import time

import pytest

from e4_ros.energy.client import protocol
from e4_ros.energy.client.client import DaemonError, DvfsClient
from e4_ros.energy.daemon import access, reception
from e4_ros.energy.daemon.lease import MAX_OF_ONE_USER, LeaseBook, LeaseHeld, Peer
from e4_ros.energy.daemon.reception import MAX_WAITING, Reception, Shares

STATUS = protocol.pack_request(protocol.STATUS)


def connect(path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.settimeout(60)
    connection.connect(str(path))
    return connection


def said(connection: socket.socket) -> str:
    return json.loads(connection.recv(65536))['error']


@pytest.fixture
def silent(config):
    """Connections that say nothing."""
    with contextlib.ExitStack() as stack:
        yield lambda count: [stack.enter_context(connect(config.socket_path)) for _ in range(count)]


def test_silent_connections_keep_nobody_out(daemon, config, silent):
    silent(60)
    for _ in range(20):
        with DvfsClient(config.socket_path) as client:
            client.acquire('honest')


def test_who_has_too_many_silent_connections_is_told(daemon, silent):
    many = silent(MAX_WAITING + 2)
    for connection in many[:2]:
        assert f'more than {MAX_WAITING} connections' in said(connection)
        assert connection.recv(1) == b''
    many[-1].send(STATUS)
    assert json.loads(many[-1].recv(65536))['ok']


def test_who_says_nothing_for_too_long_is_told(config, monkeypatch, silent):
    monkeypatch.setattr(reception, 'HELLO_S', 0.05)
    from e4_ros.energy.daemon.daemon import Daemon

    with Daemon(config):
        assert said(silent(1)[0]) == 'nothing was said for 0.05 s'


def test_client_that_was_turned_away_says_why(daemon, config, silent):
    client = DvfsClient(config.socket_path)
    from e4_ros.energy.client.connection import Connection

    client._connection = Connection(client.socket_path, 60)
    silent(MAX_WAITING)
    client._connection._wait_for(select.POLLIN)
    with pytest.raises(DaemonError, match='connections that wait'):
        client._ask(STATUS)


class Users:
    """A reception whose visitors belong to the users that a test names, in the order they come."""

    def __init__(self, path, monkeypatch) -> None:
        self.greeted: list[int] = []
        self._next: list[int] = []
        self._path = path
        monkeypatch.setattr(access, 'peer_of', lambda _: Peer(1, self._next.pop(0), 1))
        monkeypatch.setattr(access, 'may_talk', lambda *_: True)
        self.shares = Shares()
        self.reception = Reception(access.listen(path), None, self.shares, self._greet)

    def visit(self, uid: int, says: bytes = b'') -> socket.socket:
        self._next.append(uid)
        visitor = connect(self._path)
        if says:
            visitor.send(says)
        deadline = time.monotonic() + 60
        while self._next and time.monotonic() < deadline:
            time.sleep(0.0005)
        return visitor

    def _greet(self, connection: socket.socket, peer: Peer) -> None:
        self.greeted.append(peer.uid)
        message = connection.recv(100)
        if message == b'fault':
            raise RuntimeError('a fault of ours')
        with contextlib.suppress(BrokenPipeError):  # it has left without a word
            connection.send(message)
        connection.close()


@pytest.fixture
def users(short_dir, monkeypatch):
    made = Users(short_dir / 's', monkeypatch)
    yield made
    made.reception.stop()


def test_many_users_with_silent_connections_do_not_keep_the_next_one_out(users):
    crowd = [users.visit(uid) for uid in range(1, 12) for _ in range(MAX_WAITING)]
    with users.visit(500, b'hello') as honest:
        assert honest.recv(10) == b'hello'
    for visitor in crowd:
        visitor.close()


def test_user_who_floods_waits_and_others_do_not(users):
    with users.shares.charged_to(7):
        until = time.thread_time() + 0.3  # a second and a half of his share
        while time.thread_time() < until:
            pass
    assert users.shares.wait_s(7) > 0.1
    assert users.shares.wait_s(8) <= 0
    with users.visit(7, b'more') as flooding, users.visit(8, b'hello') as honest:
        assert honest.recv(10) == b'hello'
        assert users.greeted == [8]
        assert flooding.recv(10) == b'more'
    assert users.greeted == [8, 7]


def test_fault_with_one_client_is_not_the_next_ones(users, caplog):
    with users.visit(1, b'fault') as unlucky:
        assert unlucky.recv(10) == b''
    assert 'a fault of ours' in caplog.text
    with users.visit(1, b'hello') as next_one:
        assert next_one.recv(10) == b'hello'


def test_stranger_is_told_that_he_is_one(users, monkeypatch):
    monkeypatch.setattr(access, 'may_talk', lambda *_: False)
    with users.visit(9) as stranger:
        assert said(stranger) == 'user 9 is not in the group that may ask'
    assert users.greeted == []


def test_flood_of_requests_keeps_no_other_client_waiting(daemon, config):
    """The same user floods here; his other clients wait their turn, and all are answered."""
    ending = threading.Event()

    def flood() -> None:
        while not ending.is_set():
            with contextlib.suppress(OSError), connect(config.socket_path) as connection:
                connection.send(STATUS)
                connection.recv(65536)

    threads = [threading.Thread(target=flood) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(5):
            with DvfsClient(config.socket_path, timeout_s=60) as client:
                client.acquire('honest')
    finally:
        ending.set()
        for thread in threads:
            thread.join()


def test_one_user_cannot_hold_every_lease():
    book = LeaseBook()
    for number in range(MAX_OF_ONE_USER):
        book.claim(f'n{number}', Peer(number, 1000, 1000))
    with pytest.raises(LeaseHeld, match=f'user 1000 holds {MAX_OF_ONE_USER} leases'):
        book.claim('more', Peer(1, 1000, 1000))
    assert book.claim('other', Peer(1, 1001, 1001))


def test_reception_ends_with_everybody_hung_up_on(short_dir):
    hall = Reception(access.listen(short_dir / 's'), os.getgid(), Shares(), lambda *_: None)
    with connect(short_dir / 's') as visitor:
        hall.stop()
        hall.stop()
        with contextlib.suppress(ConnectionResetError):
            assert visitor.recv(1) == b''
