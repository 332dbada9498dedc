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

"""The state folders of this user's daemons, so that each finds what another, killed, left behind.

A daemon notes its state folder before it touches anything, in a folder whose place depends on the
user alone (not on his environment), and takes the note away when it ends with every clock restored.
Notes of other users are not read: what they name would be believed.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from e4_ros.energy.daemon.safe_folder import open_folder

_log = logging.getLogger(__name__)


def notes_folder() -> Path:
    """Where the notes of this user lie; emptied by a reboot, like the clocks."""
    uid = os.geteuid()
    own = Path('/run') if uid == 0 else Path(f'/run/user/{uid}')
    shared = Path('/run/lock') if os.access('/run/lock', os.W_OK) else Path('/tmp')
    return (own if os.access(own, os.W_OK) else shared) / f'e4-state-folders-{uid}'


def note(folder: Path) -> None:
    """Note a state folder; one that cannot be noted is only logged."""
    try:
        with _opened(make=True) as notes:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(_name(folder), flags, 0o600, dir_fd=notes), 'wb') as file:
                file.write(os.fsencode(folder))
    except OSError as error:
        _log.warning(
            'if this daemon is killed, only one with the same state folder will restore the '
            'clocks: %s',
            error.strerror,
        )


def forget(folder: Path) -> None:
    """Take a note away, if there is one."""
    with contextlib.suppress(OSError), _opened(make=False) as notes:
        os.unlink(_name(folder), dir_fd=notes)


def noted() -> list[Path]:
    """The state folders that were noted."""
    folders = []
    with contextlib.suppress(OSError), _opened(make=False) as notes:
        for name in sorted(os.listdir(notes)):  # noqa: PTH208 - by descriptor
            with contextlib.suppress(OSError):
                found = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=notes)
                with os.fdopen(found, 'rb') as file:
                    folders.append(Path(os.fsdecode(file.read())))
    return folders


@contextlib.contextmanager
def _opened(make: bool) -> Iterator[int]:
    descriptor = open_folder(notes_folder(), make)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _name(folder: Path) -> str:
    return hashlib.sha256(os.fsencode(folder)).hexdigest()[:24]
