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

"""A restorer in one file: what the unit runs after the daemon, whatever ended it.

It is a zip archive that the system's own Python runs. It holds the few modules that read an undo
log and write what it says, so it needs neither the workspace nor its environment, which may lie on
a disk that is gone or be half updated when the daemon dies.
"""

from __future__ import annotations

import logging
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

from e4_ros.energy.daemon.board_lock import BoardLock
from e4_ros.energy.daemon.recovery import recover
from e4_ros.energy.daemon.undo_log import UndoLog, UndoLogError
from e4_ros.files import replacing

_PACKAGES = ('', 'energy', 'energy/daemon')
_MODULES = (
    'files.py',
    'energy/errors.py',
    'energy/nvml.py',
    'energy/domains/*.py',
    'energy/daemon/board_lock.py',
    'energy/daemon/recovery.py',
    'energy/daemon/restorer.py',
    'energy/daemon/safe_folder.py',
    'energy/daemon/state_folders.py',
    'energy/daemon/undo_*.py',
)
_MAIN = 'import sys\nfrom e4_ros.energy.daemon.restorer import main\nsys.exit(main(sys.argv[1:]))\n'


def write_restorer(path: str | Path) -> None:
    """Write the restorer: ``python3 FILE FOLDER`` restores what the undo log in a folder holds.

    Raises:
        OSError: the file cannot be written.
    """
    import typing_extensions

    package = Path(__file__).parents[2]
    with replacing(path) as scratch:
        with scratch.open('wb') as file:
            file.write(b'#!/usr/bin/env python3\n')
        with zipfile.ZipFile(scratch, 'a', zipfile.ZIP_DEFLATED) as archive:
            archive.writestr('__main__.py', _MAIN)
            archive.write(typing_extensions.__file__, 'typing_extensions.py')
            for folder in _PACKAGES:  # without what the package's own would import
                archive.writestr(str(Path('e4_ros', folder, '__init__.py')), '')
            for pattern in _MODULES:
                for module in sorted(package.glob(pattern)):
                    archive.write(module, Path('e4_ros') / module.relative_to(package))
        scratch.chmod(0o755)


def main(arguments: Sequence[str]) -> int:
    """Restore what the undo log in the folder given holds; return the exit status."""
    logging.basicConfig(level=logging.INFO, format='%(message)s')
    if len(arguments) != 1:
        sys.stderr.write('usage: restore-clocks FOLDER, which holds the undo log\n')
        return 2
    try:
        undo_log = UndoLog(arguments[0], make=False)
        undo_log.lock()
        record = undo_log.read()
        if record is None:
            return 0
        with BoardLock(record.root):
            problems = recover(undo_log, record.board, record.root)
    except FileNotFoundError:
        return 0  # no daemon has been here
    except (OSError, UndoLogError) as error:
        problems = [str(getattr(error, 'strerror', None) or error)]
    for problem in problems:
        sys.stderr.write(f'not restored: {problem}\n')
    return 1 if problems else 0
