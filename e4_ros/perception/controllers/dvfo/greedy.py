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

from dataclasses import replace

import numpy as np

from e4_ros.perception.controller import Observation, Outcome
from e4_ros.perception.controllers.context import Context
from e4_ros.perception.controllers.dvfo.base import Rows, clean
from e4_ros.perception.controllers.dvfo.choices import UNKNOWN_RATE_BPS, Choice, Estimate
from e4_ros.perception.controllers.dvfo.costs import TRACKS_F1, FrameCosts, Price, frame_cost
from e4_ros.perception.controllers.dvfo.exact import Exact
from e4_ros.perception.controllers.linucb import Residual
from e4_ros.profiling.planning.cost_table import Floats

_CURIOSITY, _FORGET = 0.02, 0.98
"""Doubt is credited in seconds at full power; the second keeps some fifty frames in mind."""

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
        self._staked: tuple[Choice, Floats, float, Price, float] | None = None

    def correction(self, rows: Rows, found: FrameCosts, seen: Observation) -> Floats:
        """What the residual says of each kind of choice, ``(R,)``."""
        features, kinds = _features(seen), [_kind(found.choices[row]) for row in rows]
        beyond = {kind: self._residual.expect(kind, features, 0.0) for kind in set(kinds)}
        return found.top_w * np.array([beyond[kind] for kind in kinds])

    def pick(self, found: FrameCosts, seen: Observation, price: Price) -> tuple[int, int]:
        """The cell; and keeps what its time is expected to cost, to learn from the difference."""
        choice, point = super().pick(found, seen, price)
        timed = replace(price, energy=0.0, latency=price.latency or 1e-9)
        estimate = Estimate.of(seen.link, seen.server)
        expected = found.expected(estimate, timed, self._period_s, np.array([choice]))[0, point]
        self._staked = (
            found.choices[choice],
            _features(seen),
            float(expected) / found.top_w,
            timed,
            found.top_w,
        )
        return choice, point

    def observe(self, outcome: Outcome) -> None:
        """Compare what the time of a key frame cost with what was expected of it."""
        super().observe(outcome)
        if self._staked is None or not self._is_key(outcome) or not outcome.latency_s >= 0:
            return
        choice, features, expected, price, top_w = self._staked
        worth = _worth(choice, outcome)
        cost = frame_cost(outcome.latency_s, 0.0, worth, price, top_w)
        self._residual.observe(_kind(choice), features, expected, float(cost) / top_w)


def _worth(choice: Choice, outcome: Outcome) -> float:
    """F1 that an answer counts as: nobody tells it, so it follows from who answered."""
    if outcome.exit == 'full' or not choice.runs:
        return 1.0
    return TRACKS_F1 if outcome.exit == 'track' else choice.f1


def _kind(choice: Choice) -> Kind:
    return choice.offload.service, choice.offload.cut, choice.offload.meanwhile


def _features(seen: Observation) -> Floats:
    """One, seconds for 20 kB at the usual rate, the server's wait, and the loss."""
    rate_bps = max(clean(seen.link.rate_bps[1], UNKNOWN_RATE_BPS), 1e5)
    return np.array(
        [1.0, min(160e3 / rate_bps, 1.0), min(clean(seen.server.wait_s), 1.0), seen.link.loss]
    )
