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

    C = energy * E + latency * P_max * T + P_max * deadline * (accuracy * (1 - F1) + late * [T > deadline])

E is what the frame draws beyond the idle board at its lowest clocks (computing, the radio, the wait
for the next frame); P_max the most that the board draws; T the time to the answer. The last term is
not the paper's: it is the price of answers that are worse than the full network's, or late. An
answer that is worth nothing costs as much as ``accuracy`` deadlines at full power.

A request that is not answered by the deadline ends as `Offload.meanwhile` says: the robot's own
network has gone on, or the tracks answer at the deadline.
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

RATE_WEIGHTS = (0.25, 0.75)
"""How much the tenth percentile of the rate counts, and how much the fiftieth."""

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

    @property
    def cells(self) -> int:
        """Number of choices times points."""
        return int(self.before_s.size)

    def point(self, index: int) -> dict[str, int]:
        """The clocks of point ``index`` of ``points``: domain → hertz."""
        return self.table.point(int(self.points[index]))

    def cost(self, seconds: Floats, joules: Floats, f1: Floats | float, price: Price) -> Floats:
        """`frame_cost` on this board."""
        return frame_cost(seconds, joules, f1, price, self.top_w)

    def early(self, price: Price, period_s: float) -> Floats:
        """Cost of a frame that an early exit answers, ``(P,)``."""
        rest_s = np.maximum(period_s - self.early_s, 0)
        return self.cost(self.early_s, self.early_j + self.idle_w * rest_s, self.early_f1, price)

    def key(
        self,
        away_s: Floats,
        send_s: Floats,
        price: Price,
        period_s: float,
        rows: NDArray[np.intp] | None = None,
    ) -> Floats:
        """Cost of a key frame, ``(C, P)``, where each choice's answer takes so long.

        Args:
            away_s: seconds from sending to the answer, ``(C, 1)`` or ``(C, P)``; infinite where
                none comes. What `LOCAL` has there does not count.
            send_s: seconds that the radio sends, of the same shape.
            price: what the parts weigh.
            period_s: seconds from frame to frame.
            rows: choices to look at, in this order; all.
        """
        pick = slice(None) if rows is None else rows
        follows, local = self.follows[pick, None], self.local[pick, None]
        answered_s = np.where(local, np.inf, self.before_s[pick] + away_s)
        own_s = np.where(follows & ~local, price.deadline_s, self.whole_s)
        edge = answered_s <= np.where(follows, price.deadline_s, own_s)
        seconds = np.where(edge, answered_s, own_s)
        f1 = np.where(edge, self.f1[pick, None], np.where(follows & ~local, TRACKS_F1, 1.0))
        busy_s = np.where(follows & ~local, self.before_s[pick], self.whole_s)
        joules = np.where(follows & ~local, self.before_j[pick], self.whole_j)
        joules = joules + np.where(local, 0.0, RADIO_W * np.minimum(send_s, price.deadline_s))
        rest_s = np.maximum(np.maximum(period_s, seconds) - busy_s, 0)
        return self.cost(seconds, joules + self.idle_w * rest_s, f1, price)

    def expected(
        self,
        estimate: Estimate,
        price: Price,
        period_s: float,
        rows: NDArray[np.intp] | None = None,
    ) -> Floats:
        """Expected cost of a key frame: bad and usual rates, and answers that never come.

        Args:
            estimate: what requests are counted on to take.
            price: what the parts weigh.
            period_s: seconds from frame to frame.
            rows: choices to look at, in this order; all.

        Returns:
            ``(C, P)``, or with ``rows`` ``(R, P)``.
        """
        pick = slice(None) if rows is None else rows
        looked_at = range(len(self.choices)) if rows is None else rows
        bits = self.bits[pick, None]
        run_s = np.array([estimate.run_of(self.choices[i]) for i in looked_at])[:, None]
        fixed_s = run_s + estimate.trip_s + estimate.wait_s
        total = np.zeros(self.before_s[pick].shape)
        for weight, rate in zip(RATE_WEIGHTS, estimate.rates_bps, strict=True):
            send_s = bits / rate if rate > 0 else np.full(fixed_s.shape, np.inf)
            part = self.key(send_s + fixed_s, send_s, price, period_s, rows)
            total += (1 - estimate.loss) * weight * part
        if estimate.loss > 0:
            never = np.full(fixed_s.shape, np.inf)
            total += estimate.loss * self.key(never, never, price, period_s, rows)
        return total


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
