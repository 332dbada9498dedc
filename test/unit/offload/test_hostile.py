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

"""Whatever a peer sends, the other side goes on; and it says why where it can."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from edge_parts import ASKED, OFFERS, Notes, answer, connected, free_port, picture_request, until

from e4_ros.offload import wire
from e4_ros.offload.client import EdgeClient
from e4_ros.offload.codec import TensorEntry
from e4_ros.offload.exchange import EdgeConfig
from e4_ros.offload.request import NETWORK
from e4_ros.offload.zenoh_link import open_session

zenoh = pytest.importorskip('zenoh')
GARBAGE = [None, b'', b'\x80\x04\x95cos\nsystem\n', bytes(200_000), np.arange(99).tobytes()]
GOOD = {
    'id': 1,
    'robot': 'r',
    'service': NETWORK,
    'form': 'frame',
    'left_s': 30.0,
    'frame_shape': (120, 160),
    'min_score': 0.1,
}


def ask_raw(session, key, attachment, payload, timeout_s=20.0):
    """The first reply's fields, or None where nothing came; by a plain session of Zenoh."""
    came, ended = [], threading.Event()

    def take(reply):
        came.append(reply.ok.attachment.to_bytes() if reply.ok else None)

    session.get(
        key,
        zenoh.handlers.Callback(take, ended.set, indirect=False),
        attachment=attachment,
        payload=payload,
        timeout=timeout_s,
    )
    assert ended.wait(60.0)
    return came[0] if came else None


@pytest.fixture
def stranger(serve):
    """A server, and somebody who sends it what he likes."""
    server, endpoint = serve({NETWORK: Notes()}, most_bytes=100_000)
    session = open_session(100_000, None, connect=[endpoint])

    def say(attachment, payload=b'', what='ask', timeout_s=20.0):
        key = f'e4/ask/{server.incarnation}' if what == 'ask' else 'e4/hello'
        return ask_raw(session, key, attachment, payload, timeout_s)

    until(lambda: say(wire.seal(wire.HelloAsk(robot='x')), what='hello'))
    yield server, endpoint, say
    session.close()


def still_serves(endpoint, ask):
    client = ask(endpoint, OFFERS)
    connected(client, ASKED)
    assert client.send(picture_request())
    assert answer(client).status == 'answered'


@pytest.mark.parametrize('what', ['ask', 'hello'])
def test_garbage_is_refused(stranger, ask, what):
    server, endpoint, say = stranger
    for garbage in GARBAGE:
        reply = say(garbage, b'junk', what)
        if what == 'ask':
            assert wire.opened(reply, wire.Reply).status == 'refused'
    assert server.metrics.snapshot()['refusals'] == {'garbage': len(GARBAGE)}
    still_serves(endpoint, ask)


@pytest.mark.parametrize(
    ('changed', 'payload', 'said'),
    [
        ({'service': 'magic'}, b'x', 'this server offers network'),
        ({'form': 'film'}, b'x', 'does not take'),
        ({'form': 'features', 'cut': 'x'}, b'x', 'does not take'),
        ({'form': 'region'}, b'x', 'not of the form'),
        ({'form': 'region', 'region': (0, 0, 999, 9)}, b'x', 'outside'),
        ({'form': 'region', 'region': (9, 9, 9, 9)}, b'x', 'outside'),
        ({}, b'', 'not of the form'),
        ({}, b'no jpeg', 'no JPEG'),
        ({}, bytes(200_000), '200000 bytes came, at most 100000'),
        ({'left_s': -1.0}, b'x', 'deadline was over'),
    ],
)
def test_requests_that_cannot_be_done_are_told_why(stranger, changed, payload, said):
    _, _, say = stranger
    reply = wire.opened(say(wire.seal(wire.Ask(**(GOOD | changed))), payload), wire.Reply)
    assert reply.status in ('refused', 'expired')
    assert said in reply.reason


def test_gigabytes_that_are_announced_are_refused_unread(services, cuts, serve):
    server, endpoint = serve(services)
    session = open_session(100_000, None, connect=[endpoint])
    shapes = cuts[-1].tensors.items()
    entries = [TensorEntry(name=n, shape=s, bits=8, low=0, step=1, size=2 << 30) for n, s in shapes]
    about = GOOD | {'service': 'tail', 'form': 'features', 'cut': cuts[-1].cut, 'tensors': entries}
    key = f'e4/ask/{server.incarnation}'
    until(lambda: ask_raw(session, 'e4/hello', wire.seal(wire.HelloAsk(robot='x')), b''))
    reply = wire.opened(ask_raw(session, key, wire.seal(wire.Ask(**about)), b'x' * 99), wire.Reply)
    assert 'bytes of features were announced, 99 came' in reply.reason
    about['tensors'] = [entry.model_copy(update={'size': 0}) for entry in entries]
    reply = wire.opened(ask_raw(session, key, wire.seal(wire.Ask(**about)), None), wire.Reply)
    assert 'does not unpack' in reply.reason or 'damaged' in reply.reason
    session.close()


def test_more_than_the_transport_takes_is_thrown_away(stranger, ask):
    server, endpoint, say = stranger
    say(wire.seal(wire.Ask(**GOOD)), bytes(64 << 20), timeout_s=2.0)  # it never gets through
    assert server.metrics.snapshot()['answered'] == 0
    still_serves(endpoint, ask)


def test_a_robot_of_another_version_is_told(stranger):
    _, _, say = stranger
    old = bytearray(wire.seal(wire.Ask(**GOOD)))
    old[5] = 9
    reply = wire.opened(say(bytes(old), b'x'), wire.Reply)
    assert 'version 9' in reply.reason
    hello = bytearray(wire.seal(wire.HelloAsk(robot='x')))
    hello[5] = 9
    assert wire.opened(say(bytes(hello), what='hello'), wire.HelloReply)


class Liar:
    """A server that says what the test wants, by a plain session of Zenoh."""

    def __init__(self, service=None):
        self.endpoint = f'tcp/127.0.0.1:{free_port()}'
        self.service = service or wire.ServiceEntry(hash='h', class_names=('person',))
        self.reply = lambda ask: (b'', b'')
        self.hello = None
        self._session = open_session(8 << 20, None, listen=[self.endpoint])
        self._kept = [
            self._session.declare_queryable('e4/hello', self._on_hello),
            self._session.declare_queryable(f'e4/ask/{"a" * 16}', self._on_ask),
        ]

    def _on_hello(self, query):
        catalogue = wire.Catalogue(
            software='liar',
            services={NETWORK: self.service},
            codecs=('jpeg',),
            most_bytes=1 << 20,
        )
        fields = wire.HelloReply(incarnation='a' * 16, digest='d', received_s=0, replied_s=0)
        said = wire.seal(fields), catalogue.model_dump_json().encode()
        with query:
            attachment, payload = self.hello or said
            query.reply('e4/hello', payload, attachment=attachment)

    def _on_ask(self, query):
        with query:
            ask = wire.opened(query.attachment.to_bytes(), wire.Ask)
            attachment, payload = self.reply(ask)
            query.reply(query.key_expr, payload, attachment=attachment)

    def close(self):
        self._session.close()


@pytest.fixture
def liar():
    made = Liar()
    yield made
    made.close()


def reply_fields(ask, **changed):
    about = {'id': ask.id, 'status': 'answered', 'received_s': 1.0, 'replied_s': 1.0}
    return wire.seal(wire.Reply(**(about | changed)))


BAD_REPLIES = {
    'garbage': lambda ask: (b'garbage', b''),
    'nothing': lambda ask: (b'', b''),
    'fields without end': lambda ask: (bytes(100_000), b''),
    'another version': lambda ask: (b'e4ed\x00\x09' + bytes(4), b''),
    'of another request': lambda ask: (reply_fields(ask, id=ask.id + 7), b''),
    'half a detection': lambda ask: (reply_fields(ask), bytes(13)),
    'a class that is none': lambda ask: (reply_fields(ask), detection(label=77)),
    'a score that is none': lambda ask: (reply_fields(ask), detection(score=np.nan)),
    'a box that is none': lambda ask: (reply_fields(ask), detection(x=np.inf)),
    'too many': lambda ask: (reply_fields(ask), bytes(24 * 5000)),
    'megabytes': lambda ask: (reply_fields(ask), bytes(9 << 20)),
    'back in time': lambda ask: (reply_fields(ask, replied_s=-5.0), b''),
    'longer than it took': lambda ask: (reply_fields(ask, replied_s=1e300), b''),
    'a negative time': lambda ask: (reply_fields(ask, run_s=-1e9), b''),
}


def detection(x=1.0, score=0.5, label=0) -> bytes:
    return np.array([x, 2, 3, 4, score], '<f4').tobytes() + np.array([label], '<i4').tobytes()


@pytest.mark.parametrize('bad', BAD_REPLIES)
def test_a_lying_server_gives_no_detections(liar, ask, bad):
    client = ask(liar.endpoint, OFFERS)
    connected(client, ASKED)
    liar.reply = BAD_REPLIES[bad]
    assert client.send(picture_request(1.0))
    found = answer(client)
    assert (found.status, found.detections) == ('refused', None)
    assert 'garbage' in found.reason
    liar.reply = lambda asked: (reply_fields(asked), detection())
    connected(client, ASKED)
    assert client.send(picture_request(2.0))
    assert len(answer(client).detections) == 1


@pytest.mark.parametrize(
    ('attachment', 'payload', 'said'),
    [
        (b'garbage', b'', 'cannot be used'),
        (b'e4ed\x00\x09' + bytes(4), b'', 'version 9'),
        (b'', bytes(2 << 20), 'cannot be used'),
        (
            wire.seal(wire.HelloReply(incarnation='a' * 16, digest='d', received_s=0, replied_s=0)),
            b'{"software": 1}',
            'cannot be used',
        ),
        (
            wire.seal(
                wire.HelloReply(incarnation='a' * 16, digest='d', received_s=0, replied_s=99.0)
            ),
            b'{"software": "x", "services": {}, "codecs": [], "most_bytes": 1}',
            'times that cannot be',
        ),
    ],
)
def test_a_server_that_greets_with_garbage_is_not_used(liar, ask, attachment, payload, said):
    liar.hello = attachment, payload
    client = ask(liar.endpoint, OFFERS)
    until(lambda: said in client.refusal(ASKED))
    assert not client.link.up


def test_a_server_that_never_answers_costs_one_request(liar):
    release = threading.Event()

    def late(asked):
        release.wait(60)
        return reply_fields(asked), detection()

    liar.reply = late
    with EdgeClient(EdgeConfig(liar.endpoint, patience_s=0.2), OFFERS) as client:
        connected(client, ASKED)
        assert client.send(picture_request(1.0, deadline_s=0.2))
        found = answer(client)
        assert (found.status, found.reason) == ('lost', 'no answer came')
        assert client.link.loss == 1.0
        release.set()
        connected(client, ASKED)
