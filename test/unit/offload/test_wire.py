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

import json
import struct

import numpy as np
import pytest

from e4_ros.offload import wire
from e4_ros.vision.detections import Detections

ASK = wire.Ask(
    id=7,
    robot='r',
    service='network',
    form='frame',
    left_s=0.1,
    frame_shape=(48, 64),
    min_score=0.1,
)
REPLY = wire.Reply(id=7, status='answered', received_s=1.0, replied_s=2.0)


def sealed(fields: dict) -> bytes:
    said = json.dumps(fields).encode()
    return struct.pack('!4sHI', b'e4ed', wire.VERSION, len(said)) + said


@pytest.mark.parametrize('message', [ASK, REPLY])
def test_what_is_sealed_is_opened(message):
    assert wire.opened(wire.seal(message), type(message)) == message


def test_another_version_is_named():
    said = bytearray(wire.seal(ASK))
    said[5] += 1
    with pytest.raises(wire.VersionError, match=r'version 2 .* this one 1: install'):
        wire.opened(bytes(said), wire.Ask)


@pytest.mark.parametrize(
    'fields',
    [
        {'id': -1},
        {'id': 'x'},
        {'left_s': None},
        {'left_s': float('nan')},
        {'left_s': float('inf')},
        {'frame_shape': [0, 5]},
        {'frame_shape': [1, 1 << 40]},
        {'min_score': 7},
        {'service': 'x' * 10_000},
        {'tensors': [{}]},
        {'eval': 'print()'},
        {'region': [1, 2, 3]},
    ],
)
def test_fields_that_cannot_be_are_refused(fields):
    about = json.loads(ASK.model_dump_json()) | fields
    with pytest.raises(wire.WireError):
        wire.opened(sealed(about), wire.Ask)


@pytest.mark.parametrize(
    'message',
    [
        b'',
        b'e4ed',
        b'GET / HTTP/1.1\r\n\r\n',
        wire.seal(ASK)[:-1],
        wire.seal(ASK) + b' ',
        struct.pack('!4sHI', b'e4ed', wire.VERSION, 2 << 30),
        struct.pack('!4sHI', b'e4ed', wire.VERSION, 0),
        sealed([]),
        bytes(wire.MOST_FIELDS + 1),
        b'\x80\x04\x95' + bytes(20),  # a pickle
    ],
)
def test_what_is_no_message_is_refused(message):
    with pytest.raises(wire.WireError):
        wire.opened(message, wire.Ask)


def test_flipped_bits_are_refused_or_say_something_that_can_be():
    rng, good = np.random.default_rng(1), wire.seal(ASK)
    for _ in range(2000):
        message = bytearray(good)
        for place in rng.integers(0, len(good), rng.integers(1, 4)):
            message[place] ^= 1 << rng.integers(8)
        try:
            ask = wire.opened(bytes(message), wire.Ask)
        except wire.WireError:
            continue
        assert isinstance(ask, wire.Ask)
        assert 0 <= ask.min_score <= 1


def found(count=3) -> Detections:
    boxes = np.arange(4 * count).reshape(count, 4)
    return Detections.of(boxes, np.linspace(0.9, 0.1, count), np.arange(count))


def test_detections_come_back():
    back = wire.unpack_detections(wire.pack_detections(found()), 3)
    np.testing.assert_array_equal(back.boxes, found().boxes)
    np.testing.assert_array_equal(back.scores, found().scores)
    np.testing.assert_array_equal(back.labels, found().labels)
    assert len(wire.unpack_detections(b'', 0)) == 0
    assert len(wire.pack_detections(found(5000))) == 24 * wire.MOST_DETECTIONS


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('boxes', np.nan),
        ('boxes', np.inf),
        ('boxes', 1e9),
        ('boxes', (5, 5, 1, 1)),
        ('scores', np.nan),
        ('scores', -0.5),
        ('scores', 1.5),
        ('labels', -1),
        ('labels', 3),
    ],
)
def test_detections_that_cannot_be_are_refused(name, value):
    wrong = found()
    getattr(wrong, name)[1] = value
    with pytest.raises(wire.WireError):
        wire.unpack_detections(wire.pack_detections(wrong), 3)


@pytest.mark.parametrize('payload', [b'x', bytes(25), bytes(24 * (wire.MOST_DETECTIONS + 1))])
def test_bytes_that_are_no_detections_are_refused(payload):
    with pytest.raises(wire.WireError, match='no detections'):
        wire.unpack_detections(payload, 3)
