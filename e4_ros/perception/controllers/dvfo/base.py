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

"""What the three policies have in common: the costs of this board, and what the stream is like."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from e4_ros.energy.board_model import BoardModel
from e4_ros.energy.boards import BoardError
from e4_ros.offload.request import EDGE, LOCAL, ROBOT, Offload
from e4_ros.perception.controller import BoardState, Decision, Observation, Outcome
from e4_ros.perception.controllers.base import DepthOnly
from e4_ros.perception.controllers.context import Context
from e4_ros.perception.controllers.dvfo.choices import Choice, choices_for
from e4_ros.perception.controllers.dvfo.costs import FrameCosts, Price, Rows
from e4_ros.perception.controllers.fixed import costs, described
from e4_ros.profiling.planning.cost_table import CostTable, CostTableError

LEVELS = 10
"""Clocks of a domain that are looked at: the paper has ten levels; longer tables are thinned."""

_PERIOD_S, _LONGEST_S = 0.1, 2.0
_SLOW = 0.02
_KEY_SHARE = 0.5
_LEARNT, _STEP, _SANE = 0.2, 0.02, (0.2, 5.0)  # of how much slower the board is than its table
_WAIT_S = 0.05


class ClocksAndOffload(DepthOnly):
    """Knows what every choice costs at every clock; a policy picks.

    Args:
        context: what runs, and what can be sent of it.
    """

    def __init__(self, context: Context) -> None:
        super().__init__(exits=True)
        self._context = context
        self._known: tuple[object, FrameCosts] | None = None
        self._period_s, self._key_share = _PERIOD_S, _KEY_SHARE
        self._problem = ''
        self._slower = 1.0
        self._raw: tuple[object, CostTable] | None = None
        self.decided: tuple[int, int] | None = None
        self.offloads = 0

    def decide(self, seen: Observation) -> Decision:
        """Clocks and what to send from the next frame on.

        Raises:
            ValueError: nobody described this board, or its weights or deadline make no sense.
        """
        board = seen.board
        tables = {n: t for n, t in board.tables.items() if n in self._context.domains and len(t)}
        if not board.name or not tables:
            self.decided = None
            return Decision(self.thresholds, offload=LOCAL, why='no clocks are known')
        found = self.costs(board)
        price = Price.wished(seen.wishes.weights, seen.wishes.deadline_s)
        choice, point = self.pick(found, seen, price)
        self.decided = choice, point
        offload = sent(found.choices[choice], price)
        self.offloads += offload != LOCAL
        return Decision(
            self.thresholds,
            point=found.point(point),
            offload=offload,
            why=f'{in_words(offload)} is expected to cost least',
            problem=self._problem,
        )

    def pick(self, found: FrameCosts, seen: Observation, price: Price) -> tuple[int, int]:
        """Numbers of the choice and of the point.

        Args:
            found: the costs of this board.
            seen: what is known.
            price: what the parts of a cost weigh.
        """
        raise NotImplementedError

    def observe(self, outcome: Outcome) -> None:
        """Learn how fast frames come, and how many of them need the network."""
        period_s = outcome.period_s
        if period_s is not None and 0 < period_s < _LONGEST_S:
            self._period_s += _SLOW * (period_s - self._period_s)
        self._key_share += _SLOW * (float(self._is_key(outcome)) - self._key_share)
        self._compare(outcome)

    def facts(self) -> dict[str, str]:
        """How often something was sent, of how many cells, and what the stream is taken for."""
        cells = self._known[1].cells if self._known else 0
        return {
            'dvfo.offloads': str(self.offloads),
            'dvfo.cells': str(cells),
            'dvfo.key_share': f'{self._key_share:.2f}',
            'dvfo.slower': f'{self._slower:.2f}',
        }

    def costs(self, board: BoardState) -> FrameCosts:
        """Costs of what may be done on this board now; made anew when its tables change.

        Raises:
            BoardError: nobody described the board.
        """
        tables = tuple((name, tuple(table)) for name, table in board.tables.items())
        here = (board.name, board.power_mode, tables)
        if self._raw is None or self._raw[0] != here:
            table, self._problem = costs(board, self._context)
            self._raw, self._slower = (here, table), 1.0
        key = (here, round(self._slower / _STEP))
        if self._known is None or self._known[0] != key:
            self._known = key, self._make(board, self._raw[1])
        return self._known[1]

    def _compare(self, outcome: Outcome) -> None:
        """How many times as long as the table says the whole network takes here."""
        path = self._context.stream.paths.get('full', ())
        whole = outcome.exit == 'full' and outcome.place == ROBOT and self._raw is not None
        if not whole or not len(path) == len(outcome.segment_s) == len(outcome.points):
            return
        assert self._raw is not None
        table = self._raw[1]
        try:
            said_s = sum(
                float(table.latency_s[row, table.index(point)])
                for row, point in zip(path, outcome.points, strict=True)
            )
        except CostTableError:
            return  # clocks that the table does not know
        ratio = sum(outcome.segment_s) / said_s
        if _SANE[0] < ratio < _SANE[1]:
            self._slower += _LEARNT * (ratio - self._slower)

    def _make(self, board: BoardState, raw: CostTable) -> FrameCosts:
        steps = max(round(self._slower / _STEP), 1)
        table = raw.scaled(np.full(len(raw.segments), steps * _STEP))
        points = _points(table, board)
        waiting_w = np.zeros(len(points))
        try:
            model = BoardModel(described(board))
            if set(table.domains) <= set(model.domains):
                waiting_w = model.waiting_w([table.point(int(p)) for p in points], _WAIT_S)
        except BoardError:
            pass  # its costs were measured, its waits were not
        choices = choices_for(self._context.choices, self._context.stream.model)
        return FrameCosts(table, points, self._context.stream.paths, choices, waiting_w)

    def _is_key(self, outcome: Outcome) -> bool:
        ran = outcome.exit in ('full', 'closer') or outcome.exit not in self._context.stream.paths
        return ran or outcome.place == EDGE or outcome.sent_bytes > 0


def open_rows(found: FrameCosts, seen: Observation) -> Rows:
    """Numbers of the choices that the server offers, the first being to send nothing."""
    if not seen.link.up:
        return np.zeros(1, np.intp)
    return np.array([i for i, c in enumerate(found.choices) if c.open(seen.server)], np.intp)


def sent(choice: Choice, price: Price) -> Offload:
    """What a choice asks for, by the deadline of the moment."""
    if choice.offload == LOCAL:
        return LOCAL
    return replace(choice.offload, deadline_s=price.deadline_s)


def in_words(offload: Offload) -> str:
    """What is sent, for people."""
    if offload == LOCAL:
        return 'the own network'
    if offload.cut:
        return f'{offload.bits} bits at {offload.cut}, then {offload.meanwhile},'
    return f'a JPEG of quality {offload.quality}, then {offload.meanwhile},'


def levels(size: int, wanted: int = LEVELS) -> NDArray[np.intp]:
    """Indices of at most ``wanted`` entries, evenly over a table, first and last among them."""
    return np.unique(np.linspace(0, size - 1, min(size, wanted)).round().astype(np.intp))


def _points(table: CostTable, board: BoardState) -> NDArray[np.intp]:
    """Points that the board may have now, every domain's table thinned to `LEVELS`."""
    chosen = np.ones(len(table.coordinates), bool)
    for domain, (name, axis) in enumerate(zip(table.domains, table.axes_hz, strict=True)):
        offered: Sequence[int] = board.tables.get(name, axis)
        inside = [i for i, hertz in enumerate(axis) if hertz in offered]
        kept = [inside[i] for i in levels(len(inside))]
        chosen &= np.isin(table.coordinates[:, domain], kept)
    return np.flatnonzero(chosen)


def clean(value: float, unknown: float = 0.0) -> float:
    """A figure, or what stands for it where it is no number."""
    return value if math.isfinite(value) else unknown
