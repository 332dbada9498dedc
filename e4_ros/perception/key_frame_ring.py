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

"""A bounded ring of a camera's frames on disk, with their answers, from which exits are fitted.

A folder with one file for each entry (`ring_entry`), named after its run and its place in the run.
A *run* is consecutive frames: what `e4 fit` learns is how a frame follows from the ones before it,
and key frames alone, seconds apart, would teach it a stream that no robot ever sees. The oldest
entries go first. An entry gets its name by a rename, so that a process that is killed leaves whole
entries and perhaps a scratch file. What there is is found by listing: no index can be wrong.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

FORMAT = 'e4_ros.ring/1'
LEAST_MB = 8
"""A smaller ring holds too little to learn from."""

_ABOUT, _LOCK, _SCRATCH = 'ring.json', 'lock', '.part'
_NAME = re.compile(r'(\d{8})-(\d{5})\.jpg')
_BLOCK = 4096  # what file systems round a file's size up to


class RingError(ValueError):
    """A folder is no ring, or not one that can be used; says what to do."""


class RingBusyError(OSError):
    """Another process writes to the ring."""


@dataclass(frozen=True, order=True)
class RingFile:
    """Where an entry is.

    Attributes:
        run: number of the run; later runs have higher ones.
        place: place in the run, from 0.
        path: the file.
        bytes: what it takes on disk.
    """

    run: int
    place: int
    path: Path = field(compare=False)
    bytes: int = field(compare=False)


def is_ring(folder: Path) -> bool:
    """Whether a folder is a ring."""
    return (folder / _ABOUT).is_file()


def ring_files(folder: Path) -> list[RingFile]:
    """The entries of a ring, the oldest first.

    Raises:
        RingError: the folder is no ring, or one of a version that is not known here.
    """
    _check_format(folder)
    found = []
    with os.scandir(folder) as items:
        for item in items:
            if (name := _NAME.fullmatch(item.name)) is None:
                continue
            try:
                size = item.stat().st_size
            except FileNotFoundError:  # it was the oldest, and went meanwhile
                continue
            found.append(RingFile(int(name[1]), int(name[2]), Path(item.path), _on_disk(size)))
    return sorted(found)


def is_written(folder: Path) -> bool:
    """Whether a process writes to the ring now."""
    try:
        with (folder / _LOCK).open('rb') as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


class KeyFrameRing:
    """The writing end of a ring; for one thread, and one process at a time.

    Args:
        folder: the ring; made where it is not there.
        limit_mb: megabytes that its entries take at most.

    Attributes:
        folder: the same.
        bytes: what the entries take now.
        next_run: number for the next run.

    Raises:
        RingBusyError: another process writes to it.
        RingError: the folder is something else, or the limit is too low.
        OSError: it cannot be written to.
    """

    def __init__(self, folder: Path, limit_mb: int) -> None:
        if limit_mb < LEAST_MB:
            raise RingError(f'a ring of {limit_mb} MB holds too little: give it {LEAST_MB} or more')
        self.folder, self._limit = folder, limit_mb * 1_000_000
        folder.mkdir(parents=True, exist_ok=True)
        if not is_ring(folder) and any(folder.iterdir()):
            raise RingError(f'{folder} holds something else than a ring: name an empty folder')
        # Not for writing: a file system with such a file could not become read-only.
        self._lock = os.fdopen(os.open(folder / _LOCK, os.O_RDONLY | os.O_CREAT, 0o644), 'rb')
        try:
            self._take_over()
        except BaseException:
            self._lock.close()
            raise

    def _take_over(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RingBusyError(
                f'another process writes to the ring {self.folder}: end it, or give each its own'
            ) from None
        if not is_ring(self.folder):
            self._write(self.folder / _ABOUT, json.dumps({'format': FORMAT}).encode())
        for scratch in self.folder.glob(f'*{_SCRATCH}'):
            scratch.unlink()
        self._files = deque(ring_files(self.folder))
        self.bytes = sum(file.bytes for file in self._files)
        self.next_run = self._files[-1].run + 1 if self._files else 0
        self._make_room(0)

    def __len__(self) -> int:
        return len(self._files)

    def put(self, run: int, place: int, data: bytes) -> None:
        """Add an entry; the oldest make room first.

        Args:
            run: number of its run, `next_run` or one that was used last.
            place: place in the run, from 0.
            data: bytes of its file.

        Raises:
            OSError: it cannot be written; nothing of it is there then.
        """
        size = _on_disk(len(data))
        if size > self._limit:
            raise OSError(errno.EFBIG, 'an entry is larger than the whole ring')
        self._make_room(size)
        path = self.folder / f'{run:08d}-{place:05d}.jpg'
        self._write(path, data)
        self._files.append(RingFile(run, place, path, size))
        self.bytes += size
        self.next_run = max(self.next_run, run + 1)

    def close(self) -> None:
        """Let others write to it."""
        self._lock.close()

    def _make_room(self, size: int) -> None:
        while self._files and self.bytes + size > self._limit:
            self._files[0].path.unlink(missing_ok=True)
            self.bytes -= self._files.popleft().bytes

    def _write(self, path: Path, data: bytes) -> None:
        """Whole or not at all, should the process be killed.

        It is not forced to the disk: after a power cut the newest entries may be cut off, which
        readers notice, and a camera's pace of forced writes would wear out a robot's flash.
        """
        scratch = path.with_suffix(_SCRATCH)
        try:
            scratch.write_bytes(data)
            scratch.replace(path)
        except OSError:
            scratch.unlink(missing_ok=True)
            raise


def _check_format(folder: Path) -> None:
    try:
        about = json.loads((folder / _ABOUT).read_text())
    except (OSError, ValueError) as error:
        raise RingError(f'{folder} is no ring of key frames: {error}') from None
    if not isinstance(about, dict) or about.get('format') != FORMAT:
        raise RingError(f'{folder} is a ring of another version than {FORMAT}: make a new one')


def _on_disk(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK
