from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import pytest

from e4_ros.energy.virtual_mount import MountError, mounted, why_not


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
