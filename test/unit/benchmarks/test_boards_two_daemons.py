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

"""Daemons from different folders that want one board, as `e4 bench boards` tries them."""

from __future__ import annotations

import random

import pytest

from e4_ros.benchmarks.boards.two_daemons import BoardTrial
from e4_ros.energy.daemon import board_lock
from e4_ros.energy.virtual.board import write_tree


@pytest.mark.parametrize('locked', [True, False])
def test_daemons_that_are_killed_leave_the_board_as_it_was(tmp_path, monkeypatch, locked):
    if not locked:
        monkeypatch.setattr(board_lock.BoardLock, 'lock', lambda self: None)
    root = write_tree('jetson_orin_nano', tmp_path / 'root')
    trial = BoardTrial(random.Random(3), root, tmp_path / 'states')
    lost = trial.run(turns=1)
    assert (lost == '' and trial.both == 0) == locked
