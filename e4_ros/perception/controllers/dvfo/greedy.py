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

"""The exact search, corrected by what frames really cost: LinUCB on the residual of the table.

The table knows the board from its file and the link from its percentiles. What it does not know (a
server whose queue grows while nothing is asked, a radio that is slower at the far end, a board that
is warmer than its model) shows as a difference between the cost of a frame and what was expected.
A linear model of that difference is learnt for each kind of choice, by ridge regression with
forgetting; kinds that are little known are tried a little more often (arXiv 1003.0146).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from e4_ros.offload.request import FOLLOW, LOCAL, Offload
from e4_ros.perception.controller import Observation, Outcome
from e4_ros.perception.controllers.context import Context
from e4_ros.perception.controllers.dvfo.base import clean, sent
from e4_ros.perception.controllers.dvfo.choices import UNKNOWN_RATE_BPS
from e4_ros.perception.controllers.dvfo.costs import TRACKS_F1, FrameCosts, Price, Rows, frame_cost
from e4_ros.perception.controllers.dvfo.exact import Exact
from e4_ros.perception.controllers.linucb import Residual
from e4_ros.profiling.planning.cost_table import Floats

_CURIOSITY, _FORGET = 0.02, 0.98
"""Doubt is credited in seconds at full power; the second keeps some fifty frames in mind."""

_STAKES = 64

Kind = tuple[str, str, str]


class Greedy(Exact):
    """The exact search with a residual that is learnt while driving.

    What is learnt is the price of time and worth. Joules stay those of the table: those of a frame
    mean another thing where they are measured than where they are modelled.

    Args:
        context: what runs, and what can be sent of it.
    """

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._residual = Residual(4, _CURIOSITY, _FORGET)
        self._staked: dict[Offload, _Stake] = {}
        self.learnt = 0

    def correction(self, rows: Rows, found: FrameCosts, seen: Observation) -> Floats:
        """What the residual says of each kind of choice, ``(R,)``."""
        features, kinds = _features(seen), [_kind(found.choices[row].offload) for row in rows]
        beyond = {kind: self._residual.expect(kind, features, 0.0) for kind in set(kinds)}
        return found.top_w * np.array([beyond[kind] for kind in kinds])

    def pick(self, found: FrameCosts, seen: Observation, price: Price) -> tuple[int, int]:
        """The cell; and keeps what it is expected to cost, to learn from the difference."""
        choice, point = super().pick(found, seen, price)
        priced, row = found.under(price, self._period_s), np.array([choice])
        expected = priced.expected(self.estimate(seen), row)[0, point]
        offload = sent(found.choices[choice], price)
        if len(self._staked) > _STAKES:
            self._staked.clear()
        self._staked[offload] = _Stake(
            _features(seen),
            float(expected),
            float(priced.joules[choice, point]),
            float(found.whole_s[point]),
            found.choices[choice].f1,
            price,
            found.top_w,
        )
        return choice, point

    def observe(self, outcome: Outcome) -> None:
        """Compare what key frames cost with what was expected of them."""
        super().observe(outcome)
        for request in outcome.requests:
            if request.in_time and request.total_s >= 0:
                self._learn(request.offload, outcome, request.total_s, None)
            elif request.offload.meanwhile == FOLLOW:
                self._learn(request.offload, outcome, request.offload.deadline_s, TRACKS_F1)
            elif (stake := self._staked.get(request.offload)) is not None:
                self._learn(request.offload, outcome, stake.whole_s, 1.0)
        if self._is_key(outcome) and not outcome.requests and outcome.latency_s >= 0:
            self._learn(LOCAL, outcome, outcome.latency_s, 1.0)

    def facts(self) -> dict[str, str]:
        """Those of the search, and from how many outcomes it was corrected."""
        return {**super().facts(), 'dvfo.learnt': str(self.learnt)}

    def _learn(self, offload: Offload, outcome: Outcome, seconds: float, f1: float | None) -> None:
        """What was decided took so long, and its answer is worth so much; None: as the choice."""
        stake = self._staked.get(offload)
        if stake is None:
            return
        joules = stake.joules + (clean(outcome.radio_j) if offload != LOCAL else 0.0)
        worth = stake.f1 if f1 is None else f1
        cost = float(frame_cost(seconds, joules, worth, stake.price, stake.top_w))
        top_w, self.learnt = stake.top_w, self.learnt + 1
        self._residual.observe(_kind(offload), stake.features, stake.expected / top_w, cost / top_w)


@dataclass(frozen=True)
class _Stake:
    """What was expected of a choice when it was last decided."""

    features: Floats
    expected: float
    joules: float
    whole_s: float
    f1: float
    price: Price
    top_w: float


def _kind(offload: Offload) -> Kind:
    return offload.service, offload.cut, offload.meanwhile


def _features(seen: Observation) -> Floats:
    """One, seconds for 20 kB at the usual rate, the server's wait, and the loss."""
    rate_bps = max(clean(seen.link.rate_bps[1], UNKNOWN_RATE_BPS), 1e5)
    return np.array(
        [1.0, min(160e3 / rate_bps, 1.0), min(clean(seen.server.wait_s), 1.0), seen.link.loss]
    )
