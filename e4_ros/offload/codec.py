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

"""Features as bytes: 8 or 4 bits a value, packed by zlib; and back, whoever has sent them.

Every tensor is spread linearly over the values that its bits have: one scale a tensor. On the
pedestrian network one scale a channel packs worse, and gains nothing.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

CODECS = ('uint8+zlib', 'uint4+zlib', 'jpeg')
"""What this version packs and unpacks; both sides name theirs in the handshake."""

_LEVEL = 1  # of zlib: the higher ones take several times as long for 2 % fewer bytes


class CodecError(ValueError):
    """What came is not what was announced, or cannot be packed."""


class TensorEntry(BaseModel):
    """What is said about one packed tensor.

    Attributes:
        name: name in the network's graph.
        shape: its shape.
        bits: bits of a value, 8 or 4.
        low: value of the number 0.
        step: difference between two numbers next to each other.
        size: bytes that it is packed into.
    """

    model_config = ConfigDict(frozen=True, extra='forbid')

    name: str = Field(max_length=512)
    shape: tuple[int, ...] = Field(max_length=8)
    bits: int
    low: float = Field(allow_inf_nan=False)
    step: float = Field(ge=0, allow_inf_nan=False)
    size: int = Field(ge=0)


def codec_name(bits: int) -> str:
    """Name in `CODECS` of features of so many bits."""
    return f'uint{bits}+zlib'


def pack(tensors: Mapping[str, np.ndarray], bits: int) -> tuple[list[TensorEntry], bytes]:
    """Pack tensors.

    Args:
        tensors: float32 by name.
        bits: 8 or 4.

    Returns:
        What is said about each, and the bytes of all, one behind the other.

    Raises:
        CodecError: a tensor is empty, or has a value that is no number.
    """
    if bits not in (4, 8):
        raise CodecError(f'features are packed in 8 or 4 bits, not in {bits}')
    entries, pieces = [], []
    for name, tensor in tensors.items():
        if not tensor.size:
            raise CodecError(f'the tensor {name!r} is empty')
        low, high = float(tensor.min()), float(tensor.max())
        if not (math.isfinite(low) and math.isfinite(high)):
            raise CodecError(f'the tensor {name!r} has values that are no numbers')
        step = (high - low) / ((1 << bits) - 1)
        numbers = _numbers(tensor, low, step)
        packed = numbers if bits == 8 else _in_pairs(numbers)
        piece = zlib.compress(packed.data, _LEVEL)
        shape = tuple(map(int, tensor.shape))
        entries.append(
            TensorEntry(name=name, shape=shape, bits=bits, low=low, step=step, size=len(piece))
        )
        pieces.append(piece)
    return entries, b''.join(pieces)


def check_entries(
    entries: Sequence[TensorEntry], shapes: Mapping[str, tuple[int, ...]], size: int
) -> None:
    """Refuse an announcement that does not fit to a cut, before a byte of it is unpacked.

    Args:
        entries: what was announced.
        shapes: shape of each tensor at the cut.
        size: bytes that came.

    Raises:
        CodecError: says what does not fit.
    """
    announced = {entry.name: tuple(entry.shape) for entry in entries}
    wanted = {name: tuple(shape) for name, shape in shapes.items()}
    if len(announced) != len(entries) or announced != wanted:
        raise CodecError(f'the tensors {announced} are not those of the cut, {wanted}')
    if odd := [entry.bits for entry in entries if entry.bits not in (4, 8)]:
        raise CodecError(f'there are 8 and 4 bits a value, not {odd[0]}')
    if (said := sum(entry.size for entry in entries)) != size:
        raise CodecError(f'{said} bytes of features were announced, {size} came')


def unpack(
    entries: Sequence[TensorEntry], shapes: Mapping[str, tuple[int, ...]], payload: bytes
) -> dict[str, np.ndarray]:
    """The tensors again, float32 by name.

    No more memory is taken than the cut's own shapes need, whatever was sent.

    Raises:
        CodecError: what came is not what was announced, or not what the cut takes.
    """
    check_entries(entries, shapes, len(payload))
    found, start, view = {}, 0, memoryview(payload)
    for entry in entries:
        count = math.prod(entry.shape)
        length = count if entry.bits == 8 else (count + 1) // 2
        raw = _inflate(view[start : start + entry.size], length, entry.name)
        start += entry.size
        numbers = np.frombuffer(raw, np.uint8)
        if entry.bits == 4:
            numbers = _out_of_pairs(numbers, count)
        with np.errstate(over='ignore', invalid='ignore'):
            values = numbers.astype(np.float32) * np.float32(entry.step) + np.float32(entry.low)
        if not np.isfinite(values).all():
            raise CodecError(f'the tensor {entry.name!r} has values that are no numbers')
        found[entry.name] = values.reshape(entry.shape)
    return found


def _numbers(tensor: np.ndarray, low: float, step: float) -> np.ndarray:
    if not step:
        return np.zeros(tensor.size, np.uint8)
    scaled = (tensor.reshape(-1).astype(np.float32) - np.float32(low)) * np.float32(1 / step)
    return np.rint(scaled, out=scaled).astype(np.uint8)


def _in_pairs(numbers: np.ndarray) -> np.ndarray:
    if len(numbers) % 2:
        numbers = np.append(numbers, np.uint8(0))
    return numbers[::2] | (numbers[1::2] << 4)


def _out_of_pairs(pairs: np.ndarray, count: int) -> np.ndarray:
    numbers = np.empty((len(pairs), 2), np.uint8)
    numbers[:, 0], numbers[:, 1] = pairs & 15, pairs >> 4
    return numbers.reshape(-1)[:count]


def _inflate(packed: memoryview, length: int, name: str) -> bytes:
    """Unpack to exactly so many bytes; what would become more is stopped there."""
    stream = zlib.decompressobj()
    try:
        raw = stream.decompress(packed, length + 1)
    except zlib.error as error:
        raise CodecError(f'the tensor {name!r} is damaged: {error}') from None
    if len(raw) != length or not stream.eof or stream.unused_data:
        raise CodecError(f'the tensor {name!r} does not unpack to its {length} bytes')
    return raw
