"""One operating point for everything: the yardstick of every cleverer controller."""

from __future__ import annotations

from collections.abc import Mapping

from e4_ros.energy.board_model import BoardModel
from e4_ros.energy.boards import BoardError, load_board
from e4_ros.perception.controller import (
    BoardState,
    ControllerError,
    Decision,
    Observation,
    OperatingPoint,
)
from e4_ros.perception.controllers.base import DepthOnly
from e4_ros.perception.controllers.context import Context
from e4_ros.profiling.planning.cost_table import CostTable
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
        table = cost_table(board, self._context)
        paths: Mapping = self._context.stream.paths
        if not self._exits:
            paths = {'full': list(range(len(self._context.stream.works)))}
        shares = (self._context.exit_shares if self._exits else None) or dict.fromkeys(paths, 1.0)
        free = SwitchCost.none(table.domains)
        return table.point(int(best_fixed(make_problem(
            table, paths, shares, deadline_s, free
        )).points[0]))  # fmt: skip


def cost_table(board: BoardState, context: Context) -> CostTable:
    """Modelled costs of the stream's segments at the clocks that the board may have now.

    Raises:
        BoardError: the board is not described.
        ControllerError: the board and the wanted domains have nothing in common.
    """
    try:
        described = load_board(board.name)
    except BoardError as error:
        raise BoardError(f'nothing can be planned here: {error}') from error
    domains = [n for n in context.domains if n in described.domains and n in board.tables]
    if not domains:
        raise ControllerError(
            f'nothing to plan: plan_domains is {list(context.domains)}, and the daemon of '
            f'{board.name} offers {list(board.tables)}'
        )
    stream = context.stream
    model = BoardModel(described)
    return CostTable.from_board(model, stream.works, stream.model, domains, board.tables)
