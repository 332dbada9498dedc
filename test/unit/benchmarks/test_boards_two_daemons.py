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
