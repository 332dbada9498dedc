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
