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

"""What an image would have cost without early exits and clock steps: the full network beside it."""

from __future__ import annotations

import math

import numpy as np

from e4_ros.energy.board_model import BoardModel, Cost, works_of
from e4_ros.energy.boards import BoardError, load_board
from e4_ros.perception.frame_energy import default_cost, waiting_j
from e4_ros.perception.frequency_control import LONGEST_WAIT_S, FrequencyControl, NoControl
from e4_ros.perception.metered_frames import Aside
from e4_ros.perception.records import NO_SOURCE, FrameRecord
from e4_ros.vision.inference.exit_thresholds import FULL
from e4_ros.vision.inference.stream_engine import StreamEngine


class Baseline:
    """The full network on every n-th image.

    Where the daemon measures joules, so are these, at the clocks that perception left: the image,
    and the wait that it leaves of the time since the image before. They are part of no frame's.

    Else they are modelled for the daemon's board, whatever the clocks are while it runs: the image
    at the default clocks, and the wait since the image before at the lowest, where governors go
    when nothing runs. Without a board that has a description there are none.

    Args:
        full: An engine of its own, uncut, as somebody without early exits would run it.
        every: 1 for each image.
    """

    def __init__(self, full: StreamEngine, every: int) -> None:
        self._full = full
        self._every = every
        self._board = ''
        self._model: BoardModel | None = None
        self._alone = Cost(math.nan, math.nan)  # an image, without the wait for it
        self._stamp_s, self._period_s = -math.inf, math.inf

    def is_due(self, processed: int, stamp_s: float) -> bool:
        """Whether the image that was the ``processed``-th is one to compare; to be asked of all."""
        self._period_s, self._stamp_s = stamp_s - self._stamp_s, stamp_s
        return processed % self._every == 0

    def process(
        self, frame: np.ndarray, stamp_s: float, board: str, clocks: FrequencyControl | None = None
    ) -> FrameRecord:
        """Run the full network on an image, and its tracker where it has one.

        Args:
            frame: ``(H, W, 3)`` uint8 RGB.
            stamp_s: its time in seconds.
            board: the daemon's; empty without one.
            clocks: what perception steps, which may measure joules; None without.
        """
        clocks = clocks or NoControl()
        clocks.begin_aside()
        result = self._full.process(frame, stamp_s)
        aside = clocks.end_aside()
        ran = [self._full.segments[i] for i in self._full.paths[result.exit]]
        if board != self._board:
            self._board, self._model = board, _model_of(board)
            if self._model is not None:
                self._alone = default_cost(
                    self._model, works_of(self._full.segments), self._full.paths[FULL]
                )
        energy_j, source = self._energy(aside)
        return FrameRecord(
            frame=0,
            stamp_s=0.0,
            result=result,
            segments=[segment.name for segment in ran],
            devices=[segment.device for segment in ran],
            energy_j=energy_j,
            energy_source=source,
        )

    def _energy(self, aside: Aside) -> tuple[float, str]:
        live = 0 < self._period_s <= LONGEST_WAIT_S
        if aside.source == 'measured':
            longest_s = max(self._period_s, aside.seconds) if live else aside.seconds
            return aside.energy_j + aside.waiting_w * longest_s, 'measured'
        if self._model is None:
            return math.nan, NO_SOURCE
        wait_s = self._period_s - self._alone.latency_s if live else 0.0
        return self._alone.energy_j + waiting_j(self._model, {}, wait_s), 'modelled'


def _model_of(board: str) -> BoardModel | None:
    try:
        return BoardModel(load_board(board))
    except BoardError:
        return None
