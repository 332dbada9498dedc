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

"""A virtual board served as a real file system (FUSE), so that callers go through the kernel.

Needs the system's FUSE library (Debian and Ubuntu: package `fuse3`) and /dev/fuse.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import itertools
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from e4_ros.energy.boards import Board, load_board
from e4_ros.energy.virtual.board import MARK
from e4_ros.energy.virtual.clocks import refuse
from e4_ros.energy.virtual.faults import Fault, Faults
from e4_ros.energy.virtual.machine import Kernel, VirtualMachine

_SIZE = 4096
_START_S = 20.0
_LOOP_ENDED = 8
"""Return value of libfuse's main function after a signal (it has worked until then)."""


class MountError(OSError):
    """The board cannot be served; the message says what is missing."""


def fuse_problem() -> str | None:
    """Why no file system can be mounted on this machine; None if nothing seems to be missing."""
    if not os.access('/dev/fuse', os.R_OK | os.W_OK):
        return '/dev/fuse is missing or may not be opened'
    try:
        import mfusepy  # noqa: F401
    except ImportError:
        return 'the Python package mfusepy is not installed'
    except OSError:
        return 'the FUSE library is not installed (Debian and Ubuntu: package fuse3)'
    return None


class _Files:
    """The operations that FUSE asks for.

    As in sysfs, one write call is one store, and content is produced by the read at offset 0 and
    kept with the open file for the reads that continue from there.
    """

    use_ns = True

    def __init__(self, machine: VirtualMachine) -> None:
        self._machine = machine
        self._handles = itertools.count(1)
        self._contents: dict[int, bytes] = {}
        self._changed: dict[str, dict[str, int]] = {}
        self._children: dict[str, set[str]] = {'': set()}
        for path in (*machine.attributes, *machine.links):
            parent, _, name = path.rpartition('/')
            self._children.setdefault(parent, set()).add(name)
            while parent:
                parent, _, name = parent.rpartition('/')
                self._children.setdefault(parent, set()).add(name)
        self._owner = {'st_uid': os.getuid(), 'st_gid': os.getgid(), 'st_mtime': time.time_ns()}

    def getattr(self, path: str, fh: int | None = None) -> dict[str, int]:
        """Attributes of a file, folder or link."""
        path = path[1:]
        if self._machine.linked(path):
            return {'st_mode': stat.S_IFLNK | 0o777, 'st_nlink': 1, **self._owner}
        if path in self._children and self._shown(path):
            return {'st_mode': stat.S_IFDIR | 0o755, 'st_nlink': 2, **self._owner}
        if not self._machine.present(path):
            raise refuse(errno.ENOENT)
        attribute = self._machine.attributes[path]
        mode = 0o400 if attribute.root_only else 0o444
        if attribute.write is not None:
            mode |= 0o200
        found = {'st_mode': stat.S_IFREG | mode, 'st_nlink': 1, 'st_size': _SIZE, **self._owner}
        return found | self._changed.get(path, {})

    def chmod(self, path: str, mode: int) -> int:
        """Change permissions, as udev rules do."""
        self._changed.setdefault(path[1:], {})['st_mode'] = stat.S_IFREG | stat.S_IMODE(mode)
        return 0

    def chown(self, path: str, uid: int, gid: int) -> int:
        """Change owner and group; -1 leaves one as it is."""
        changed = self._changed.setdefault(path[1:], {})
        changed.update({k: v for k, v in (('st_uid', uid), ('st_gid', gid)) if v != -1})
        return 0

    def readdir(self, path: str, fh: int) -> list[str]:
        """Names in a folder."""
        return ['.', '..', *self._entries(path[1:])]

    def _entries(self, folder: str) -> list[str]:
        prefix = f'{folder}/' if folder else ''
        return [name for name in sorted(self._children[folder]) if self._shown(prefix + name)]

    def _shown(self, path: str) -> bool:
        if path in self._children:
            prefix = f'{path}/' if path else ''
            return any(self._shown(prefix + name) for name in self._children[path])
        return self._machine.linked(path) or self._machine.present(path)

    def readlink(self, path: str) -> str:
        """Target of a link."""
        return self._machine.links[path[1:]]

    def open(self, path: str, flags: int) -> int:
        """Open a file that is there."""
        if not self._machine.present(path[1:]):
            raise refuse(errno.ENOENT)
        return next(self._handles)

    def release(self, path: str, fh: int) -> int:
        """Forget an open file."""
        self._contents.pop(fh, None)
        return 0

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        """Content from an offset on."""
        if offset == 0:
            self._contents[fh] = self._machine.read(path[1:])
        return self._contents.get(fh, b'')[offset : offset + size]

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        """One store."""
        self._machine.write(path[1:], data)
        return len(data)

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:
        """Do nothing, as sysfs: `echo > FILE` truncates before it writes."""
        return 0


def serve(
    board: Board | str, mount: str | Path, kernel: Kernel | None = None, faults: Sequence[str] = ()
) -> None:
    """Serve a board below `mount` until SIGINT, SIGTERM or `fusermount3 -u`.

    Args:
        board: the board, or its name.
        mount: an empty folder; made if missing.
        kernel: generation of the kernel whose rules hold; the board's own by default.
        faults: faults as `KIND:GLOB[:NUMBER]`; see `faults`.

    Raises:
        BoardError: there is no such board.
        FaultError: a text does not describe a fault.
        MountError: FUSE is missing or refuses.
    """
    board = load_board(board) if isinstance(board, str) else board
    machine = VirtualMachine(board, kernel, Faults([Fault.parse(f) for f in faults]))
    if reason := fuse_problem():
        raise MountError(errno.ENOSYS, f'{reason}; `--write DIR` makes a plain tree without FUSE')
    import mfusepy

    _prepare(Path(mount))
    try:
        mfusepy.FUSE(
            _Files(machine),
            str(mount),
            foreground=True,
            fsname=f'e4-{board.name}',
            default_permissions=True,
            allow_other=os.getuid() == 0,
            direct_io=True,
            attr_timeout=0,
            entry_timeout=0,
        )
    except RuntimeError as error:
        if error.args[0] == _LOOP_ENDED:
            return
        raise MountError(
            errno.EIO, f'{mount} cannot be mounted (FUSE ends with {error})'
        ) from error


def _prepare(mount: Path) -> None:
    try:
        mount.mkdir(parents=True, exist_ok=True)
        empty = not any(mount.iterdir())
    except OSError as error:
        hint = f'if a board was served there, `fusermount3 -u {mount}` clears it away'
        raise MountError(error.errno, f'{mount}: {error.strerror}; {hint}') from error
    if not empty:
        raise MountError(errno.ENOTEMPTY, f'{mount} is not empty; choose another folder')


@contextlib.contextmanager
def mounted(
    name: str, mount: str | Path, kernel: Kernel | None = None, faults: Sequence[str] = ()
) -> Iterator[Path]:
    """Serve a board from a process of its own within the `with` block.

    Args:
        name: name of the board.
        mount: an empty folder; made if missing.
        kernel: generation of the kernel whose rules hold; the board's own by default.
        faults: faults as `KIND:GLOB[:NUMBER]`; see `faults`.

    Yields:
        The root, ready for `discover`.

    Raises:
        MountError: the process ended before the board was there.
    """
    root = Path(mount)
    command = [sys.executable, '-m', 'e4_ros.cli', 'virtual-board', name, '--mount', str(root)]
    command += ['--kernel', kernel] if kernel else []
    command += [word for fault in faults for word in ('--fault', fault)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + _START_S
        while not (root / MARK).exists():
            if process.poll() is not None or time.monotonic() > deadline:
                process.terminate()
                _, text = process.communicate()
                raise MountError(errno.EIO, text.decode(errors='replace').strip())
            time.sleep(0.02)
        yield root
    finally:
        process.terminate()
        try:
            process.communicate(timeout=_START_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        _clear_away(root)


def _clear_away(root: Path) -> None:
    """Unmount what a killed process left mounted."""
    try:
        root.stat()
    except OSError as error:
        if error.errno == errno.ENOTCONN:
            tool = shutil.which('fusermount3') or 'fusermount'
            subprocess.run([tool, '-u', '-z', str(root)], check=False)


@functools.cache
def mount_problem() -> str | None:
    """Why no board can be mounted on this machine, or None if one can.

    Tested once, by mounting one: a container may show FUSE and yet refuse it.
    """
    if reason := fuse_problem():
        return reason
    with tempfile.TemporaryDirectory(prefix='e4') as folder:
        try:
            with mounted('jetson_nano', Path(folder) / 'root'):
                return None
        except MountError as error:
            return f'mounting is refused: {(error.strerror or str(error)).splitlines()[0]}'
