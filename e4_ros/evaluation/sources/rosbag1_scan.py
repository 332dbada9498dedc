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

"""ROS 1 bags without an index; the format is described at https://wiki.ros.org/Bags/Format/2.0."""

from __future__ import annotations

import bz2
import struct
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import lz4.frame
from rosbags.interfaces import ConnectionExtRosbag1, MessageDefinition, MessageDefinitionFormat
from rosbags.typesys.msg import normalize_msgtype

from e4_ros.evaluation.sources.bag_scan import CutError, ScannedFile, Topic

MAGIC = b'#ROSBAG V2.0\n'
_MESSAGE, _CHUNK, _CHUNK_INFO, _CONNECTION = 2, 5, 6, 7
_DECOMPRESSORS = {'bz2': bz2.BZ2Decompressor, 'lz4': lz4.frame.LZ4FrameDecompressor}


def has_index(path: Path) -> bool:
    """Whether the header of a ROS 1 bag points at an index that is there."""
    with path.open('rb') as file:
        if file.read(len(MAGIC)) != MAGIC:
            return False
        try:
            fields, _ = next(_split(file))
        except (CutError, StopIteration):
            return False
        at = int.from_bytes(fields.get('index_pos', b''), 'little')
        return 0 < at <= path.stat().st_size


class ScannedRosbag1(ScannedFile):
    """A ROS 1 bag, also one that is still called ``.bag.active``."""

    def _records(self, file: BinaryIO) -> Iterator[tuple[int, int, bytes]]:
        if file.read(len(MAGIC)) != MAGIC:
            raise CutError('it does not begin as a ROS 1 bag does')
        for fields, data in _split(file):
            kind = fields['op'][0]
            if kind == _CHUNK_INFO:
                return
            inner = self._inside(fields, data) if kind == _CHUNK else [(fields, data)]
            for part, content in inner:
                if part['op'][0] == _CONNECTION:
                    self._announce(part, content)
                elif part['op'][0] == _MESSAGE:
                    seconds, nanoseconds = struct.unpack('<II', part['time'])
                    yield _number(part['conn']), seconds * 10**9 + nanoseconds, content

    def _inside(
        self, fields: dict[str, bytes], data: bytes
    ) -> Iterator[tuple[dict[str, bytes], bytes]]:
        """Records of a chunk; the first ones where it was cut, none where it is damaged."""
        try:
            records = BytesIO(_unpacked(fields, data))
        except (KeyError, ValueError, RuntimeError, OSError):
            self.damaged += 1
            return
        with suppress(CutError):
            yield from _split(records)

    def _announce(self, fields: dict[str, bytes], data: bytes) -> None:
        described = _fields(data)
        definition = described['message_definition'].decode()
        ext = ConnectionExtRosbag1(None, int(described.get('latching', b'0') or 0))
        topic = Topic(
            '/' + fields['topic'].decode().strip('/'),
            normalize_msgtype(described['type'].decode()),
            MessageDefinition(MessageDefinitionFormat.MSG, definition),
            ext,
        )
        self._topics.setdefault(_number(fields['conn']), topic)


def _split(file: BinaryIO) -> Iterator[tuple[dict[str, bytes], bytes]]:
    """Header and data of each record from here on; also what there is of a chunk that was cut."""
    begin = file.tell()
    end = file.seek(0, 2)
    file.seek(begin)
    while (at := file.tell()) < end:
        # A size that is nonsense must not ask for that much memory.
        fields = _fields(file.read(min(_number(file.read(4)), end)))
        if 'op' not in fields:  # power loss leaves zeros at the end
            raise CutError(f'the record at byte {at} of {end} is none')
        size = _number(file.read(4))
        whole = file.tell() + size <= end
        if whole or fields['op'][0] == _CHUNK:
            yield fields, file.read(size if whole else -1)
        if not whole:
            raise CutError(f'the record at byte {at} of {end} is not whole')


def _fields(header: bytes) -> dict[str, bytes]:
    fields, at = {}, 0
    while at < len(header):
        size = _number(header[at : at + 4])
        name, _, value = header[at + 4 : at + 4 + size].partition(b'=')
        fields[name.decode(errors='replace')] = value
        at += 4 + size
    return fields


def _unpacked(fields: dict[str, bytes], data: bytes) -> bytes:
    compression = fields['compression'].decode()
    return data if compression == 'none' else _DECOMPRESSORS[compression]().decompress(data)


def _number(octets: bytes) -> int:
    return int.from_bytes(octets, 'little')
