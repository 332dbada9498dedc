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

"""What a board needs to be played: costs, how busy it looks, what it draws when it waits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from e4_ros.energy.board_model import BoardModel, SegmentWork
from e4_ros.energy.boards import Board
from e4_ros.profiling.planning.cost_table import CostTable, Floats
from e4_ros.profiling.planning.objective import SwitchCost


@dataclass(frozen=True)
class Frame:
    """One frame of a workload.

    Attributes:
        arrival_s: when it arrives, in seconds on the timeline.
        depth: number of segments that it runs where frames may stop early.
        exit: name of the exit that it stops at then.
        longer: how many times as long as the costs say its segments take.
    """

    arrival_s: float
    depth: int
    exit: str = 'full'
    longer: float = 1.0


@dataclass(frozen=True, eq=False)
class Machine:
    """Everything a timeline needs of a board, per segment and point of a grid over its clocks.

    Attributes:
        busy: ``(S, P, D)`` share of a segment's time in which each domain looks busy to a governor:
            for ``cpu`` that of its busiest core, which waits for the engine by spinning.
        waiting_w: power of the waiting board, ``(P,)`` for waits of each of ``wait_lengths_s``.
        wait_lengths_s: from which lengths of a wait on it draws so much, in seconds.
    """

    board: Board
    table: CostTable
    busy: Floats
    waiting_w: Sequence[Floats]
    wait_lengths_s: Sequence[float]
    switch: SwitchCost

    @property
    def idle_w(self) -> Floats:
        """``(P,)`` power of the board in short waits."""
        return self.waiting_w[0]

    def depth(self, wait_s: float) -> int:
        """Index into ``waiting_w`` for a wait of this many seconds."""
        return max(sum(wait_s >= length_s for length_s in self.wait_lengths_s) - 1, 0)

    @classmethod
    def of(
        cls,
        board: Board,
        works: Sequence[SegmentWork],
        model: str,
        domains: Sequence[str] = ('cpu', 'gpu'),
        switch: SwitchCost | None = None,
    ) -> Machine:
        """Ask the board model for everything; ``switch`` replaces the board's own costs."""
        board_model = BoardModel(board)
        table = CostTable.from_board(board_model, works, model, domains)
        points = board_model.points(table.domains)
        columns = [board_model.domains.index(name) for name in table.domains]
        busy = board_model.busy_shares(works, points)[..., columns]
        busy[..., [d for d, name in enumerate(table.domains) if name == 'cpu']] = 1.0
        return cls(
            board,
            table,
            busy,
            [board_model.waiting_w(points, s) for s in board_model.wait_lengths_s],
            board_model.wait_lengths_s,
            switch or SwitchCost.of_board(board, table.domains),
        )

    def top(self) -> tuple[int, ...]:
        """Clock indices of the fastest point."""
        return tuple(size - 1 for size in self.table.shape)
