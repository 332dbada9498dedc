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

"""A simulated workload for a virtual board, with the duration and load of the network.

The board's clocks are files, so no real code runs at them. A repeat lasts as long as the board
model says for the clocks that are set, with jitter and outliers, and the rails carry the load.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from e4_ros.energy.board_model import BoardModel, SegmentWork
from e4_ros.energy.boards import Board, load_board

_LOOK_S = 0.003  # from one look at clocks that governors may change to the next
_SPIN_S = 0.0004  # last part of a repeat, spent spinning: sleep is not that exact


class VirtualWorkload:
    """Segments on a mounted virtual board.

    Args:
        board: the board that is mounted, or its name.
        root: root of the board's files; a plain tree (`write_tree`) has no load to set.
        works: work of each segment.
        model: name of the network.
        clocks: function that reads the clocks, domain → hertz.
        noise: relative standard deviation of a repeat's time and of the load.
        seed: seed of the noise.
    """

    def __init__(
        self,
        board: Board | str,
        root: str | Path,
        works: Sequence[SegmentWork],
        model: str,
        clocks: Callable[[], Mapping[str, int]],
        noise: float = 0.02,
        seed: int = 0,
    ) -> None:
        self.model = model
        self.segments = tuple(work.name for work in works)
        self.devices = tuple(work.device for work in works)
        board = load_board(board) if isinstance(board, str) else board
        self._works, self._model = works, BoardModel(board)
        self._load = Path(root) / 'e4' / 'load'
        self._clocks, self._noise = clocks, noise
        self._rng = np.random.default_rng(seed)

    def run(self, segment: int, seconds: float) -> list[float]:
        """Repeat a segment for about ``seconds``; one repeat in fifty takes three times as long."""
        work = self._works[segment]
        point = {name: hz for name, hz in self._clocks().items() if name in self._model.domains}
        mean_s = self._model.segment_cost(work, point).latency_s
        busy = self._model.busy_shares([work], [point])[0, 0]
        self._carry(busy)
        took: list[float] = []
        end_s = time.perf_counter() + seconds
        while not took or time.perf_counter() < end_s:
            lasts_s = mean_s * max(1 + self._noise * self._rng.standard_normal(), 0.5)
            lasts_s *= 3.0 if self._rng.random() < 0.02 else 1.0
            began_s = time.perf_counter()
            time.sleep(max(lasts_s - _SPIN_S, 0.0))
            while time.perf_counter() - began_s < lasts_s:
                pass
            took.append(time.perf_counter() - began_s)
        return took

    def once(self, segment: int) -> float:
        """Run a segment once, at clocks that may change meanwhile; return its seconds.

        Where governors have the clocks they follow the load that the segment itself brings.
        """
        work = self._works[segment]
        began_s = looked_s = time.perf_counter()
        left = max(1 + self._noise * self._rng.standard_normal(), 0.5)
        carried: dict[str, int] = {}
        while True:
            point = {n: hz for n, hz in self._clocks().items() if n in self._model.domains}
            if point != carried:
                mean_s = self._model.segment_cost(work, point).latency_s
                self._carry(self._model.busy_shares([work], [point])[0, 0])
                carried = point
            now_s = time.perf_counter()
            left -= (now_s - looked_s) / mean_s
            looked_s = now_s
            if left <= 0:
                return now_s - began_s
            time.sleep(min(left * mean_s, _LOOK_S))

    def rest(self) -> None:
        """Take the load away: the board waits."""
        if self._load.is_dir():
            for name in self._model.domains:
                (self._load / name).write_text('0')

    def _carry(self, busy: NDArray[np.float64]) -> None:
        """Set the load of the board's domains."""
        if not self._load.is_dir():
            return
        for name, share in zip(self._model.domains, busy, strict=True):
            noisy = np.clip(share * (1 + self._noise * self._rng.standard_normal()), 0, 1)
            (self._load / name).write_text(f'{noisy:.4f}')
