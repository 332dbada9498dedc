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

"""After Infer-EDGE (arXiv 2501.18842): which version answers, and at which clocks, by weights.

Each decision looks up the best choice of a table (`version_table`) by what the application weighs
now. Three ways to judge a choice share everything else:

* `Exact` corrects the table by what frames really took and looks at all of it;
* `Greedy` lets LinUCB learn what the table leaves unexplained, and tries what it knows little of;
* `Learned` asks a policy network that was trained in the simulator.

A version is not changed for little, nor twice within a moment: the gain over the next frames must
exceed what the change costs. Weights that the user changes are followed at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from e4_ros.energy.board_model import BoardModel
from e4_ros.energy.boards import BoardError
from e4_ros.perception.controller import (
    BoardState,
    ControllerError,
    Decision,
    Observation,
    OperatingPoint,
    Outcome,
)
from e4_ros.perception.controllers.base import DepthOnly
from e4_ros.perception.controllers.context import Context
from e4_ros.perception.controllers.fixed import costs, described
from e4_ros.perception.controllers.linucb import Residual
from e4_ros.perception.controllers.policy_net import PolicyNet
from e4_ros.perception.controllers.version_facts import Drift, Habits
from e4_ros.perception.controllers.version_table import Costs, Rates, Scale, VersionTable
from e4_ros.perception.preference import EQUAL, with_battery
from e4_ros.perception.versions import Version
from e4_ros.perception.weights import Weights
from e4_ros.profiling.planning.cost_table import CostTable
from e4_ros.vision.inference.exit_thresholds import FULL

Floats = NDArray[np.float64]

DWELL = 5
"""Frames that a version answers at least, unless the user weighs otherwise."""

_HORIZON = 30  # frames over which a change has to pay
_LEAST_GAIN = 0.003  # of the score, below which versions stay
_HOPE = 0.3  # standard deviations of doubt that are credited to a version, so that it is tried
_LEAST_CLOCKS = 0.001  # below which clocks stay
_OTHER = 0.02  # change of a weight from which it is another wish
LEVELS = 4
"""Clocks that a policy network tells apart: from a version's fastest to its most frugal."""


class InferEdge(DepthOnly):
    """What the three have in common: the table, what the stream teaches, and when to change.

    Args:
        context: what runs; without versions the stream itself is the only one.
    """

    def __init__(self, context: Context) -> None:
        super().__init__(exits=True)
        self._context = context
        self.versions = list(context.versions) or [Version('', context.stream)]
        shares = self.versions[0].shares or context.exit_shares or {FULL: 1.0}
        self._habits, self._usual = Habits(shares), dict(shares)
        self._scale: Scale | None = None
        self._scale_s = 0.0
        self._late, self._dear = Drift(len(self.versions)), Drift(len(self.versions))
        self._key: tuple[object, ...] | None = None
        self._table: VersionTable | None = None
        self._cost_tables: list[CostTable] = []
        self._weights: Weights | None = None
        self._deadline_s = 0.0
        self._current = self._choice = 0
        self._since = DWELL
        self._why = ''
        self.switches = 0

    def decide(self, seen: Observation) -> Decision:
        """The best choice by what is weighed now, unless the one in force is nearly as good."""
        scale = self._scale
        table = self._follow(seen.board)
        weights = with_battery(
            seen.wishes.weights or EQUAL, seen.battery, self._context.battery_reserve
        )
        self._see_version(seen.stream.version)
        asked = self._weights is None or _differ(weights, self._weights)
        asked, self._deadline_s = (
            asked or scale is not self._scale or seen.wishes.deadline_s != self._deadline_s,
            seen.wishes.deadline_s,
        )
        scores = self._scores(table, weights)
        scores = self._in_time(table, scores, seen.wishes.deadline_s)
        if not table.knows_accuracy and len(self.versions) > 1:
            scores = np.where(table.version == self._current, scores, -math.inf)
        best = self._pick(table, weights, scores)
        stay = self._staying(table, scores)
        if table.version[best] != self._current and not self._may_change(
            asked, scores[best] - scores[stay], table, weights
        ):
            best = self._pick_within(table, weights, scores, self._current)
        if table.version[best] == self._current and self._keeps_clocks(scores, best):
            best = self._choice
        if table.version[best] != self._current:
            self._current, self._since = int(table.version[best]), 0
            self.switches += 1
        if asked:
            self._weights = weights
        self._choice = best
        return self._decision(table, weights, best)

    def observe(self, outcome: Outcome) -> None:
        """Compare what a frame took and spent with what was expected of it."""
        self._since += 1
        table, row = self._table, self._row(outcome.version)
        version = self.versions[row]
        self._habits.observe(outcome.exit, list(version.stream.paths), outcome.period_s)
        if table is None or outcome.exit not in version.stream.paths:
            return
        expected_s, expected_j, seconds = self._expected(table, row, outcome)
        if math.isfinite(seconds) and expected_s > 0:
            self._late.observe(row, seconds / expected_s)
        if math.isfinite(outcome.energy_j) and expected_j > 0:
            self._dear.observe(row, outcome.energy_j / expected_j)
        self._learn(table, row, outcome, expected_s, expected_j, seconds)

    def facts(self) -> Mapping[str, str]:
        """Each version with its accuracy, time and joules, and why this one answers."""
        table, found = self._table, {}
        if table is None or len(self.versions) == 1:
            return {'choice': self._why} if self._why else {}
        late, dear = self._late.factors, self._dear.factors
        for row, version in enumerate(self.versions):
            own = np.flatnonzero(table.version == row)
            fastest = own[np.argmin(table.latency_s[own])]
            f1 = 'unknown' if math.isnan(version.f1) else f'{version.f1:.3f}'
            found[f'version.{version.name}'] = (
                f'F1 {f1}, {1e3 * table.latency_s[fastest] * late[row]:.3g} ms, '
                f'{table.energy_j()[fastest] * dear[row]:.3g} J at its fastest'
            )
        found['version_switches'] = str(self.switches)
        return {**found, 'version_why': self._why}

    # -- what each of the three does in its own way ----------------------------------------------

    def _scores(self, table: VersionTable, weights: Weights) -> Floats:
        """How good each choice is taken to be."""
        late = self._late.hopeful(self._current, _HOPE)
        dear = self._dear.hopeful(self._current, _HOPE)
        return table.score(weights, late[table.version], dear[table.version])

    def _pick(self, table: VersionTable, weights: Weights, scores: Floats) -> int:
        """The choice that is to be in force."""
        return int(np.argmax(scores))

    def _pick_within(
        self, table: VersionTable, weights: Weights, scores: Floats, version: int
    ) -> int:
        """The choice of one version."""
        return table.best_of(version, scores)

    def _learn(
        self,
        table: VersionTable,
        row: int,
        outcome: Outcome,
        expected_s: float,
        expected_j: float,
        seconds: float,
    ) -> None:
        """What else is learnt from an outcome."""

    # -- how -------------------------------------------------------------------------------------

    def _follow(self, board: BoardState) -> VersionTable:
        """The table for what the board may do now and what the stream does."""
        tables = {name: tuple(hz) for name, hz in board.tables.items()} if board.name else {}
        key = (board.name, board.power_mode, tuple(tables.items()))
        table = self._table
        if key != self._key:
            self._cost_tables = self._tables_of(board) if tables else []
            model = _model(board) if tables else None
            costed: list[CostTable | None] = list(self._cost_tables)
            found = [
                Costs.of_machine(version) if own is None else Costs.of_table(version, own, model)
                for version, own in zip(
                    self.versions, costed or [None] * len(self.versions), strict=True
                )
            ]
            self._key, table, self._scale = key, None, None
        elif table is not None:
            found = list(table.costs)
        if table is None or self._habits.differ(table.rates.shares, table.rates.period_s):
            rates = Rates(dict(self._habits.shares), self._habits.period_s)
            table = VersionTable(self.versions, found, rates, self._scale_at(rates, found))
            self._choice = -1
        self._table = table
        return table

    def _scale_at(self, rates: Rates, costs_: Sequence[Costs]) -> Scale:
        """The scale at a pace; another one where the pace has changed much."""
        if self._scale is None or abs(rates.period_s - self._scale_s) > 0.2 * self._scale_s:
            usual = Rates(self._usual, rates.period_s)
            self._scale = VersionTable(self.versions, costs_, usual).scale
            self._scale_s = rates.period_s
        return self._scale

    def _tables_of(self, board: BoardState) -> list[CostTable]:
        """Costs of each version's segments on a board.

        Raises:
            BoardError, ControllerError: nothing is known of it.
        """
        context = self._context
        if not context.versions:
            return [costs(board, context)[0]]
        of = [_of_version(context, version) for version in self.versions]
        return [costs(board, each)[0] for each in of]

    def _see_version(self, name: str) -> None:
        """Believe the stream, where it says who answers."""
        if name:
            row = self._row(name)
            if row != self._current:
                self._current, self._choice = row, -1

    def _row(self, name: str) -> int:
        names = [version.name for version in self.versions]
        return names.index(name) if name in names else self._current

    def _in_time(self, table: VersionTable, scores: Floats, deadline_s: float) -> Floats:
        """The scores, those that are late out of the way, if any is in time."""
        if not deadline_s > 0:
            return scores
        late = table.latency_s * self._late.factors[table.version] > deadline_s
        return scores if late.all() else np.where(late, -math.inf, scores)

    def _staying(self, table: VersionTable, scores: Floats) -> int:
        return table.best_of(self._current, scores)

    def _may_change(self, asked: bool, gain: float, table: VersionTable, weights: Weights) -> bool:
        """Whether another version is worth the change."""
        if asked or not math.isfinite(gain):
            return bool(gain > 0)
        costs_once = self._cost_of_change(table, weights)
        return self._since >= DWELL and gain > _LEAST_GAIN and gain * _HORIZON > costs_once

    def _cost_of_change(self, table: VersionTable, weights: Weights) -> float:
        """What a change of version takes off one frame's score."""
        switch_s = max(version.switch_s for version in self.versions)
        return switch_s * weights.latency / table.scale.range_s

    def _keeps_clocks(self, scores: Floats, best: int) -> bool:
        """Whether the choice in force, of the same version, is as good but for a little."""
        table, now = self._table, self._choice
        assert table is not None
        if not 0 <= now < len(scores) or table.version[now] != table.version[best]:
            return False
        return bool(scores[best] - scores[now] < _LEAST_CLOCKS)

    def _expected(
        self, table: VersionTable, row: int, outcome: Outcome
    ) -> tuple[float, float, float]:
        """Seconds and joules that were expected of a frame, and seconds that it took.

        On a board only the segments' own seconds count, at clocks that they really had: elsewhere,
        as above a virtual board, times say nothing of it.
        """
        cost = table.costs[row]
        place, seconds = 0, outcome.latency_s
        if self._cost_tables:
            path = self.versions[row].stream.paths[outcome.exit]
            known = len(path) == len(outcome.segment_s) == len(outcome.points)
            seconds = sum(outcome.segment_s) if known else math.nan
            try:
                place = self._cost_tables[row].index(outcome.last_point)
            except ValueError:
                return math.nan, math.nan, math.nan
        expected_s = float(cost.latency_s[outcome.exit][place])
        wait_s = max((outcome.period_s or 0.0) - outcome.latency_s, 0.0)
        longer = seconds / expected_s if math.isfinite(seconds) and expected_s > 0 else 1.0
        active_j = cost.energy_j[outcome.exit][place] * longer
        expected_j = float(active_j + wait_s * cost.waiting_w[place])
        return expected_s, expected_j, seconds

    def _decision(self, table: VersionTable, weights: Weights, choice: int) -> Decision:
        point: OperatingPoint | None = table.points[choice]
        version = self.versions[int(table.version[choice])]
        answers = f'{version.name} answers: ' if version.name else ''
        self._why = (
            f'{answers}accuracy {weights.accuracy:.2f}, latency {weights.latency:.2f}, '
            f'energy {weights.energy:.2f}'
        )
        problem = ''
        if len(self.versions) > 1 and not table.knows_accuracy:
            problem = (
                f'{version.name} answers whatever is weighed, because nobody has measured how '
                'right the versions are: run `e4 versions FOOTAGE`, and set versions_file to what '
                'it writes'
            )
        name = version.name or None
        return Decision(None, point=point, version=name, why=self._why, problem=problem)


class Exact(InferEdge):
    """The best of the whole table, corrected by what was seen."""


class Greedy(InferEdge):
    """LinUCB on what the table leaves unexplained of a choice's score.

    Args:
        context: what runs.
    """

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._residual = Residual(3, curiosity=0.01)

    def _scores(self, table: VersionTable, weights: Weights) -> Floats:
        plain = table.score(weights)
        ones = np.ones((len(plain), 1))
        features = np.hstack([ones, table.losses(weights)])
        return np.array(
            [
                -self._residual.expect(int(v), x, float(-score))
                for v, x, score in zip(table.version, features, plain, strict=True)
            ]
        )

    def _learn(
        self,
        table: VersionTable,
        row: int,
        outcome: Outcome,
        expected_s: float,
        expected_j: float,
        seconds: float,
    ) -> None:
        choice, weights = self._choice, self._weights
        if weights is None or not 0 <= choice < len(table.version) or table.version[choice] != row:
            return
        slower, dearer = seconds / expected_s, outcome.energy_j / expected_j
        slower = slower if math.isfinite(slower) else 1.0
        dearer = dearer if math.isfinite(dearer) else 1.0
        losses = table.losses(weights)[choice]
        expected = float(-table.score(weights)[choice])
        cost = expected + float(losses @ np.array([slower - 1, dearer - 1]))
        self._residual.observe(row, np.array([1.0, *losses]), expected, cost)


class Learned(InferEdge):
    """A policy network, trained by A2C with the weights among its inputs.

    Args:
        context: what runs; its policy ``infer_edge:learned`` must be of these versions.

    Raises:
        ControllerError: there is no such policy, or it is of other versions.
    """

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        net = context.policies.get('infer_edge:learned')
        if net is None:
            raise ControllerError(
                'infer_edge:learned has to learn first: `e4 versions FOOTAGE --learn` trains it '
                'and writes it beside versions.yaml, which versions_file names'
            )
        count = len(self.versions)
        if net.branches != (count, LEVELS) or len(net.mean) != state_size(count):
            raise ControllerError(
                f'the policy of infer_edge:learned chooses among {net.branches[0]} versions, and '
                f'there are {count}: run `e4 versions FOOTAGE --learn` again'
            )
        self._net: PolicyNet = net

    def _pick(self, table: VersionTable, weights: Weights, scores: Floats) -> int:
        version, _ = self._net.choose(self.state(weights))
        if not np.isfinite(scores[table.version == version]).any():
            return int(np.argmax(scores))  # what it wants is late, or nobody knows how right it is
        return self._pick_within(table, weights, scores, version)

    def _pick_within(
        self, table: VersionTable, weights: Weights, scores: Floats, version: int
    ) -> int:
        _, level = self._net.choose(self.state(weights))
        found = at_level(table, version, level)
        return found if math.isfinite(scores[found]) else table.best_of(version, scores)

    def _may_change(self, asked: bool, gain: float, table: VersionTable, weights: Weights) -> bool:
        return asked or self._since >= DWELL

    def _keeps_clocks(self, scores: Floats, best: int) -> bool:
        return False

    def state(self, weights: Weights) -> NDArray[np.float32]:
        """What the network sees."""
        return state_of(weights, self._late.factors, self._current)


def state_size(versions: int) -> int:
    """Number of inputs of a policy network for so many versions."""
    return 3 + 2 * versions


def state_of(weights: Weights, factors: Floats, current: int) -> NDArray[np.float32]:
    """Weights, how much slower than expected each version is (as a logarithm), and which answers.

    Args:
        weights: what is weighed now.
        factors: of each version, ``(V,)``.
        current: index of the version that answers.
    """
    answers = np.arange(len(factors)) == current
    given = [weights.accuracy, weights.latency, weights.energy]
    return np.array([*given, *np.log(factors), *answers], np.float32)


def at_level(table: VersionTable, version: int, level: int) -> int:
    """The choice of a version at one of `LEVELS` speeds; the first is the fastest."""
    own = np.flatnonzero(table.version == version)
    own = own[np.argsort(table.latency_s[own], kind='stable')]
    return int(own[round(level * (len(own) - 1) / (LEVELS - 1))])


def _differ(a: Weights, b: Weights) -> bool:
    pairs = ((a.accuracy, b.accuracy), (a.latency, b.latency), (a.energy, b.energy))
    return any(abs(x - y) > _OTHER for x, y in pairs)


def _of_version(context: Context, version: Version) -> Context:
    """A context for the costs of a version: by the board's model, so that all are comparable."""
    return Context(version.stream, context.domains)


def _model(board: BoardState) -> BoardModel | None:
    try:
        return BoardModel(described(board))
    except BoardError:
        return None
