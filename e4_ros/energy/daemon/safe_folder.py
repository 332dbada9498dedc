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

"""Folders that nobody else can swap: every parent is checked, and no symbolic link is followed.

A folder in a place that others may write, as ``/tmp/e4-0`` was, can be replaced by a link between
a check of its path and its use. Here each folder on the way is opened within the one before it,
checked through its descriptor, and all further work goes through the last descriptor.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
import stat
from pathlib import Path

_WAY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_END = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class UnsafeFolder(OSError):  # noqa: N818
    """Others could swap the folder or what is in it; the message says which, and what to do."""


def open_folder(path: str | Path, make: bool = True, shared: bool = False) -> int:
    """Open a folder that only root and this user can change.

    Every folder on the way must belong to one of the two and be writable by its owner alone. On
    the way one is allowed as well in which nobody can touch what is another's (sticky, as
    ``/tmp``).

    Args:
        path: the folder.
        make: whether to make what is missing, for this user alone; for everybody to pass through
            where root makes it, because clients of its group must reach the socket.
        shared: whether the folder itself may be a sticky one.

    Returns:
        A descriptor, to be closed by the caller.

    Raises:
        UnsafeFolder: somebody else could swap the folder, or it is a symbolic link.
        OSError: it is missing or cannot be made; the message names it.
    """
    parts = Path(os.path.abspath(path)).parts  # noqa: PTH100 - resolve() would follow links
    descriptor = os.open(parts[0], _WAY)
    try:
        for depth in range(1, len(parts) + 1):
            last = depth == len(parts)
            here = Path(*parts[:depth])
            _check(descriptor, here, sticky=not last or shared)
            if not last:
                flags = _END if depth == len(parts) - 1 else _WAY
                inner = _enter(descriptor, here / parts[depth], flags, make)
                os.close(descriptor)
                descriptor = inner
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _enter(parent: int, path: Path, flags: int, make: bool) -> int:
    try:
        if make:
            with contextlib.suppress(FileExistsError):
                os.mkdir(path.name, 0o755 if os.geteuid() == 0 else 0o700, dir_fd=parent)
        return os.open(path.name, flags, dir_fd=parent)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise UnsafeFolder(
                error.errno,
                f'{path} is no folder but a symbolic link or a file; give the folder itself',
            ) from None
        raise OSError(error.errno, f'{path}: {error.strerror}') from error


def _check(descriptor: int, path: Path, sticky: bool) -> None:
    info = os.fstat(descriptor)
    if info.st_uid not in (0, os.geteuid()):
        owner = user_name(info.st_uid)
        raise UnsafeFolder(
            errno.EPERM,
            f'{path} belongs to {owner}, who could swap what is in it; do this as {owner} '
            f'(`sudo -u {owner} ...`), or choose a folder that only you may write',
        )
    if info.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not (
        sticky and info.st_mode & stat.S_ISVTX
    ):
        raise UnsafeFolder(
            errno.EPERM,
            f'{path} may be written by others, who could swap what is in it; choose a folder that '
            f'only you may write, or close it: `chmod go-w {path}`',
        )


def user_name(uid: int) -> str:
    """Name of a user, for people; the number where there is no name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f'user {uid}'
