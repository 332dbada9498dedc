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

"""A link that stalls, drops and comes back, made by a relay between a robot and its server."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress

import pytest
from edge_parts import ASKED, OFFERS, Notes, answer, connected, free_port, picture_request, until

from e4_ros.offload.request import NETWORK


class Relay:
    """Hands bytes on between two sides, as long as it may, and as fast as it may."""

    def __init__(self, port: int):
        self.port, self.open = free_port(), threading.Event()
        self.bytes_per_s = float('inf')
        self.open.set()
        self._to, self._sockets = port, []
        self._listener = socket.create_server(('127.0.0.1', self.port))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with suppress(OSError):
            while True:
                near = self._listener.accept()[0]
                if not self.open.is_set():
                    near.close()
                    continue
                far = socket.create_connection(('127.0.0.1', self._to))
                self._sockets += [near, far]
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._pump, args=(one, other), daemon=True).start()

    def _pump(self, one, other):
        with suppress(OSError):
            while piece := one.recv(4096):
                self.open.wait()
                time.sleep(len(piece) / self.bytes_per_s)
                other.sendall(piece)
            other.shutdown(socket.SHUT_WR)

    def cut(self):
        """Cut all connections, as when the radio is gone; `open` decides on new ones."""
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self._sockets.clear()

    def close(self):
        self.open.set()
        self._listener.close()
        self.cut()


@pytest.fixture
def relayed(serve):
    """A service, a relay before its server, and where a robot finds that."""
    port, service = free_port(), Notes()
    serve({NETWORK: service}, port)
    relay = Relay(port)
    yield service, relay, f'tcp/127.0.0.1:{relay.port}'
    relay.close()


def test_what_is_lost_on_a_silent_link_is_given_up_and_nothing_is_sent_after_it(relayed, ask):
    _, relay, endpoint = relayed
    client = ask(endpoint, OFFERS, patience_s=0.3)
    connected(client, ASKED)
    relay.open.clear()
    request = picture_request(1.0, deadline_s=0.2)
    sent_s = time.monotonic()
    assert client.send(request)
    assert time.monotonic() - sent_s < 0.1  # handing it over waits for nothing
    found = answer(client)
    assert found.status == 'lost'
    assert client.refusal(ASKED)
    assert not client.send(picture_request(2.0))
    relay.open.set()
    connected(client, ASKED)
    assert client.send(picture_request(3.0))
    assert answer(client).stamp_s == 3.0
    assert client.link.loss > 0


def test_a_link_that_was_cut_is_found_again(relayed, ask):
    _, relay, endpoint = relayed
    client = ask(endpoint, OFFERS)
    connected(client, ASKED)
    relay.open.clear()
    relay.cut()
    until(lambda: not client.link.up)
    assert client.refusal(ASKED)
    relay.open.set()
    connected(client, ASKED)
    assert client.send(picture_request(3.0))
    assert answer(client).status == 'answered'


def test_a_slow_link_is_known_by_its_rate(relayed, ask):
    _, relay, endpoint = relayed
    client = ask(endpoint, OFFERS, patience_s=30.0)
    connected(client, ASKED)
    until(lambda: client.link.round_trip_s < 0.02)  # a free link, of which that is known
    relay.bytes_per_s = 200_000.0
    for stamp_s in (1.0, 2.0):
        assert client.send(picture_request(stamp_s))
        found = answer(client)
        assert found.legs_s['send'] > 0.5 * found.sent_bytes / relay.bytes_per_s
    assert client.link.rate_bps[0] < 2 * 8 * relay.bytes_per_s
