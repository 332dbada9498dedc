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

"""One daemon a board: a lock on the board's own sysfs, whatever folders daemons work with.

The lock is the kernel's (flock on a folder below the root) and ends with the process, however that
ends. It is seen by every user and by containers that share the machine's sysfs: those on the host's
network, or with ``/sys`` mounted into them. A network namespace of its own has a sysfs of its own.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from pathlib import Path

from e4_ros.energy.daemon.safe_folder import user_name
from e4_ros.energy.daemon.undo_log import DaemonRunning

_PLACES = ('sys/devices/system/cpu', 'sys', '')
"""Folders below the root; the first that is there is locked. Every kernel has the first."""


class BoardLock:
    """The right to be the daemon of the board below a root.

    Args:
        root: folder that holds ``sys/``.
    """

    def __init__(self, root: str | Path) -> None:
        self._root = Path(root)
        self._descriptor = -1

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._descriptor >= 0

    def lock(self) -> None:
        """Lock the board until :meth:`unlock` or the end of the process, however it ends.

        Raises:
            DaemonRunning: another process has locked it; the message says which.
            OSError: the board's file system has no locks, or may not be read.
        """
        folders = [p for p in (self._root / place for place in _PLACES) if p.is_dir()]
        if not folders:
            return  # no such machine, as discovery is about to say
        path = folders[0]
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            who = _holder(os.fstat(descriptor))
            os.close(descriptor)
            raise DaemonRunning(
                errno.EBUSY,
                f'a daemon is running: {who} holds the clocks below {self._root} (lock on {path}); '
                'use its socket, or stop it, and it restores every clock',
            ) from None
        except OSError as error:
            os.close(descriptor)
            raise OSError(error.errno, f'{path} cannot be locked: {error.strerror}') from error
        self._descriptor = descriptor

    def unlock(self) -> None:
        """Let others lock the board; may be called twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> BoardLock:
        self.lock()
        return self

    def __exit__(self, *_: object) -> None:
        self.unlock()


def _holder(info: os.stat_result) -> str:
    """The process that holds a lock on a file, as the kernel lists it in /proc/locks."""
    wanted = f'{os.major(info.st_dev):02x}:{os.minor(info.st_dev):02x}:{info.st_ino}'
    with contextlib.suppress(OSError):
        for line in Path('/proc/locks').read_text().splitlines():
            fields = line.split()
            if fields[1] == 'FLOCK' and fields[5] == wanted:
                return _process(fields[4])
    return 'a process that cannot be seen from here (of another container?)'


def _process(pid: str) -> str:
    folder = Path('/proc') / pid
    try:
        user = user_name(folder.stat().st_uid)
        words = (
            folder.joinpath('cmdline').read_bytes().replace(b'\0', b' ').decode(errors='replace')
        )
    except OSError:
        return f'process {pid}'
    command = ''.join(c if c.isprintable() else '?' for c in words.strip()[:80])
    return f'process {pid} of {user} ({command})'
