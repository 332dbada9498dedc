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

"""E4: calibrated exits, and a frequency plan that follows the stream.

It begins with the user's plan or one made on the board's model. When the exits drift, the deadline
or the limits change, or clocks are held down by heat or a power mode, it plans again: milliseconds,
beside the frames. The user's own plan gives way to limits, and comes back with them; and, where a
deadline is set, to frames that keep coming late.

How long the segments really took corrects what a plan counts on: see `profiling.planning.feedback`.
"""

from __future__ import annotations

from collections.abc import Mapping

from e4_ros.energy.board_model import BoardModel
from e4_ros.energy.boards import Board, BoardError
from e4_ros.energy.plan import FrequencyPlan
from e4_ros.perception.active_plan import deepest_points, limits_of, within
from e4_ros.perception.controller import (
    BoardState,
    Decision,
    Observation,
    OperatingPoint,
    Outcome,
    Wishes,
)
from e4_ros.perception.controllers.base import DepthOnly
from e4_ros.perception.controllers.context import Context
from e4_ros.perception.controllers.fixed import costs, described
from e4_ros.profiling.planning.ceiling import Ceiling
from e4_ros.profiling.planning.feedback import Feedback
from e4_ros.profiling.planning.objective import SwitchCost
from e4_ros.profiling.planning.replan import Replanner

_GUESSES = (
    '; nobody described this board, so its speed and joules are guesses: `e4 profile --board here` '
    'measures a table, and `table_file` uses it'
)
_SETTLED_S = 0.02
"""A pause after which the clocks of a frame's first segment are in effect."""


class E4(DepthOnly):
    """Plans the clocks of each segment, and plans again where that pays.

    Args:
        context: what runs, and what a new plan must save.
        exits: whether frames may stop early.
    """

    def __init__(self, context: Context, exits: bool = True) -> None:
        super().__init__(exits)
        self._context = context
        self._board = ''
        self._shares = context.exit_shares
        self._limits: dict[str, tuple[int, int]] = {}
        self._ceiling = Ceiling()
        self._replanner: Replanner | None = None
        self._feedback: Feedback | None = None
        self._wishes = Wishes()
        self._plan: FrequencyPlan | None = None
        self._refused: FrequencyPlan | None = None  # the user's, under which frames were late
        self._ended_at: OperatingPoint | None = None  # of the frame before
        self._mode = self._guesses = ''
        self._why = self._problem = self._costs_problem = ''
        self.made = 0

    @property
    def exit_shares(self) -> Mapping[str, float] | None:
        """The running average of the exits; None where nobody plans."""
        return None if self._replanner is None else self._replanner.exit_shares

    def decide(self, seen: Observation) -> Decision:
        """The plan in force, after what has changed about the board and the wishes.

        Raises:
            ValueError: no plan is possible on this board.
        """
        board, wishes = seen.board, seen.wishes
        if not board.name:
            return Decision(self.thresholds)
        if board.name != self._board:
            self._begin(board, wishes, 'the stream begins')
        elif board.power_mode != self._mode and wishes.replan:
            self._begin(board, wishes, 'the power mode changed')
        else:
            self._follow(board, wishes)
        problem = self._problem or self._costs_problem or self._late_anyway()
        return Decision(self.thresholds, plan=self._plan, why=self._why, problem=problem)

    def observe(self, outcome: Outcome) -> None:
        """Plan again if the exits drifted, frames come late, or clocks are held down."""
        replanner = self._replanner
        known = outcome.exit in self._context.stream.paths
        if replanner is None or not self._wishes.replan or not known:
            return
        try:
            better = replanner.observe(outcome.exit, outcome.period_s)
            if better is not None and not self._keeps_given:
                self._here(replanner.why)
            self._learn(outcome)
            if outcome.last_point and self._held_down(outcome):
                held = bool(self._ceiling.highest_hz)
                self._keep_limits('clocks are held down' if held else 'trying all clocks again')
        except ValueError as error:
            self._problem = f'planning again failed: {error}'

    def check(self, seen: Observation) -> None:
        """Raise ValueError where no plan would meet the deadline, or only a file could be one."""
        if self._replanner is not None:
            self._replanner.check_deadline(seen.wishes.deadline_s)
        elif self._board and seen.wishes.plan is None:
            raise BoardError(f'nothing is known of board {self._board!r}: a plan file is needed')

    def facts(self) -> Mapping[str, str]:
        """The exit shares that the plan counts on, and how right it was about latency."""
        shares = self.exit_shares or {}
        found = {f'plan_share.{name}': f'{share:.3f}' for name, share in shares.items()}
        return found if self._feedback is None else {**found, **self._feedback.facts()}

    # -- how ------------------------------------------------------------------------------------

    @property
    def _keeps_given(self) -> bool:
        return self._plan is not None and self._plan is self._wishes.plan

    def _late_anyway(self) -> str:
        """That the deadline cannot be kept, as far as is known by now; empty where it can."""
        wanted_s, replanner = self._wishes.deadline_s, self._replanner
        if replanner is None or not 0 < wanted_s < replanner.fastest_s:
            return ''
        return (
            f'deadline_s is {1e3 * wanted_s:.3g} ms, and frames take up to '
            f'{1e3 * replanner.fastest_s:.3g} ms at the fastest clocks'
        )

    def _begin(self, board: BoardState, wishes: Wishes, why: str) -> None:
        """A board that was not there before, or is as another in its new mode."""
        replanner = self._make_replanner(board, wishes)
        self._feedback = None if replanner is None else Feedback(replanner)
        self._board, self._mode = board.name, board.power_mode
        self._replanner, self._wishes = replanner, wishes
        self._limits, self._ceiling = limits_of(board.tables), Ceiling()
        if wishes.plan is not None:
            self._given()
        else:
            self._here(f'{why}{self._guesses}')

    def _follow(self, board: BoardState, wishes: Wishes) -> None:
        before, self._wishes = self._wishes, wishes
        if wishes.plan is not before.plan:
            if wishes.plan is not None:
                self._given()
            elif self._replanner is not None:
                self._here('the plan file was taken away')
        if self._replanner is None:
            return
        if wishes.deadline_s != before.deadline_s:
            if self._refused is not None and self._refused is wishes.plan:
                self._given()
            try:
                better = self._replanner.set_deadline(wishes.deadline_s)
            except ValueError as error:
                self._problem = f'deadline_s has no effect: {error}'
            else:
                if better is not None and not self._keeps_given:
                    self._here('the deadline changed')
        limits = limits_of({n: hz for n, hz in board.tables.items() if n in self._limits})
        if limits != self._limits and wishes.replan:
            self._limits = limits
            self._keep_limits('the limits changed')

    def _learn(self, outcome: Outcome) -> None:
        """Compare what the segments took with what was expected of them."""
        path, feedback = self._context.stream.paths[outcome.exit], self._feedback
        assert feedback is not None
        if not len(path) == len(outcome.segment_s) == len(outcome.points):
            return
        before, self._ended_at = self._ended_at, outcome.last_point
        if outcome.period_s is None:
            before = None
        elif outcome.period_s - sum(outcome.segment_s) > _SETTLED_S:
            before = outcome.points[0]
        given = self._keeps_given
        bound = before is not None and (not given or self._wishes.deadline_s > 0)
        assert self._plan is not None
        points = deepest_points(self._plan)
        asked = [points[row] for row in path]
        better = feedback.observe(path, outcome.segment_s, outcome.points, before, asked, bound)
        if given and feedback.alarmed:
            self._refused = self._plan
            self._here('frames came late under the plan file')
        elif better is not None and not given:
            self._here(feedback.why)

    def _make_replanner(self, board: BoardState, wishes: Wishes) -> Replanner | None:
        self._guesses = self._costs_problem = ''
        try:
            table, self._costs_problem = costs(board, self._context)
        except BoardError:
            if wishes.plan is None:
                raise
            return None  # the file is all that there is
        known = self._known(board)
        if known is not None and known.generic and table is not self._context.table:
            self._guesses = _GUESSES
        paths = self._context.stream.paths
        shares = self.exit_shares or self._shares or dict.fromkeys(paths, 1.0)
        complete = known is not None and set(table.domains) <= set(known.domains)
        return Replanner(
            table,
            paths,
            shares,
            wishes.deadline_s,
            SwitchCost.of_board(known, table.domains)
            if known is not None and complete
            else SwitchCost.assumed(table.domains),
            gain=self._context.gain,
            waiting=BoardModel(known) if known is not None and complete else None,
            limits_hz=limits_of(board.tables),
        )

    def _known(self, board: BoardState) -> Board | None:
        try:
            return described(board)
        except BoardError:
            return None  # but its costs were measured

    def _here(self, why: str) -> None:
        """Put the replanner's plan in force."""
        assert self._replanner is not None
        self.made += 1
        plan = self._replanner.plan
        self._plan = plan.model_copy(update={'name': f'{plan.name} #{self.made}'})
        self._why, self._problem = why, ''

    def _given(self) -> None:
        """Put the user's plan in force."""
        self._plan, self._refused = self._wishes.plan, None
        self._why, self._problem = f'from {self._wishes.plan_origin}', ''

    def _held_down(self, outcome: Outcome) -> bool:
        """Compare the clocks that the last segment had with what the plan asks for it."""
        assert self._plan is not None
        # Where an edge server answered, the frame ended before its path did.
        ran = self._context.stream.paths[outcome.exit]
        segment = ran[min(len(outcome.points), len(ran)) - 1]
        for path in reversed(self._plan.paths.values()):
            if segment in path.segments:
                asked = path.points[path.segments.index(segment)]
                return self._ceiling.observe(asked, outcome.last_point)
        return False

    def _keep_limits(self, why: str) -> None:
        """Plan within the board's limits and below the ceiling; the user's plan goes if it must."""
        assert self._replanner is not None
        limits = dict(self._limits)
        for name, highest in self._ceiling.highest_hz.items():
            low, high = limits.get(name, (0, highest))
            limits[name] = (low, min(high, highest))
        problem, changed = '', False
        try:
            changed = self._replanner.set_limits(limits) is not None
        except ValueError as error:
            problem = f'{why}, and no plan fits: {error}'
        given = self._wishes.plan
        if given is not None and given is not self._refused and within(given, limits):
            if not self._keeps_given:
                self._given()
        elif problem:
            self._problem = problem
        elif changed or self._keeps_given:
            self._here(why)
