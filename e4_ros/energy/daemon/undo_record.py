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

"""What the undo log holds: the saved state of each domain, and whether it is in force.

The first line has a mark for each entry, the second is JSON with a checksum. Earlier releases wrote
the JSON alone, all of it in force.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

_VERSION = 1
_RESTS, _IN_FORCE = b'-+'


class Entry(NamedTuple):
    """Saved state of one domain.

    Attributes:
        name: name of the domain.
        kind: kernel interface of the domain (`Domain.kind`).
        snapshot: path below the root → the text that the file held.
    """

    name: str
    kind: str
    snapshot: dict[str, str]


class Record(NamedTuple):
    """Saved state of one lease on one machine.

    Attributes:
        board: name of the board.
        root: file system root below which the domains were discovered.
        boot_id: identity of the boot in which the state was saved.
        entries: saved state of each domain.
    """

    board: str
    root: str
    boot_id: str
    entries: tuple[Entry, ...]


def boot_id() -> str:
    """Identity of this boot; every boot starts with clocks of its own."""
    try:
        return Path('/proc/sys/kernel/random/boot_id').read_text().strip()
    except OSError:
        return ''


def pack_record(record: Record, in_force: Sequence[bool] = ()) -> bytes:
    """The text of a record.

    Args:
        record: the saved state.
        in_force: which of its entries are in force; empty: all of them.
    """
    content = {**record._asdict(), 'entries': [entry._asdict() for entry in record.entries]}
    body = json.dumps({'version': _VERSION, 'sha256': _digest(content), 'record': content})
    return pack_marks(in_force or [True] * len(record.entries)) + b'\n' + body.encode()


def pack_marks(in_force: Sequence[bool]) -> bytes:
    """The first line of a record's text, without its end: one byte for each entry."""
    return bytes(_IN_FORCE if yes else _RESTS for yes in in_force)


def parse_record(text: bytes) -> Record:
    """The record of a text, with the entries that are in force.

    Raises:
        ValueError: the text is truncated, altered or not a record.
    """
    marks, _, body = text.rpartition(b'\n')
    try:
        content = json.loads(body)
        record = content['record']
        if content['version'] != _VERSION or content['sha256'] != _digest(record):
            raise ValueError('its checksum is wrong')
        entries = tuple(Entry(e['name'], e['kind'], dict(e['snapshot'])) for e in record['entries'])
        for entry in entries:
            _check_files(entry.snapshot)
        return Record(record['board'], record['root'], record['boot_id'], _marked(entries, marks))
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f'{error} is not in its place') from error


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _marked(entries: tuple[Entry, ...], marks: bytes) -> tuple[Entry, ...]:
    """The marked entries; all of them where an earlier release marked none."""
    if not marks:
        return entries
    if len(marks) != len(entries) or set(marks) - {_RESTS, _IN_FORCE}:
        raise ValueError('its first line is not one mark for each clock')
    return tuple(e for e, mark in zip(entries, marks, strict=True) if mark == _IN_FORCE)


def _check_files(snapshot: dict[str, str]) -> None:
    for name, text in snapshot.items():
        path = PurePosixPath(name)
        if path.is_absolute() or '..' in path.parts:
            raise ValueError(f'{name} leaves the root')
        if not isinstance(text, str) or len(text) > 4096:
            raise ValueError(f'{name} has no text')
