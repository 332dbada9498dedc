"""The undo log: the state of the clocks before a lease changed them, safe on disk.

Written and fsynced before the first change, removed after the last clock was restored. Whoever
finds one (the next daemon, ``e4 dvfs restore``, the unit's ExecStopPost) knows that a process died
holding the clocks, and can restore them from the file alone.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import stat
from pathlib import Path, PurePosixPath
from typing import NamedTuple

FILE_NAME = 'undo_log.json'
_OLDER_NAME = 'originals.json'

_VERSION = 1


class UndoLogError(ValueError):
    """The undo log cannot be used, so nothing of it was applied; the message says what to do."""


class DaemonRunning(OSError):  # noqa: N818
    """Another process works with this state folder."""


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


class UndoLog:
    """One file in a state folder that only its owner may write.

    Earlier releases called the file ``originals.json``; one that such a daemon left behind has the
    same content and is read, restored and removed in the same way.

    Args:
        directory: the state folder; made if missing.

    Raises:
        UndoLogError: others may write the folder, so that the file could be anybody's.
        OSError: the folder cannot be made.
    """

    def __init__(self, directory: str | Path) -> None:
        self.directory = Path(directory)
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        info = self.directory.stat()
        if info.st_mode & (stat.S_IWGRP | stat.S_IWOTH) or info.st_uid not in (0, os.geteuid()):
            raise UndoLogError(
                f'{self.directory} may be written by others, who could then change what is written '
                'back; choose a folder that only you may write'
            )
        self._lock_fd = -1

    @property
    def path(self) -> Path:
        """The file; the older name as long as a file of that name is there."""
        older = self.directory / _OLDER_NAME
        return older if older.exists() else self.directory / FILE_NAME

    def lock(self) -> None:
        """Lock the folder until :meth:`unlock` or the end of the process, however it ends.

        Raises:
            DaemonRunning: another process has locked it.
        """
        descriptor = os.open(self.directory / 'lock', os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise DaemonRunning(
                f'a daemon is running on {self.directory}; stop it, and it restores every clock'
            ) from None
        self._lock_fd = descriptor

    def unlock(self) -> None:
        """Let others lock the folder; may be called twice."""
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1

    def write(self, record: Record) -> None:
        """Write the record to disk; when this returns it survives a power cut."""
        content = {**record._asdict(), 'entries': [entry._asdict() for entry in record.entries]}
        body = json.dumps({'version': _VERSION, 'sha256': _digest(content), 'record': content})
        partial = self.path.with_suffix('.partial')
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, 'w') as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self.path)
        self._sync_directory()

    def read(self) -> Record | None:
        """The record on disk, or None.

        Raises:
            UndoLogError: the file is truncated, altered or not an undo log.
        """
        try:
            text = self.path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            content = json.loads(text)
            record = content['record']
            if content['version'] != _VERSION or content['sha256'] != _digest(record):
                raise ValueError('its checksum is wrong')
            entries = tuple(
                Entry(e['name'], e['kind'], dict(e['snapshot'])) for e in record['entries']
            )
            for entry in entries:
                _check_files(entry.snapshot)
            return Record(record['board'], record['root'], record['boot_id'], entries)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise UndoLogError(
                f'{self.path} is not a whole undo log ({error}); nothing of it was applied. Check '
                'the clocks with `e4 dvfs list`, then put it away with `e4 dvfs restore --forget`'
            ) from None

    def clear(self) -> None:
        """Remove the record: every clock is restored."""
        self.path.unlink(missing_ok=True)
        self._sync_directory()

    def set_aside(self) -> Path | None:
        """Rename the file, whatever it holds, so that a daemon can start; return its new path."""
        if not self.path.exists():
            return None
        number = 1
        while (aside := self.path.with_suffix(f'.aside{number}')).exists():
            number += 1
        self.path.replace(aside)
        self._sync_directory()
        return aside

    def _sync_directory(self) -> None:
        descriptor = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _check_files(snapshot: dict[str, str]) -> None:
    for name, text in snapshot.items():
        path = PurePosixPath(name)
        if path.is_absolute() or '..' in path.parts:
            raise ValueError(f'{name} leaves the root')
        if not isinstance(text, str) or len(text) > 4096:
            raise ValueError(f'{name} has no text')
