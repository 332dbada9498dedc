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

"""Reading and writing the kernel's attribute files, with errors that say what to do."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from pathlib import Path

from e4_ros.energy.errors import Check, DeviceGone, DomainError, NotPermitted, Write, WriteRefused

_PAGE = os.sysconf('SC_PAGE_SIZE')
_PADDED = 16
_NO_CLOCK = 2**50  # also in kHz far above what anything runs at
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}
_GONE = {errno.ENOENT, errno.ENODEV, errno.ENXIO}


def explain(
    error: OSError, path: Path, doing: str = 'cannot be read', refused: bool = False
) -> DomainError:
    """The `DomainError` for an `OSError`.

    Args:
        error: the error of the system call.
        path: the attribute file.
        doing: what failed, for the message.
        refused: whether it was a write, which the kernel may refuse.
    """
    reason = f'{path} {doing}: {error.strerror or error}'
    number = error.errno or errno.EIO
    if number in _DENIED:
        return NotPermitted(number, f'{reason}; run as root or install the udev rules and join e4')
    if number in _GONE:
        return DeviceGone(number, f'{reason}; the device has disappeared')
    return (WriteRefused if refused else DomainError)(number, reason)


def read_text(path: Path) -> str:
    """Content of an attribute file without the white space (and NULs) around it."""
    try:
        return path.read_bytes().strip(b'\0\n\t ').decode('ascii', 'replace')
    except OSError as error:
        raise explain(error, path) from error


def parse_int(text: str | bytes, path: Path) -> int:
    """First number of an attribute's text."""
    try:
        return int(text.split(None, 1)[0])
    except (IndexError, ValueError):
        raise DomainError(errno.EBADMSG, f'{path} holds {text!r} where a number belongs') from None


def read_int(path: Path) -> int:
    """Content of an attribute file that holds one number."""
    return parse_int(read_text(path), path)


def read_clock(path: Path) -> int:
    """Content of an attribute file that holds a frequency, in whatever unit.

    Raises:
        DomainError: it holds none: a negative number, or one beyond all clocks.
    """
    value = read_int(path)
    if not 0 <= value < _NO_CLOCK:
        raise DomainError(errno.EBADMSG, f'{path} holds {value} where a frequency belongs')
    return value


def read_clocks(path: Path) -> tuple[int, ...]:
    """Content of an attribute file that lists frequencies: ascending, each once, without 0."""
    found = {parse_int(word, path) for word in read_text(path).split()}
    return tuple(sorted(value for value in found if 0 < value < _NO_CLOCK))


def relative(path: Path, root: Path) -> str:
    """Name of `path` in a snapshot: below the root, without a leading slash."""
    return path.relative_to(root).as_posix()


def unwritable(paths: Iterable[Path]) -> list[Path]:
    """The files among `paths` that this process may not write."""
    return [path for path in paths if not os.access(path, os.W_OK, effective_ids=True)]


class KernelFile:
    """One attribute file kept open, so that a write is a single system call.

    Args:
        path: path of the file; opened for reading and writing, or only for writing where the
            kernel allows no more (mode 0200).
        readonly: whether to open it only for reading, as a sensor is.
    """

    __slots__ = ('_fd', '_ordinary', 'path')

    def __init__(self, path: Path, readonly: bool = False) -> None:
        self.path = path
        self._fd = -1
        try:
            try:
                self._fd = os.open(path, (os.O_RDONLY if readonly else os.O_RDWR) | os.O_CLOEXEC)
            except PermissionError:
                if readonly:
                    raise
                self._fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
            size = os.fstat(self._fd).st_size
        except OSError as error:
            self.close()
            raise explain(error, path, 'cannot be opened') from error
        # sysfs gives every attribute the size of a page, debugfs zero. Any other size is an
        # ordinary file of a simulated tree, where a shorter text would leave a longer one's tail.
        self._ordinary = 0 < size < _PAGE

    def write(self, text: bytes) -> None:
        """Write the whole text.

        Raises:
            WriteRefused: the kernel refused; the attribute is as before.
            NotPermitted: the kernel refuses this user.
            DeviceGone: the device has disappeared.
        """
        try:
            os.pwrite(self._fd, text, 0)
            if self._ordinary:
                os.ftruncate(self._fd, len(text))
        except OSError as error:
            doing = f'does not take {text.decode().strip()!r}'
            raise explain(error, self.path, doing, refused=True) from error

    def write_of(self, text: bytes) -> Write:
        """Descriptor and text with which one bare `os.pwrite` does the same as `write`."""
        return self._fd, text.ljust(_PADDED, b'\n') if self._ordinary else text

    def check_of(self, value: int, slack: int) -> Check:
        """Descriptor, number and rounding with which one bare `os.pread` sees others' writes."""
        return self._fd, value, slack

    def read_int(self) -> int:
        """Read the attribute's number."""
        try:
            return int(os.pread(self._fd, 32, 0))
        except OSError as error:
            raise explain(error, self.path) from error
        except ValueError:
            return parse_int(os.pread(self._fd, 32, 0), self.path)

    def close(self) -> None:
        """Close the descriptor; may be called twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __del__(self) -> None:
        self.close()


class KernelFiles:
    """The attribute files that one domain keeps open.

    Writing to a file that is not among them opens it for that moment, so that restoring works with
    and without a lease.
    """

    def __init__(self) -> None:
        self._open: dict[Path, KernelFile] = {}

    def keep(self, path: Path, readonly: bool = False) -> KernelFile:
        """Open a file (once) and keep it."""
        if path not in self._open:
            self._open[path] = KernelFile(path, readonly)
        return self._open[path]

    def read_int(self, path: Path) -> int:
        """Read a file's number, through the kept descriptor where there is one."""
        return self._open[path].read_int() if path in self._open else read_int(path)

    def write(self, path: Path, text: str) -> None:
        """Write one line, through the kept descriptor where there is one."""
        data = f'{text}\n'.encode()
        if path in self._open:
            self._open[path].write(data)
            return
        file = KernelFile(path)
        try:
            file.write(data)
        finally:
            file.close()

    def close(self) -> None:
        """Close every kept file."""
        for file in self._open.values():
            file.close()
        self._open.clear()
