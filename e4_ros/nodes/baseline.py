"""What an image would have cost without early exits and clock steps: the full network beside it."""

from __future__ import annotations

import math

import numpy as np

from e4_ros.energy.boards import BoardError, load_board
from e4_ros.evaluation.job import full_energy_j
from e4_ros.evaluation.records import NO_SOURCE, FrameRecord
from e4_ros.vision.engine import EarlyExitEngine


class Baseline:
    """The full network on every n-th image.

    Its joules are modelled at the default clocks of the helper's board, whatever the clocks are
    while it runs; without a board that has a description there are none.

    Args:
        full: An engine of its own, uncut, as somebody without early exits would run it.
        every: 1 for each image.
    """

    def __init__(self, full: EarlyExitEngine, every: int) -> None:
        self._full = full
        self._every = every
        self._board = ''
        self._energy_j = math.nan

    def is_due(self, processed: int) -> bool:
        """Whether the image that was the ``processed``-th is one to compare."""
        return processed % self._every == 0

    def answer(self, frame: np.ndarray, board: str) -> FrameRecord:
        """Run the full network on ``frame``; ``board`` is the helper's, empty without one."""
        result = self._full.process_full(frame)
        if board != self._board:
            self._board, self._energy_j = board, self._modelled_j(board)
        return FrameRecord(
            frame=0,
            stamp_s=0.0,
            result=result,
            segments=[self._full.segments[i].name for i in self._full.paths[result.exit]],
            energy_j=self._energy_j,
            energy_source=NO_SOURCE if math.isnan(self._energy_j) else 'modelled',
        )

    def _modelled_j(self, board: str) -> float:
        try:
            return full_energy_j(load_board(board), self._full)
        except BoardError:
            return math.nan
