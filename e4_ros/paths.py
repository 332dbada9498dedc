"""Where the package keeps its files, in a source tree, a colcon install and a pip install alike."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


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

    ``E4_CACHE`` overrides the default ``$XDG_CACHE_HOME/e4_ros``.
    """
    default = Path(os.environ.get('XDG_CACHE_HOME', Path.home() / '.cache')) / 'e4_ros'
    path = Path(os.environ.get('E4_CACHE', default))
    path.mkdir(parents=True, exist_ok=True)
    return path
