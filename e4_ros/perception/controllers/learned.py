"""Learning governors as controllers: a trained network moves the CPU's and the GPU's clock.

The network itself is trained in the simulator (`evaluation.simulation.learned`), which also says
what it is paid for. Here is what it sees, and what its actions mean; numpy is enough for both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from e4_ros.perception.controller import BoardState, Decision, Observation, OperatingPoint, Outcome
from e4_ros.perception.controllers.base import DepthOnly
from e4_ros.perception.controllers.context import Learnt, State

CLOCKED = ('cpu', 'gpu')  # the others stay at their tops
ACTIONS = 9  # each of the two clocks down, same or up


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
        if self._clocks.keys() != {n for n in CLOCKED if n in tables}:
            self._clocks = {name: top[name] for name in CLOCKED if name in tables}
        elif seen.last is not None and seen.board.window_s > 0:
            state = state_of(seen.board, self._latency_s, self._learnt)
            if np.isfinite(state).all():
                self._clocks = moved(tables, self._clocks, self._learnt.predict(state))
        point = {name: int(tables[name][i]) for name, i in (top | self._clocks).items()}
        return Decision(self.thresholds, point=point, why='as the network learned')

    def observe(self, outcome: Outcome) -> None:
        """Remember how long the frame took."""
        self._latency_s = outcome.latency_s


def moved(
    tables: Mapping[str, Sequence[int]], clocks: Mapping[str, int], action: int
) -> dict[str, int]:
    """Clocks after one of nine actions; a move spans an eighth of the table.

    Args:
        tables: domain → its clocks, ascending.
        clocks: domain → index of its clock now, for the CPU and the GPU.
        action: number of the action, 0 to 8.

    Returns:
        Domain → index of its clock then.
    """
    steps = dict(zip(CLOCKED, (action // 3 - 1, action % 3 - 1), strict=True))
    return {
        name: int(
            np.clip(clock + steps[name] * max(len(tables[name]) // 8, 1), 0, len(tables[name]) - 1)
        )
        for name, clock in clocks.items()
    }


def state_of(board: BoardState, latency_s: float, learnt: Learnt) -> State:
    """The seven numbers of the state, ``(7,)``, scaled to about 0 to 1."""
    clocks = [_height(board.tables.get(name, ()), board.point, name) for name in CLOCKED]
    busy = [board.invariant_utilisation.get(name, 0.0) for name in CLOCKED]
    hot = (board.temperature_c - 25) / (learnt.throttle_c - 25)
    rate = min(latency_s / learnt.deadline_s, 2.0)
    return np.array([*clocks, board.power_w / learnt.top_w, *busy, hot, rate], np.float32)


def _height(table: Sequence[int], point: OperatingPoint, name: str) -> float:
    """Where a clock stands in its table, 0 to 1."""
    if not len(table):
        return 0.0
    return float(np.searchsorted(table, point.get(name, table[-1]))) / max(len(table) - 1, 1)
