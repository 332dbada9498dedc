from __future__ import annotations

import functools
import os
import tempfile
from pathlib import Path

import pytest

from e4_ros.energy.virtual_mount import MountError, mounted, why_not

# Before torch is imported, here or in a process that a test starts: small networks gain nothing
# from a second thread, and on a busy machine they wait for it.
os.environ.setdefault('OMP_NUM_THREADS', '1')


@functools.cache
def _why_no_fuse() -> str | None:
    """Why nothing can be mounted here; found out by mounting something."""
    if reason := why_not():
        return reason
    with tempfile.TemporaryDirectory() as folder:
        try:
            with mounted('jetson_nano', Path(folder) / 'root'):
                return None
        except MountError as error:
            return str(error)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker('fuse') and (reason := _why_no_fuse()):
        pytest.skip(f'no FUSE here: {reason}')
