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

import tracemalloc
import zlib

import numpy as np
import pytest

from e4_ros.offload import pictures
from e4_ros.offload.codec import CodecError, TensorEntry, pack, unpack

SHAPES = {'a': (1, 5, 7, 3), 'b': (1, 3)}


def tensors(seed=0):
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}


@pytest.mark.parametrize('bits', [8, 4])
def test_features_come_back_to_half_a_step(bits):
    given = tensors()
    entries, payload = pack(given, bits)
    found = unpack(entries, SHAPES, payload)
    for name, tensor in given.items():
        step = (tensor.max() - tensor.min()) / (2**bits - 1)
        assert found[name].dtype == np.float32
        np.testing.assert_allclose(found[name], tensor, atol=step / 2 + 1e-6)


def test_equal_values_stay_what_they_are():
    given = {'a': np.full((1, 3, 3), 2.5, np.float32)}
    entries, payload = pack(given, 4)
    np.testing.assert_array_equal(unpack(entries, {'a': (1, 3, 3)}, payload)['a'], given['a'])


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_not_packed(value):
    given = {'a': np.array([1.0, value], np.float32)}
    with pytest.raises(CodecError, match='no numbers'):
        pack(given, 8)


def test_nothing_is_not_packed_nor_are_three_bits():
    with pytest.raises(CodecError, match='empty'):
        pack({'a': np.zeros((0, 2), np.float32)}, 8)
    with pytest.raises(CodecError, match='8 or 4'):
        pack(tensors(), 3)


def changed(entries, index=0, **fields):
    entries = list(entries)
    entries[index] = entries[index].model_copy(update=fields)
    return entries


@pytest.mark.parametrize(
    ('fields', 'said'),
    [
        ({'name': 'other'}, 'not those of the cut'),
        ({'name': 'b'}, 'not those of the cut'),
        ({'shape': (1, 5, 7, 4)}, 'not those of the cut'),
        ({'shape': (-1, -5, 7, 3)}, 'not those of the cut'),
        ({'bits': 7}, '8 and 4'),
        ({'bits': 4}, 'does not unpack'),
        ({'size': 2 << 30}, 'announced'),
        ({'size': 0}, 'announced'),
        ({'step': 1e300}, 'no numbers'),
        ({'low': 1e300}, 'no numbers'),
    ],
)
def test_what_was_not_announced_is_refused(fields, said):
    entries, payload = pack(tensors(), 8)
    with pytest.raises(CodecError, match=said):
        unpack(changed(entries, **fields), SHAPES, payload)


def test_a_tensor_too_few_is_refused():
    entries, payload = pack(tensors(), 8)
    with pytest.raises(CodecError, match='not those of the cut'):
        unpack(entries[:1], SHAPES, payload)


@pytest.mark.parametrize('how', ['cut', 'flipped', 'longer', 'nothing'])
def test_damaged_features_are_refused(how):
    [entry], payload = pack({'a': np.ones((1, 50), np.float32)}, 8)
    broken = {
        'cut': payload[:-1],
        'flipped': bytes([payload[0] ^ 255]) + payload[1:],
        'longer': payload + b'x',
        'nothing': b'',
    }[how]
    entry = entry.model_copy(update={'size': len(broken)})
    with pytest.raises(CodecError):
        unpack([entry], {'a': (1, 50)}, broken)


def test_a_bomb_takes_no_memory():
    bomb = zlib.compress(bytes(200 << 20), 1)
    entry = TensorEntry(name='a', shape=(1, 50), bits=8, low=0, step=1, size=len(bomb))
    tracemalloc.start()
    with pytest.raises(CodecError, match='does not unpack'):
        unpack([entry], {'a': (1, 50)}, bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * len(bomb)


def test_a_picture_comes_back():
    picture = np.full((48, 64, 3), (200, 30, 90), np.uint8)
    found = pictures.decode(pictures.encode(picture[:, ::2], 90), (48, 32))
    assert found.shape == (48, 32, 3)
    assert abs(found.astype(int) - picture[:, ::2]).max() < 12


@pytest.mark.parametrize(
    'how', ['cut', 'nothing', 'garbage', 'larger', 'png', 'too many pixels', 'no size']
)
def test_pictures_that_are_none_are_refused(how):
    jpeg = pictures.encode(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8), 80)
    most = (64, 64)
    given = {
        'cut': jpeg[: len(jpeg) // 2],
        'nothing': b'',
        'garbage': bytes(range(256)) * 4,
        'larger': pictures.encode(np.zeros((65, 64, 3), np.uint8), 80),
        'png': b'\x89PNG\r\n\x1a\n' + bytes(100),
        'too many pixels': jpeg,
        'no size': jpeg[:4],
    }[how]
    if how == 'too many pixels':
        most = (65535, 65535)
    with pytest.raises(CodecError):
        pictures.decode(given, most)
