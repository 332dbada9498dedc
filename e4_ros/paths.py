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

"""Where the package keeps its files, in a source tree, a colcon install and a pip install alike."""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

_log = logging.getLogger(__name__)
_PACKAGE = Path(__file__).resolve().parent
_temporary: set[str] = set()


def share_dir() -> Path:
    """Folder that holds ``config/`` and ``launch/``.

    A checkout is asked first (a symlinked colcon install resolves to it), then every prefix of
    ``AMENT_PREFIX_PATH``, then this interpreter's prefix (``pip install``).

    Raises:
        FileNotFoundError: no candidate holds a ``config`` folder.
    """
    prefixes = [Path(p) for p in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep) if p]
    shares = [prefix / 'share' / 'e4_ros' for prefix in (*prefixes, Path(sys.prefix))]
    for candidate in (_PACKAGE.parent, *shares):
        if (candidate / 'config' / 'boards').is_dir():
            return candidate
    raise FileNotFoundError(
        'the config folder of e4_ros is in none of: '
        + ', '.join(str(c) for c in (_PACKAGE.parent, *shares))
    )


def config_dir() -> Path:
    """Folder with ``boards/``, ``models/`` and the default node parameters."""
    return share_dir() / 'config'


def weights_dir() -> Path:
    """Folder with the network weights that ship inside the Python package."""
    return _PACKAGE / 'weights'


def cache_dir() -> Path:
    """Folder for what can be made again (exported stages, unpacked videos); created if missing.

    ``E4_CACHE`` overrides the default ``$XDG_CACHE_HOME/e4_ros``. Where that cannot be written, as
    in a container with a read-only root, it is a temporary folder that ends with the process; a
    warning says so once.
    """
    return _writable('E4_CACHE', lambda: _xdg('CACHE', '.cache') / 'e4_ros', 'the cache')


def state_dir() -> Path:
    """Folder for what a robot gathers and would miss (rings of key frames); created if missing.

    ``E4_STATE`` overrides the default ``$XDG_STATE_HOME/e4_ros``. Where that cannot be written it
    is as with `cache_dir`.
    """
    return _writable('E4_STATE', lambda: _xdg('STATE', '.local/state') / 'e4_ros', 'the state')


def ensure_ros_log_dir() -> Path:
    """Give ROS a temporary folder for its logs where it could not write any: it would not start.

    Returns:
        Where its logs go.
    """
    return _writable('ROS_LOG_DIR', _default_ros_log_dir, 'the logs of ROS')


def _default_ros_log_dir() -> Path:
    home = os.environ.get('ROS_HOME')
    return Path(home or Path.home() / '.ros') / 'log'


def writable_folders() -> dict[str, tuple[Path, bool]]:
    """Folders that are written without being asked for, by the variables that name them.

    Returns:
        Variable → folder, and whether it stays when this process ends.
    """
    folders = {
        'E4_CACHE': cache_dir(),
        'E4_STATE': state_dir(),
        'ROS_LOG_DIR': ensure_ros_log_dir(),
    }
    return {name: (path, name not in _temporary) for name, path in folders.items()}


def _xdg(kind: str, default: str) -> Path:
    given = os.environ.get(f'XDG_{kind}_HOME')
    return Path(given) if given else Path.home() / default


def _writable(variable: str, default: Callable[[], Path], what: str) -> Path:
    """The folder that ``variable`` names, else the default, else a temporary one.

    A temporary one is put into the variable, so that it is made once and child processes share it.
    """
    try:
        path = Path(os.environ.get(variable) or default())
        path.mkdir(parents=True, exist_ok=True)
        # It may exist on a file system that is read-only, for root as well.
        tempfile.TemporaryFile(dir=path).close()
    except (OSError, RuntimeError) as error:  # RuntimeError: nobody knows the home of this user
        path = Path(tempfile.mkdtemp(prefix='e4-'))
        atexit.register(shutil.rmtree, path, ignore_errors=True)
        os.environ[variable] = str(path)
        _temporary.add(variable)
        _log.warning(
            '%s cannot be written (%s): using %s until this process ends; '
            'set %s to a folder that can be kept',
            what,
            error,
            path,
            variable,
        )
    return path
