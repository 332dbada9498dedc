"""Public names of the rooms: each one is there, and the examples that show them work."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / 'e4_ros'
ROOMS = sorted(
    '.'.join(file.parent.relative_to(PACKAGE.parent).parts)
    for file in PACKAGE.rglob('__init__.py')
    if '__all__' in file.read_text()
)


@pytest.mark.parametrize('room', ROOMS)
def test_every_public_name_is_there(room):
    module = importlib.import_module(room)
    for name in module.__all__:
        assert getattr(module, name) is not None


@pytest.mark.parametrize('room', ROOMS)
def test_the_rooms_example_works(room):
    assert doctest.testmod(importlib.import_module(room)).failed == 0


def test_there_are_such_rooms():
    assert {'e4_ros.energy.client', 'e4_ros.profiling.planning', 'e4_ros.vision.bundle'} <= {*ROOMS}
