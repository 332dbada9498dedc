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

"""MCAP files without an index; the format is described at https://mcap.dev/spec."""

from __future__ import annotations

import struct
import sys
from binascii import crc32
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import lz4.frame
from rosbags.interfaces import ConnectionExtRosbag2, MessageDefinition, MessageDefinitionFormat
from rosbags.rosbag2.metadata import parse_qos

from e4_ros.evaluation.sources.bag_scan import CutError, ScannedFile, Topic

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MAGIC = b'\x89MCAP0\r\n'
_FOOTER, _SCHEMA, _CHANNEL, _MESSAGE, _CHUNK, _CHUNK_INDEX, _DATA_END = 2, 3, 4, 5, 6, 8, 15
_FOOTER_LENGTH = 9 + 20 + len(MAGIC)
_DECOMPRESSORS = {'lz4': lz4.frame.LZ4FrameDecompressor, 'zstd': zstd.ZstdDecompressor}
_FORMATS = {
    'ros2msg': MessageDefinitionFormat.MSG,
    'ros2idl': MessageDefinitionFormat.IDL,
    'omgidl': MessageDefinitionFormat.IDL,
}


def has_index(path: Path) -> bool:
    """Whether an MCAP file is whole, of ROS 2 by its header, and has all messages in an index."""
    with path.open('rb') as file:
        try:
            file.seek(len(MAGIC) + 9)
            if _text(file) != 'ros2':
                return False
            file.seek(-_FOOTER_LENGTH, 2)
            footer = file.read()
            if footer[:1] != bytes([_FOOTER]) or footer[-len(MAGIC) :] != MAGIC:
                return False
            (start,) = struct.unpack_from('<Q', footer, 9)
            file.seek(start)
            chunks = [data for kind, data in _split(file) if kind == _CHUNK_INDEX]
            # Behind four numbers comes the length of where a chunk's messages are.
            lengths = [struct.unpack_from('<I', data, 32)[0] for data in chunks]
            return start > 0 and bool(lengths) and all(lengths)
        except (OSError, struct.error, UnicodeDecodeError, CutError):
            return False


class ScannedMcap(ScannedFile):
    """An MCAP file of ROS 2 messages, with or without chunks."""

    def _records(self, file: BinaryIO) -> Iterator[tuple[int, int, bytes]]:
        if file.read(len(MAGIC)) != MAGIC:
            raise CutError('it does not begin as an MCAP file does')
        schemas: dict[int, tuple[str, MessageDefinition]] = {}
        for kind, data in _split(file):
            if kind in (_DATA_END, _FOOTER):
                return
            for part, content in self._inside(data) if kind == _CHUNK else [(kind, data)]:
                if part == _SCHEMA:
                    number, schema = _schema(content)
                    schemas[number] = schema
                elif part == _CHANNEL:
                    self._announce(content, schemas)
                elif part == _MESSAGE:
                    topic, _, time_ns = struct.unpack_from('<HIQ', content)
                    if topic in self._topics:
                        yield topic, time_ns, content[22:]

    def _inside(self, chunk: bytes) -> Iterator[tuple[int, bytes]]:
        """Records of a chunk; the first ones where it was cut, none where it is damaged."""
        try:
            records = BytesIO(_unpacked(chunk))
        except (KeyError, ValueError, RuntimeError, struct.error, zstd.ZstdError):
            self.damaged += 1
            return
        with suppress(CutError):
            yield from _split(records)

    def _announce(self, data: bytes, schemas: dict[int, tuple[str, MessageDefinition]]) -> None:
        fields = BytesIO(data)
        number, schema = struct.unpack('<HH', fields.read(4))
        name, encoding = _text(fields), _text(fields)
        if encoding != 'cdr':
            self.left_out.add(f'{name} is encoded as {encoding or "nothing"}, not as ROS 2 does')
        if encoding != 'cdr' or schema not in schemas:
            return
        described = BytesIO(_sized(fields))
        metadata = {}
        while described.tell() < len(described.getvalue()):
            key = _text(described)
            metadata[key] = _text(described)
        qos = parse_qos(metadata.get('offered_qos_profiles', ''))
        ext = ConnectionExtRosbag2(encoding, qos)
        self._topics.setdefault(number, Topic(name, *schemas[schema], ext))


def _split(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Kind and content of each record from here on; also what there is of a chunk that was cut."""
    begin = file.tell()
    end = file.seek(0, 2)
    file.seek(begin)
    while (at := file.tell()) < end:
        kind = file.read(1)[0]
        if kind == MAGIC[0]:  # some writers begin twice
            file.seek(at + len(MAGIC))
            continue
        size = int.from_bytes(file.read(8), 'little')
        # Power loss leaves zeros at the end; and a size that is nonsense must not ask for memory.
        if kind == 0 or at + 9 + size > end:
            if kind == _CHUNK:
                yield kind, file.read()
            raise CutError(f'the record at byte {at} of {end} is not whole')
        yield kind, file.read(size)
        if kind == _FOOTER:
            return


def _unpacked(chunk: bytes) -> bytes:
    """Records of a chunk, or the first of them where it was cut."""
    fields = BytesIO(chunk)
    _start, _end, size, crc = struct.unpack('<QQQI', fields.read(28))
    compression = _text(fields)
    (packed_size,) = struct.unpack('<Q', fields.read(8))
    packed = fields.read(packed_size)
    data = _DECOMPRESSORS[compression]().decompress(packed) if compression else packed
    whole = len(packed) == packed_size
    if whole and (len(data) != size or (crc and crc32(data) != crc)):
        raise ValueError('a chunk does not fit its checksum')
    return data


def _schema(data: bytes) -> tuple[int, tuple[str, MessageDefinition]]:
    fields = BytesIO(data)
    (number,) = struct.unpack('<H', fields.read(2))
    name, encoding, text = _text(fields), _text(fields), _text(fields)
    form = _FORMATS.get(encoding, MessageDefinitionFormat.NONE)
    return number, (name, MessageDefinition(form, text))


def _text(fields: BinaryIO) -> str:
    return _sized(fields).decode()


def _sized(fields: BinaryIO) -> bytes:
    (size,) = struct.unpack('<I', fields.read(4))
    return fields.read(size)
