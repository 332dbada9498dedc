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

"""Opens bags of every kind for reading: whole, split, cut off by power loss, without an index."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple, cast

from rosbags.highlevel import AnyReader
from rosbags.rosbag1 import Reader as Rosbag1Reader
from rosbags.rosbag2 import Reader as Rosbag2Reader
from rosbags.typesys import Stores, get_typestore

from e4_ros.evaluation.sources import mcap_scan, rosbag1_scan
from e4_ros.evaluation.sources.bag_scan import ScannedFile
from e4_ros.evaluation.sources.base import SourceError

_KINDS = ('.mcap', '.db3', '.bag')
# rosbags lets what its parsers and sqlite3 raise on broken bytes pass: struct.error, IndexError,
# AssertionError, UnicodeDecodeError, sqlite3.Error … A broken bag must end in a sentence.
BROKEN = Exception
_ADVICE = {
    '.mcap': '`mcap recover FILE` repairs what was cut off',
    '.db3': '`sqlite3 FILE .recover` repairs what was cut off',
    '.bag': '`rosbag reindex FILE` repairs what was cut off',
}


class OpenBag(NamedTuple):
    """A bag while it is open.

    Attributes:
        reader: its topics and messages, as far as they can be read.
        lost: what cannot be read, each as a sentence.
    """

    reader: AnyReader
    lost: list[str]


def bag_kind(path: Path) -> str:
    """``.mcap``, ``.db3`` or ``.bag``, by a file's name in any case; empty for others.

    A recorder of ROS 1 calls its file ``.bag.active`` until it is done.
    """
    name = path.name.lower().removesuffix('.active')
    return next((kind for kind in _KINDS if name.endswith(kind)), '')


def is_bag(path: Path) -> bool:
    """Whether ``path`` looks like a bag: a bag file, or a folder that holds one."""
    if path.is_dir():
        return (path / 'metadata.yaml').is_file() or bool(_bag_files(path))
    return bool(bag_kind(path))


@contextmanager
def open_bag(path: Path) -> Iterator[OpenBag]:
    """Open a bag, or what is left of one.

    Raises:
        SourceError: nothing of it can be read; the text says why and what to do.
    """
    files = _bag_files(path) if path.is_dir() else [path]
    with ExitStack() as stack:
        lost = [text for file in files for text in _beside(file)]
        reader = _by_metadata(path, files, lost)
        if reader is None:
            reader = _file_by_file(path, files, lost, stack)
        try:
            reader.open()
        except BROKEN as error:
            raise _unreadable(path, [*lost, str(error)]) from None
        stack.callback(reader.close)
        for part in cast('Sequence[object]', reader.readers):
            if isinstance(part, ScannedFile) and part.lost:
                lost.append(part.lost)
        yield OpenBag(reader, lost)


def _by_metadata(path: Path, files: Sequence[Path], lost: list[str]) -> AnyReader | None:
    """A whole ROS 2 bag as its metadata describes it; None where it is not whole."""
    if not (path / 'metadata.yaml').is_file():
        return None
    if not all(_has_index(file) for file in files):
        return None
    try:
        reader = _reader([path])
        with reader:
            return reader
    except BROKEN as error:
        if not files:
            raise _unreadable(path, [*lost, str(error)]) from None
        lost.append(f'its metadata.yaml does not fit ({error}): its files are read one by one')
        return None


def _file_by_file(
    path: Path, files: Sequence[Path], lost: list[str], stack: ExitStack
) -> AnyReader:
    links = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix='e4-bag-')))
    parts, paths = [], []
    for number, file in enumerate(files):
        # rosbags goes by the name's end, and knows lower case alone.
        link = links / f'{number}{bag_kind(file)}'
        link.symlink_to(file.resolve())
        try:
            part = _part(file, link)
            with part:
                empty = not part.connections
        except BROKEN as error:
            lost.append(f'{file.name} cannot be read: {error}')
            continue
        if empty and isinstance(part, ScannedFile):
            lost.append(part.lost or f'{file.name} holds nothing')
            continue
        parts.append(part)
        paths.append(link)
    if not parts:
        raise _unreadable(path, lost)
    reader = _reader(paths)
    reader.readers = parts  # type: ignore[assignment]
    return reader


def _part(file: Path, link: Path) -> Rosbag1Reader | Rosbag2Reader | ScannedFile:
    if not file.stat().st_size:
        raise SourceError('it is empty')
    indexed = _has_index(file)
    if bag_kind(file) == '.bag':
        return Rosbag1Reader(link) if indexed else rosbag1_scan.ScannedRosbag1(file)
    return Rosbag2Reader(link) if indexed else mcap_scan.ScannedMcap(file)


def _has_index(file: Path) -> bool:
    look = {'.mcap': mcap_scan.has_index, '.bag': rosbag1_scan.has_index}.get(bag_kind(file))
    return look is None or look(file)


def _reader(paths: Sequence[Path]) -> AnyReader:
    return AnyReader(paths, default_typestore=get_typestore(Stores.LATEST))


def _beside(file: Path) -> list[str]:
    """What a recorder that died left beside a sqlite file and not yet in it."""
    log = file.with_name(f'{file.name}-wal')
    if bag_kind(file) != '.db3' or not log.is_file() or not log.stat().st_size:
        return []
    command = (
        f"python3 -c \"import sqlite3; sqlite3.connect('{file.name}')"
        ".execute('PRAGMA wal_checkpoint(TRUNCATE)')\""
    )
    return [
        f'{log.name} holds {log.stat().st_size} bytes that are not yet in the bag and not read; to '
        f'put them there, in a copy of the folder: {command}'
    ]


def _bag_files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if bag_kind(file))


def _unreadable(path: Path, reasons: Sequence[str]) -> SourceError:
    kinds = {bag_kind(file) for file in (_bag_files(path) if path.is_dir() else [path])}
    advice = [_ADVICE[kind] for kind in _KINDS if kind in kinds]
    if path.is_dir():
        advice.append('`ros2 bag reindex FOLDER` makes a missing metadata.yaml')
    return SourceError(
        f'the bag {path.resolve().name} cannot be read ({"; ".join(reasons)}). '
        f'If its recording was cut off: {"; ".join(advice)}'
    )
