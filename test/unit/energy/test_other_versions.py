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

"""A daemon of another version than its client, which says less, or other things."""

from __future__ import annotations

import contextlib
import errno
import json
import socket
import threading
from pathlib import Path

import pytest

from e4_ros.commands.dvfs_text import situation
from e4_ros.energy.client import protocol
from e4_ros.energy.client.client import ClientState, DaemonError, DvfsClient
from e4_ros.energy.client.status_page import PageWriter
from e4_ros.energy.daemon.hold_point import hold

FACTS = {
    'board': 'jetson_orin_nano',
    'root': '/',
    'leases': [],
    'watchdog_s': 1.0,
    'problems': [],
    'domains': {'gpu': [306_000_000]},
}


def without(name):
    return {key: value for key, value in FACTS.items() if key != name}


def _open_pages():
    targets = []
    for descriptor in Path('/proc/self/fd').iterdir():
        with contextlib.suppress(FileNotFoundError):  # the folder's own, closed by now
            targets.append(str(descriptor.readlink()))
    return sum('e4-status' in target for target in targets)


@pytest.fixture
def answers(config):
    """Listen at the daemon's socket, and give each who asks the answer that is set here."""
    said = {'data': b'', 'fd': None}
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(str(config.socket_path))
    listener.listen()

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                if not connection.recv(protocol.MAX_MESSAGE):
                    continue
                descriptors = [] if said['fd'] is None else [said['fd']]
                socket.send_fds(connection, [said['data']], descriptors)
                connection.recv(1)  # until the client hangs up

    thread = threading.Thread(target=serve)
    thread.start()
    yield said
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


@pytest.mark.parametrize(
    'data',
    [
        *(protocol.pack_answer(slot=0, **without(name)) for name in FACTS),
        protocol.pack_answer(slot=0, **FACTS | {'domains': ['gpu']}),
        protocol.pack_answer(slot=0, **FACTS | {'leases': [{'client': 'robot'}]}),
        protocol.pack_answer(slot=0, **FACTS | {'leases': ['robot']}),
        b'{"ok": false}',
        b'{}',
        b'[1]',
        b'null',
        b'OK',
        b'\xff',
    ],
)
def test_an_answer_that_lacks_something_is_another_versions(data, answers, config):
    answers['data'] = data
    client = DvfsClient(config.socket_path)
    for request in (client.status, lambda: client.acquire('test')):
        with pytest.raises(DaemonError, match='another version; restart the older') as caught:
            request()
        assert caught.value.errno == errno.EPROTO
    assert client.state is ClientState.CLOSED
    assert 'another version' in situation(config.root, config.socket_path)
    with pytest.raises(DaemonError, match='another version'), hold({'gpu': 306_000_000}, config):
        pass


def test_a_lease_without_its_place_on_the_page_is_refused_and_no_descriptor_stays(answers, config):
    page = PageWriter()
    try:
        answers |= {'data': protocol.pack_answer(**FACTS), 'fd': page.fd}
        client = DvfsClient(config.socket_path)
        pages = _open_pages()
        for _ in range(3):
            with pytest.raises(DaemonError, match='another version'):
                client.acquire('test')
        assert _open_pages() == pages
        answers['fd'] = None
        assert client.status() == json.loads(answers['data'])
    finally:
        page.close()


def test_a_page_of_another_version_is_refused(answers, config):
    page = PageWriter()
    page.words[0] += 1
    try:
        answers |= {'data': protocol.pack_answer(slot=0, **FACTS), 'fd': page.fd}
        client = DvfsClient(config.socket_path)
        with pytest.raises(DaemonError, match='another version'):
            client.acquire('test')
        assert client.state is ClientState.CLOSED
    finally:
        page.close()


def test_a_refusal_of_another_version_says_its_reason(answers, config):
    answers['data'] = b'{"ok": false, "error": "too hot", "more": 1}'
    with pytest.raises(DaemonError, match='too hot') as caught:
        DvfsClient(config.socket_path).acquire('test')
    assert caught.value.errno is None
