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

"""What every choice costs at every clock, in one sum that can be searched in microseconds.

The cost of a frame follows DVFO: energy against time, both in joules::

    C = energy * E + latency * P_max * T
        + P_max * deadline * (accuracy * (1 - F1) + late * [T > deadline])

E is what the frame draws beyond the idle board at its lowest clocks (computing, the radio, the wait
for the next frame); P_max the most that the board draws; T the time to the answer. The last term is
not the paper's: it is the price of answers that are worse than the full network's, or late. An
answer that is worth nothing costs as much as ``accuracy`` deadlines at full power.

A request that is not answered by the deadline ends as `Offload.meanwhile` says: the robot's own
network has gone on, or the tracks answer at the deadline. An answer that comes after the robot's
own, or after the deadline, is not counted on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from e4_ros.offload.request import FOLLOW, LOCAL
from e4_ros.perception.controllers.dvfo.choices import Choice, Estimate
from e4_ros.perception.weights import Weights
from e4_ros.profiling.planning.cost_table import CostTable, Floats

RADIO_W = 1.1
"""Watts of a radio that sends. Assumed; an embedded Wi-Fi module draws 0.7 to 1.5 W beyond idle."""

EARLY_F1, TRACKS_F1 = 0.87, 0.65
"""F1 of frames that the ladder answers early, and of tracks that must answer a key frame, against
the full network: of a moving window on vtest; the first is what `e4 bench exits` found for all its
frames (.914) without its key frames, the second that of tracks on every other frame."""

REFUSED = 0.05
"""Share of requests that cannot be sent when their frame comes, because one before is still on its
way or the link is gone: the robot's own network then runs, at clocks that were meant for less."""

Rows = NDArray[np.intp]

_PREPARE = ('track', 'prepare')


@dataclass(frozen=True)
class Price:
    """What the parts of a frame's cost weigh; see this module.

    Attributes:
        energy, latency: weights of joules, and of seconds at the board's full power.
        accuracy: price of an answer that is worth nothing, in deadlines at full power.
        late: price of a late answer, in the same.
        deadline_s: seconds from the start of a frame until its answer is late.

    Raises:
        ValueError: a weight is negative or no number, or the deadline is none.
    """

    energy: float = 0.5
    latency: float = 0.5
    accuracy: float = 1.0
    late: float = 1.0
    deadline_s: float = 0.1

    def __post_init__(self) -> None:
        weights = (self.energy, self.latency, self.accuracy, self.late)
        if not all(0 <= weight < math.inf for weight in weights) or not sum(weights[:3]) > 0:
            raise ValueError(f'weights must be 0 or more, and not all 0; got {weights}')
        if not 0 < self.deadline_s < math.inf:
            raise ValueError(f'a deadline of {self.deadline_s} s is none')

    @classmethod
    def wished(cls, weights: Weights | None, deadline_s: float) -> Price:
        """What the application asks for; its weights in the proportions of the default."""
        bound_s = deadline_s if deadline_s > 0 else cls.deadline_s
        if weights is None:
            return cls(deadline_s=bound_s)
        half = 0.5 * (weights.energy + weights.latency) or 0.01  # nothing is ever for free
        return cls(
            0.5 * (weights.energy or 0.01) / half,
            0.5 * (weights.latency or 0.01) / half,
            weights.accuracy / half / 2,
            1.0,
            bound_s,
        )


class FrameCosts:
    """Seconds and joules of each choice at each point of the clocks.

    Args:
        table: costs of the segments; only ``points`` of it count.
        points: numbers of the points that may be chosen, ``(P,)``.
        paths: exit → indices of the segments on the way to it; ``full`` is the whole network.
        choices: what can be done with a key frame; the first is `LOCAL`.
        waiting_w: watts of the waiting board at the points, ``(P,)``.

    Attributes:
        before_s, before_j: until a choice is sent, ``(C, P)``.
        whole_s, whole_j: of the whole network on the robot, ``(P,)``.
        early_s, early_j: of a frame that an early exit answers, ``(P,)``.
        idle_w: watts of the waiting board beyond the least of all points, ``(P,)``.
        least_w: that least, which no joules of this class count.
        top_w: the most that the board draws, in watts.
    """

    def __init__(
        self,
        table: CostTable,
        points: NDArray[np.intp],
        paths: Mapping[str, Sequence[int]],
        choices: Sequence[Choice],
        waiting_w: Floats,
    ) -> None:
        self.table, self.points, self.choices = table, points, tuple(choices)
        full = list(paths.get('full', range(len(table.segments))))
        first = [row for row in full if table.segments[row] in _PREPARE]
        network = [row for row in full if row not in first]
        seconds, least_w = table.latency_s[:, points], float(waiting_w.min())
        self.least_w = least_w
        joules = table.energy_j[:, points] - least_w * seconds
        share = np.array([choice.before for choice in choices])[:, None]
        encode_s = np.array([choice.encode_s for choice in choices])[:, None]
        watts = table.energy_j[:, points].sum(0) / seconds.sum(0)
        self.before_s = seconds[first].sum(0) + share * seconds[network].sum(0) + encode_s
        self.before_j = (
            joules[first].sum(0) + share * joules[network].sum(0) + encode_s * (watts - least_w)
        )
        self.whole_s, self.whole_j = seconds[full].sum(0), joules[full].sum(0)
        early = [list(path) for name, path in paths.items() if name not in ('full', 'closer')]
        ways = early or [full]
        self.early_s = np.mean([seconds[way].sum(0) for way in ways], axis=0)
        self.early_j = np.mean([joules[way].sum(0) for way in ways], axis=0)
        self.early_f1 = EARLY_F1 if early else 1.0
        self.idle_w = waiting_w - least_w
        self.top_w = float((table.energy_j / table.latency_s).max())
        self.bits = 8 * np.array([choice.sent_bytes for choice in choices])
        self.f1 = np.array([choice.f1 for choice in choices])
        self.follows = np.array([choice.offload.meanwhile == FOLLOW for choice in choices])
        self.local = np.array([choice.offload == LOCAL for choice in choices])
        self._priced: tuple[tuple[Price, float], PricedCosts] | None = None

    @property
    def cells(self) -> int:
        """Number of choices times points."""
        return int(self.before_s.size)

    def point(self, index: int) -> dict[str, int]:
        """The clocks of point ``index`` of ``points``: domain → hertz."""
        return self.table.point(int(self.points[index]))

    def under(self, price: Price, period_s: float) -> PricedCosts:
        """What it all costs at a price and a pace; the last one asked for is kept."""
        key = price, round(period_s, 3)
        if self._priced is None or self._priced[0] != key:
            self._priced = key, PricedCosts(self, *key)
        return self._priced[1]


class PricedCosts:
    """`FrameCosts` at one price: what depends on the link is left open, all else is summed up.

    Args:
        found: seconds and joules.
        price: what the parts weigh.
        period_s: seconds from frame to frame.

    Attributes:
        joules: of a key frame and the wait after it, the radio left out, ``(C, P)``.
        early: cost of a frame that an early exit answers, ``(P,)``.
    """

    def __init__(self, found: FrameCosts, price: Price, period_s: float) -> None:
        self.found, self.price = found, price
        bound_s, top_w = price.deadline_s, found.top_w
        follows = found.follows[:, None]

        def cost(seconds: Floats, joules: Floats, f1: Floats | float, busy_s: Floats) -> Floats:
            waits_j = found.idle_w * np.maximum(period_s - busy_s, 0)
            return frame_cost(seconds, joules + waits_j, f1, price, top_w)

        self.joules = np.where(follows, found.before_j, found.whole_j) + found.idle_w * np.maximum(
            period_s - np.where(follows, found.before_s, found.whole_s), 0
        )
        own = self._own = cost(found.whole_s, found.whole_j, 1.0, found.whole_s)
        busy_s = np.where(follows, found.before_s, found.whole_s)
        busy_j = np.where(follows, found.before_j, found.whole_j)
        self._answered = cost(found.before_s, busy_j, found.f1[:, None], busy_s)
        held = cost(np.full_like(busy_s, bound_s), busy_j, TRACKS_F1, busy_s)
        self._missed = np.where(follows, held, own)
        in_time_s = np.where(follows, bound_s, np.minimum(found.whole_s, bound_s))
        self._limit_s = np.where(found.local[:, None], -np.inf, in_time_s - found.before_s)
        self._second, self._sent_second = price.latency * top_w, price.energy * RADIO_W
        self.early = cost(found.early_s, found.early_j, found.early_f1, found.early_s)

    def key(self, away_s: Floats, send_s: Floats, rows: Rows | None = None) -> Floats:
        """Cost of a key frame, ``(C, P)``, where each choice's answer takes so long.

        Args:
            away_s: seconds from sending to the answer, ``(C, 1)`` or ``(C, P)``; infinite where
                none comes. What `LOCAL` has there does not count.
            send_s: seconds that the radio sends, of the same shape.
            rows: choices to look at, in this order; all.
        """
        pick = slice(None) if rows is None else rows
        found = np.where(
            away_s <= self._limit_s[pick],
            self._answered[pick] + self._second * away_s,
            self._missed[pick],
        )
        radio = self._sent_second * np.minimum(send_s, self.price.deadline_s)
        return found + np.where(self.found.local[pick, None], 0.0, radio)

    def expected(self, estimate: Estimate, rows: Rows | None = None) -> Floats:
        """Expected cost of a key frame over the ways it may fare, answers that never come included.

        And requests that cannot be sent: see `REFUSED`.

        What would usually be answered too late is infinitely dear: nothing is sent in vain.

        Args:
            estimate: what requests are counted on to take.
            rows: choices to look at, in this order; all.

        Returns:
            ``(C, P)``, or with ``rows`` ``(R, P)``.
        """
        found, pick = self.found, slice(None) if rows is None else rows
        looked_at = range(len(found.choices)) if rows is None else rows
        bits = found.bits[pick, None]
        run_s = np.array([estimate.run_of(found.choices[i]) for i in looked_at])[:, None]
        fixed_s = run_s + estimate.trip_s
        total: Floats = np.zeros(1)
        for way in estimate.ways:
            never = np.full(fixed_s.shape, np.inf)
            send_s = bits / way.rate_bps if way.rate_bps > 0 else never
            away_s = send_s + fixed_s + way.wait_s
            total = total + (1 - estimate.loss) * way.chance * self.key(away_s, send_s, rows)
        if estimate.loss > 0:
            total = total + estimate.loss * self.key(never, never, rows)
        total = (1 - REFUSED) * total + REFUSED * self._own
        vain = (away_s > self._limit_s[pick]) & ~found.local[pick, None]
        return np.where(vain, np.inf, total)


def frame_cost(
    seconds: Floats | float,
    joules: Floats | float,
    f1: Floats | float,
    price: Price,
    top_w: float,
) -> Floats:
    """Cost of answers, in joules; what is given as arrays is broadcast.

    Args:
        seconds: from the start of a frame to its answer.
        joules: drawn beyond the least idle power.
        f1: worth of the answer, 0 to 1.
        price: what the parts weigh.
        top_w: the most that the board draws, in watts.
    """
    late = np.asarray(seconds > price.deadline_s + 1e-12, float)
    worse = price.accuracy * (1 - np.asarray(f1)) + price.late * late
    found = price.energy * joules + price.latency * top_w * seconds
    return np.asarray(found + top_w * price.deadline_s * worse)
