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

"""DVFO's problem solved exactly: the cheapest of all clocks and choices, as the link is estimated.

About ten thousand cells are looked at for every frame, which takes less than a millisecond. It is
exact about what is known when it decides; the link may be another when the frame is sent. What is
not asked is not known either, so where the server is there and nothing was sent for a while, one
frame is sent while the robot's own network goes on: that costs the radio's joules and no time.
"""

from __future__ import annotations

import math

import numpy as np

from e4_ros.offload.request import EDGE, GO_ON, Offload
from e4_ros.perception.controller import Decision, Observation, Outcome
from e4_ros.perception.controllers.context import Context
from e4_ros.perception.controllers.dvfo.base import ClocksAndOffload, open_rows
from e4_ros.perception.controllers.dvfo.choices import Estimate, Newest
from e4_ros.perception.controllers.dvfo.costs import FrameCosts, Price, Rows
from e4_ros.profiling.planning.cost_table import Floats

ASK_S = (0.5, 2.0)
"""Seconds without a request after which one is sent to see; doubled as long as it does not pay."""
UNSENT, CLOSED_S = 5, 30.0
"""Key frames of which nothing is sent though that is decided; then it is left alone for seconds."""
_WORTH = 0.01
"""Share of the cost that another cell must save, so that clocks do not change for nothing."""


class Exact(ClocksAndOffload):
    """Searches all cells for the least expected cost.

    Args:
        context: what runs, and what can be sent of it.
        asks: whether a request is sent now and then only to see how the link is.
    """

    def __init__(self, context: Context, asks: bool = True) -> None:
        super().__init__(context)
        self._asks, self._ask_s = asks, ASK_S[0]
        self._sent_at_s: float | None = None
        self._newest, self._now_s = Newest(), 0.0
        self._closed_until_s: dict[tuple[str, str], float] = {}
        self._wanted: tuple[str, str] | None = None
        self._unsent = 0

    def pick(self, found: FrameCosts, seen: Observation, price: Price) -> tuple[int, int]:
        """The cell of least expected cost, or the one before where that is as good within 1 %."""
        self._now_s = seen.time_s
        estimate = self.estimate(seen)
        rows = self._not_refused(open_rows(found, seen), found, seen.time_s)
        if not estimate.known:  # nothing is staked on a link of which nothing is known
            rows = rows[~found.follows[rows] | found.local[rows]]
        priced, share = found.under(price, self._period_s), self._key_share
        expected = share * priced.expected(estimate, rows) + (1 - share) * priced.early
        expected += share * self.correction(rows, found, seen)[:, None]
        row, point = divmod(int(expected.argmin()), expected.shape[1])
        best = int(rows[row]), point
        before = self.decided
        if before is not None and before[1] < expected.shape[1]:
            was = np.flatnonzero(rows == before[0])
            if was.size and expected[was[0], before[1]] <= (1 + _WORTH) * expected[row, point]:
                best = before
        return self._asking(found, seen, rows, best, estimate.known)

    def estimate(self, seen: Observation) -> Estimate:
        """What requests are counted on to take: the newest of them, and what else is seen."""
        return Estimate.of(seen.link, seen.server, self._newest.ways(seen.time_s))

    def observe(self, outcome: Outcome) -> None:
        """Learn what the stream is like, and how fast the newest requests went."""
        super().observe(outcome)
        self._count_unsent(outcome)
        for request in outcome.requests:
            self._newest.note(request, self._now_s)

    def _count_unsent(self, outcome: Outcome) -> None:
        """Note a choice that is decided again and again and never sent.

        The robot's network may not be cut there, or the client refuses: its hash is another.
        """
        wanted = self._wanted
        if wanted is None or not self._is_key(outcome):
            return
        if outcome.requests or outcome.sent_bytes or outcome.place == EDGE:
            self._unsent = 0
            return
        self._unsent += 1
        if self._unsent >= UNSENT:
            self._closed_until_s[wanted] = self._now_s + CLOSED_S
            self._unsent = 0

    def _not_refused(self, rows: Rows, found: FrameCosts, now_s: float) -> Rows:
        """The choices that were not refused lately."""
        if not self._closed_until_s:
            return rows
        kept = [
            row
            for row in rows
            if now_s >= self._closed_until_s.get(_place(found.choices[row].offload), -math.inf)
        ]
        return np.array(kept, np.intp)

    def decide(self, seen: Observation) -> Decision:
        """Clocks and what to send from the next frame on."""
        decision = super().decide(seen)
        wanted = None
        if decision.offload is not None and decision.offload.service:
            wanted = _place(decision.offload)
        if wanted != self._wanted:
            self._wanted, self._unsent = wanted, 0
        return decision

    def correction(self, rows: Rows, found: FrameCosts, seen: Observation) -> Floats:
        """What a key frame costs beyond what is expected of each choice, ``(R,)``; here nothing."""
        return np.zeros(len(rows))

    def _asking(
        self,
        found: FrameCosts,
        seen: Observation,
        rows: Rows,
        best: tuple[int, int],
        known: bool,
    ) -> tuple[int, int]:
        """The best cell; or, where nothing was sent for a while, one that shows how the link is."""
        now_s = seen.time_s
        if best[0] != 0:
            self._sent_at_s, self._ask_s = now_s, ASK_S[0]
            return best
        if not seen.link.up:
            self._sent_at_s, self._ask_s = None, ASK_S[0]
            return best
        if self._sent_at_s is None:
            self._sent_at_s = now_s - self._ask_s * (not known)
        if not self._asks or now_s - self._sent_at_s < self._ask_s:
            return best
        going_on = [r for r in rows if found.choices[r].offload.meanwhile == GO_ON and r != 0]
        if not going_on:
            return best
        self._sent_at_s, self._ask_s = now_s, min(2 * self._ask_s, ASK_S[1])
        smallest = min(going_on, key=lambda row: found.choices[row].sent_bytes)
        return int(smallest), best[1]


def _place(offload: Offload) -> tuple[str, str]:
    return offload.service, offload.cut
