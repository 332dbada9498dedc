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

"""One operating point for everything: the yardstick of every cleverer controller."""

from __future__ import annotations

from collections.abc import Mapping

from e4_ros.energy.board_model import BoardModel
from e4_ros.energy.boards import Board, BoardError, load_board
from e4_ros.perception.controller import (
    BoardState,
    ControllerError,
    Decision,
    Observation,
    OperatingPoint,
)
from e4_ros.perception.controllers.base import DepthOnly
from e4_ros.perception.controllers.context import Context
from e4_ros.profiling.planning.cost_table import CostTable, CostTableError
from e4_ros.profiling.planning.identity import Identity
from e4_ros.profiling.planning.objective import SwitchCost, make_problem
from e4_ros.profiling.planning.search import best_fixed


class Fixed(DepthOnly):
    """A given operating point, as far as the board's tables allow it.

    Args:
        point: domain → hertz.
        exits: whether frames may stop early.
    """

    def __init__(self, point: OperatingPoint, exits: bool) -> None:
        super().__init__(exits)
        self._point = dict(point)

    def decide(self, seen: Observation) -> Decision:
        """The point.

        Raises:
            ControllerError: the board lacks a domain, or a clock is not in its table.
        """
        tables = seen.board.tables
        if not tables:
            return Decision(self.thresholds)
        for name, hertz in self._point.items():
            if name not in tables:
                raise ControllerError(f'{seen.board.name} has no {name}, only {", ".join(tables)}')
            if hertz not in tables[name]:
                allowed = ', '.join(map(str, tables[name]))
                raise ControllerError(f'{name} has no clock {hertz} Hz now, only {allowed}')
        return Decision(self.thresholds, point=self._point, why='the point that was given')


class Edge(DepthOnly):
    """The top or the bottom of what each domain may have now.

    Args:
        context: names the domains.
        top: whether it is the top.
        exits: whether frames may stop early.
    """

    def __init__(self, context: Context, top: bool, exits: bool) -> None:
        super().__init__(exits)
        self._domains, self._at = context.domains, -1 if top else 0

    def decide(self, seen: Observation) -> Decision:
        """The point, within the limits of the moment."""
        tables = {n: seen.board.tables[n] for n in self._domains if n in seen.board.tables}
        point = {name: table[self._at] for name, table in tables.items() if len(table)}
        if not point:
            return Decision(self.thresholds)
        why = 'the highest clocks' if self._at else 'the lowest clocks'
        return Decision(self.thresholds, point=point, why=why)


class BestFixed(DepthOnly):
    """The one point with the least modelled energy a frame that meets the deadline.

    Args:
        context: what runs.
        exits: whether frames may stop early; each exit then counts as often as any other, unless
            ``context`` knows better.
    """

    def __init__(self, context: Context, exits: bool) -> None:
        super().__init__(exits)
        self._context, self._exits = context, exits
        self._found: tuple[object, OperatingPoint] | None = None

    def decide(self, seen: Observation) -> Decision:
        """The point; searched anew when limits or deadline change.

        Raises:
            ValueError: the board is not described, or nothing meets the deadline.
        """
        board = seen.board
        if not board.tables:
            return Decision(self.thresholds)
        tables = {name: tuple(table) for name, table in board.tables.items()}
        key = (board.name, tables, seen.wishes.deadline_s)
        if self._found is None or self._found[0] != key:
            self._found = key, self._search(board, seen.wishes.deadline_s)
        return Decision(self.thresholds, point=self._found[1], why='the best fixed point')

    def check(self, seen: Observation) -> None:
        """Raise ValueError where no point meets the deadline."""
        if seen.board.tables:
            self._search(seen.board, seen.wishes.deadline_s)

    def _search(self, board: BoardState, deadline_s: float) -> OperatingPoint:
        table, _ = costs(board, self._context)
        paths: Mapping = self._context.stream.paths
        if not self._exits:
            paths = {'full': list(range(len(self._context.stream.works)))}
        shares = (self._context.exit_shares if self._exits else None) or dict.fromkeys(paths, 1.0)
        free = SwitchCost.none(table.domains)
        return table.point(int(best_fixed(make_problem(
            table, paths, shares, deadline_s, free
        )).points[0]))  # fmt: skip


def costs(board: BoardState, context: Context) -> tuple[CostTable, str]:
    """Costs of the stream's segments: as they were measured, else as they are modelled.

    Returns:
        The costs, and why the measured table does not count; empty where it does or there is none.

    Raises:
        BoardError: the board is not described.
        ControllerError: the board and the wanted domains have nothing in common.
    """
    table, stream, why = context.table, context.stream, context.table_problem
    if table is not None:
        try:
            table.check_for(
                stream.model,
                [work.name for work in stream.works],
                [work.device for work in stream.works],
            )
            table.check_here(Identity(board.name, board.power_mode, context.bundle))
            table.check_clocks(board.tables)
            return table, ''
        except CostTableError as error:
            why = f"table_file has no effect, the board's model is used: {error}"
    return _modelled(board, context), why


def described(board: BoardState) -> Board:
    """What is known of a board.

    Raises:
        BoardError: nothing is.
    """
    return load_board(board.name) if board.described is None else board.described


def _modelled(board: BoardState, context: Context) -> CostTable:
    try:
        found = described(board)
    except BoardError as error:
        raise BoardError(f'nothing can be planned here: {error}') from error
    domains = [n for n in context.domains if n in found.domains and n in board.tables]
    if not domains:
        raise ControllerError(
            f'nothing to plan: plan_domains is {list(context.domains)}, and the daemon of '
            f'{board.name} offers {list(board.tables)}'
        )
    stream = context.stream
    model = BoardModel(found)
    return CostTable.from_board(model, stream.works, stream.model, domains, board.tables)
