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

"""The power of a board's loads at the clocks that it has, by its model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from e4_ros.energy.board_model import BoardModel
from e4_ros.energy.boards import Board
from e4_ros.energy.domains.domain import Domain
from e4_ros.energy.meters.sources import SampledRail


def modelled_loads(
    board: Board, domains: Sequence[Domain], load: Callable[[], Mapping[str, float]] | None = None
) -> list[SampledRail]:
    """Each load of a board as a rail; sampled in this order, all belong to the same clocks.

    Args:
        board: board with the power model.
        domains: domains whose clocks are read; those that the board lacks are ignored.
        load: function that returns the busy share of each domain, 0 to 1; by default that of a
            board that infers without pause, one CPU waiting for the engine.
    """
    power = _ModelPower(board, domains, load or (lambda: _busy_load(board)))
    labels = [*board.domains, *board.other_loads_w]
    return [SampledRail(label, partial(power.watts, label)) for label in labels]


def _busy_load(board: Board) -> dict[str, float]:
    return {'emc': 0.5, 'cpu': 1 / board.domains['cpu'].cores} | {board.engine: 1.0}


class _ModelPower:
    """Power of every load of a board; a request for the first one reads the clocks again."""

    def __init__(
        self, board: Board, domains: Sequence[Domain], load: Callable[[], Mapping[str, float]]
    ) -> None:
        self._model = BoardModel(board)
        self._domains = [domain for domain in domains if domain.name in board.domains]
        self._load = load
        self._first = next(iter(board.domains))
        self._watts: dict[str, float] = {}

    def watts(self, label: str) -> float:
        """Power of one load in watts."""
        if label == self._first or not self._watts:
            clocks = {domain.name: domain.current_hz() for domain in self._domains}
            point = {name: hz for name, hz in clocks.items() if hz > 0}  # 0: power-gated
            self._watts = self._model.power_w(point, self._load())
        return self._watts[label]
