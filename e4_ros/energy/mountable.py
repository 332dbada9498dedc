"""Whether virtual boards can be mounted here: a container may show FUSE and yet refuse it."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

from e4_ros.energy.virtual_mount import MountError, mounted, why_not


@functools.cache
def why_no_mounts() -> str | None:
    """Why no board can be mounted, or None if it can; found out once, by mounting one."""
    if reason := why_not():
        return reason
    with tempfile.TemporaryDirectory(prefix='e4') as folder:
        try:
            with mounted('jetson_nano', Path(folder) / 'root'):
                return None
        except MountError as error:
            return f'mounting is refused: {(error.strerror or str(error)).splitlines()[0]}'
