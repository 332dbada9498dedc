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

"""The undo log: the state of the clocks before leases changed them, safe on disk.

Written and fsynced before the first change, removed with the last lease after the last clock was
restored. Whoever finds one (the next daemon, ``e4 dvfs restore``, the unit's ExecStopPost) knows
that a process died holding leases, and can restore the clocks from the file alone.

A lease that steps once in a while rests in between. Then the log stays, and says by its marks which
of its clocks are in force, overwritten in place and not fsynced. That is enough: the marks are for
whoever follows a daemon that was killed, and a power cut ends with every clock anyway.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import weakref
from collections.abc import Sequence
from pathlib import Path

from e4_ros.energy.daemon.safe_folder import UnsafeFolder, open_folder
from e4_ros.energy.daemon.undo_record import Record, pack_marks, pack_record, parse_record

FILE_NAME = 'undo_log.json'
_OLDER_NAME = 'originals.json'


class UndoLogError(ValueError):
    """The undo log cannot be used, so nothing of it was applied; the message says what to do."""


class DaemonRunning(OSError):  # noqa: N818
    """Another process works with this state folder."""


class UndoLog:
    """One file in a state folder that only root and this user may write.

    The folder is opened once, and everything in it is done through its descriptor: whoever could
    move the folder afterwards moves nothing that this undo log writes.

    Earlier releases called the file ``originals.json``; one that such a daemon left behind has the
    same content and is read, restored and removed in the same way.

    Args:
        directory: the state folder.
        make: whether to make it if it is missing.

    Raises:
        UndoLogError: others could swap the folder or a parent, so that the file could be anybody's.
        OSError: the folder is missing or cannot be made.
    """

    def __init__(self, directory: str | Path, make: bool = True) -> None:
        self.directory = Path(os.path.abspath(directory))  # noqa: PTH100 - no link is followed
        try:
            self._folder = open_folder(self.directory, make)
        except UnsafeFolder as error:
            raise UndoLogError(error.strerror) from error
        self._close = weakref.finalize(self, os.close, self._folder)
        self._lock_fd = -1

    @property
    def path(self) -> Path:
        """The file, for people; the older name as long as a file of that name is there."""
        return self.directory / self._name

    @property
    def _name(self) -> str:
        return _OLDER_NAME if self._exists(_OLDER_NAME) else FILE_NAME

    def exists(self) -> bool:
        """Whether there is a file, whatever it holds."""
        return self._exists(self._name)

    def lock(self) -> None:
        """Lock the folder until :meth:`unlock` or the end of the process, however it ends.

        Raises:
            DaemonRunning: another process has locked it.
            OSError: it cannot be locked; the message names it.
        """
        descriptor = self._open('lock', os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise DaemonRunning(
                errno.EBUSY,
                f'a daemon is running on {self.directory}; stop it, and it restores every clock',
            ) from None
        self._lock_fd = descriptor

    def unlock(self) -> None:
        """Let others lock the folder; may be called twice."""
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1

    def write(self, record: Record, in_force: Sequence[bool] = ()) -> None:
        """Write the record to disk; when this returns it survives a power cut.

        Args:
            record: the saved state.
            in_force: which of its entries are in force; see `mark`. Empty: all of them.

        Raises:
            OSError: the disk is full or broken; the message names the folder.
        """
        text = pack_record(record, in_force)
        name = self._name
        partial = f'{Path(name).stem}.partial'
        try:
            descriptor = self._open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            with os.fdopen(descriptor, 'wb') as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            self._replace(partial, name)
            os.fsync(self._folder)
        except OSError as error:
            raise OSError(
                error.errno, f'no undo log can be written in {self.directory}: {error.strerror}'
            ) from error

    def mark(self, in_force: Sequence[bool]) -> bool:
        """Say which entries of the record on disk are in force, the others being restored.

        Returns:
            Whether it could be said; if not, whoever reads the log takes it as it was.
        """
        try:
            descriptor = self._open(self._name, os.O_WRONLY)
        except OSError:
            return False
        try:
            return os.pwrite(descriptor, pack_marks(in_force), 0) == len(in_force)
        except OSError:
            return False
        finally:
            os.close(descriptor)

    def read(self) -> Record | None:
        """The record on disk with the entries that are in force, or None.

        Raises:
            UndoLogError: the file is truncated, altered or not an undo log.
        """
        try:
            with os.fdopen(self._open(self._name, os.O_RDONLY), 'rb') as file:
                text = file.read()
        except FileNotFoundError:
            return None
        try:
            return parse_record(text)
        except ValueError as error:
            raise UndoLogError(
                f'{self.path} is not a whole undo log ({error}); nothing of it was applied. Check '
                'the clocks with `e4 dvfs list`, then put it away with `e4 dvfs restore --forget`'
            ) from None

    def clear(self) -> None:
        """Remove the record: every clock is restored."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._name, dir_fd=self._folder)
        os.fsync(self._folder)

    def set_aside(self) -> Path | None:
        """Rename the file, whatever it holds, so that a daemon can start; return its new path."""
        if not self.exists():
            return None
        number, name = 1, self._name
        while self._exists(aside := f'{Path(name).stem}.aside{number}'):
            number += 1
        self._replace(name, aside)
        os.fsync(self._folder)
        return self.directory / aside

    def close(self) -> None:
        """Unlock and close the folder; nothing more can be done. May be called twice."""
        self.unlock()
        self._close()

    def _open(self, name: str, flags: int) -> int:
        try:
            flags |= os.O_NOFOLLOW | os.O_CLOEXEC
            return os.open(name, flags, 0o600, dir_fd=self._folder)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise OSError(error.errno, f'{self.directory / name}: {error.strerror}') from error

    def _replace(self, name: str, by: str) -> None:
        os.replace(name, by, src_dir_fd=self._folder, dst_dir_fd=self._folder)

    def _exists(self, name: str) -> bool:
        try:
            os.stat(name, dir_fd=self._folder, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True
