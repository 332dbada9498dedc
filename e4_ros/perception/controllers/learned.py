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

"""Learning governors as controllers: a trained network moves the clocks it was trained to move.

The network itself is trained in the simulator (`evaluation.simulation.learned`), which also says
what it is paid for. Here is what it sees, and what its actions mean; numpy is enough for both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from e4_ros.perception.controller import BoardState, Decision, Observation, OperatingPoint, Outcome
from e4_ros.perception.controllers.base import DepthOnly
from e4_ros.perception.controllers.context import Learnt, State


def actions(domains: Sequence[str]) -> int:
    """How many actions there are: each of the clocks down, same or up."""
    return int(3 ** len(domains))


class Learned(DepthOnly):
    """A trained network, asked once a frame; it begins at the top, as after boot.

    Args:
        learnt: the network and the scales of its state.
        exits: whether frames may stop early.
    """

    def __init__(self, learnt: Learnt, exits: bool) -> None:
        super().__init__(exits)
        self._learnt = learnt
        self._clocks: dict[str, int] = {}
        self._latency_s = 0.0

    def decide(self, seen: Observation) -> Decision:
        """Ask the network, once there has been a frame to look at."""
        tables = {name: table for name, table in seen.board.tables.items() if len(table)}
        if not tables:
            return Decision(self.thresholds)
        top = {name: len(table) - 1 for name, table in tables.items()}
        moves = [name for name in self._learnt.domains if name in tables]
        if list(self._clocks) != moves:
            self._clocks = {name: top[name] for name in moves}
        elif seen.last is not None and seen.board.window_s > 0:
            state = state_of(seen.board, self._latency_s, self._learnt)
            if np.isfinite(state).all():
                action = self._learnt.predict(state)
                self._clocks = moved(tables, self._clocks, action, self._learnt.domains)
        point = {name: int(tables[name][i]) for name, i in (top | self._clocks).items()}
        return Decision(self.thresholds, point=point, why='as the network learned')

    def observe(self, outcome: Outcome) -> None:
        """Remember how long the frame took."""
        self._latency_s = outcome.latency_s


def moved(
    tables: Mapping[str, Sequence[int]],
    clocks: Mapping[str, int],
    action: int,
    domains: Sequence[str],
) -> dict[str, int]:
    """Clocks after an action; a move spans an eighth of the table.

    Args:
        tables: domain → its clocks, ascending.
        clocks: domain → index of its clock now, for those that move.
        action: number of the action; the last domain is its lowest digit to the base of three.
        domains: those that the action is about.

    Returns:
        Domain → index of its clock then.
    """
    digits = [action // 3**place % 3 for place in reversed(range(len(domains)))]
    steps = {name: digit - 1 for name, digit in zip(domains, digits, strict=True)}
    return {
        name: int(
            np.clip(clock + steps[name] * max(len(tables[name]) // 8, 1), 0, len(tables[name]) - 1)
        )
        for name, clock in clocks.items()
    }


def state_of(board: BoardState, latency_s: float, learnt: Learnt) -> State:
    """The state: clock and load of each domain, power, heat and latency, all about 0 to 1."""
    clocks = [_height(board.tables.get(name, ()), board.point, name) for name in learnt.domains]
    busy = [board.invariant_utilisation.get(name, 0.0) for name in learnt.domains]
    hot = (board.temperature_c - 25) / (learnt.throttle_c - 25)
    rate = min(latency_s / learnt.deadline_s, 2.0)
    return np.array([*clocks, board.power_w / learnt.top_w, *busy, hot, rate], np.float32)


def _height(table: Sequence[int], point: OperatingPoint, name: str) -> float:
    """Where a clock stands in its table, 0 to 1."""
    if not len(table):
        return 0.0
    return float(np.searchsorted(table, point.get(name, table[-1]))) / max(len(table) - 1, 1)
