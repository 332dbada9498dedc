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

"""What every version costs at every operating point, and how good that is by given weights.

A choice is a version at an operating point. It has an accuracy, a latency and joules, each turned
into a score from 0, the worst that a sensible choice has, to 1, the best. What the application
weighs makes one score of the three. Choices that another one beats in all three are left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from e4_ros.energy.board_model import BoardModel
from e4_ros.perception.controller import OperatingPoint
from e4_ros.perception.versions import Version
from e4_ros.perception.weights import Weights
from e4_ros.profiling.planning.cost_table import CostTable
from e4_ros.vision.inference.exit_thresholds import FULL

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


@dataclass(frozen=True)
class Rates:
    """What a stream does, as far as costs depend on it.

    Attributes:
        shares: exit → share of the frames that stop there.
        period_s: seconds from frame to frame, which the board waits out; 0: no wait is counted.
    """

    shares: Mapping[str, float]
    period_s: float = 0.0


@dataclass(frozen=True)
class Costs:
    """What one version costs.

    Attributes:
        points: the operating points, one for each column; a single None where nobody sets clocks.
        latency_s, energy_j: exit → seconds and joules at each of them, ``(P,)``.
        waiting_w: watts of the waiting board at each of them, ``(P,)``.
    """

    points: Sequence[OperatingPoint | None]
    latency_s: Mapping[str, Floats]
    energy_j: Mapping[str, Floats]
    waiting_w: Floats

    @classmethod
    def of_table(cls, version: Version, table: CostTable, board: BoardModel | None) -> Costs:
        """Of a version whose segments' costs are known at every point.

        Args:
            version: the version.
            table: costs of its segments.
            board: what waits cost; None: nothing.
        """
        paths = {name: list(path) for name, path in version.stream.paths.items()}
        points = [table.point(i) for i in range(table.latency_s.shape[1])]
        if board is None:
            waiting_w = np.zeros(len(points))
        else:
            idle = board.idle_point()
            known = [{n: hz for n, hz in p.items() if n in board.domains} for p in points]
            waiting_w = np.asarray(board.waiting_w([idle | p for p in known], 0.0), float)
        return cls(
            points,
            {name: table.latency_s[path].sum(0) for name, path in paths.items()},
            {name: table.energy_j[path].sum(0) for name, path in paths.items()},
            waiting_w,
        )

    @classmethod
    def of_machine(cls, version: Version) -> Costs:
        """Of a version on a machine whose clocks nobody sets: as it was measured here.

        Where joules are unknown, they are taken for seconds: power hardly depends on the version.
        """
        full_s = version.latency_s.get(FULL, math.nan)
        latency = {
            name: np.array([version.latency_s.get(name, full_s)]) for name in version.stream.paths
        }
        known = all(math.isfinite(version.energy_j.get(n, math.nan)) for n in version.stream.paths)
        energy = (
            {name: np.array([version.energy_j[name]]) for name in latency} if known else latency
        )
        return cls([None], latency, energy, np.zeros(1))


@dataclass(frozen=True)
class Scale:
    """What is worst and best among sensible choices: those that no other one beats in everything.

    It is taken once, at the habits of the footage that versions were measured on, so that what a
    weight means does not change with the stream.

    Attributes:
        f1, latency_s, energy_j: the smallest and the largest.
    """

    f1: tuple[float, float]
    latency_s: tuple[float, float]
    energy_j: tuple[float, float]

    def score(self, weights: Weights, f1: Floats, latency_s: Floats, energy_j: Floats) -> Floats:
        """How good choices are: 1 is the best in everything; an unknown accuracy is left out."""
        found = weights.latency * (self.latency_s[1] - latency_s) / _range(self.latency_s)
        found = found + weights.energy * (self.energy_j[1] - energy_j) / _range(self.energy_j)
        if math.isfinite(self.f1[0]):
            found = found + weights.accuracy * (f1 - self.f1[0]) / _range(self.f1)
        return np.asarray(found)

    @property
    def range_s(self) -> float:
        """Seconds between the slowest and the fastest."""
        return _range(self.latency_s)

    @property
    def range_j(self) -> float:
        """Joules between the dearest and the cheapest."""
        return _range(self.energy_j)


class VersionTable:
    """The choices among versions and operating points.

    Args:
        versions: the versions.
        costs: of each of them.
        rates: what the stream does.
        scale: what scores are on; None: that of these choices.

    Attributes:
        version: index of each choice's version, ``(K,)``.
        points: operating point of each choice.
        f1: accuracy, ``(K,)``; NaN throughout where one of the versions' is unknown.
        latency_s: of a mean frame, ``(K,)``.
        costs, rates, scale: as given, or as made.
    """

    def __init__(
        self,
        versions: Sequence[Version],
        costs: Sequence[Costs],
        rates: Rates,
        scale: Scale | None = None,
    ) -> None:
        self.costs, self.rates = costs, rates
        found = [_choices(cost, rates) for cost in costs]
        counts = [len(each[0]) for each in found]
        self.version: Indices = np.repeat(np.arange(len(costs), dtype=np.intp), counts)
        places, self.latency_s, self._active_j, self._waiting_w = (
            np.concatenate(parts) for parts in zip(*found, strict=True)
        )
        self.points = [
            costs[v].points[p] for v, p in zip(self.version.tolist(), places.tolist(), strict=True)
        ]
        known = np.array([version.f1 for version in versions], float)
        if not np.isfinite(known).all():
            known = np.full(len(versions), math.nan)
        self.f1: Floats = known[self.version]
        self.scale = scale or self._own_scale()

    @property
    def knows_accuracy(self) -> bool:
        """Whether there is an accuracy to choose by."""
        return bool(np.isfinite(self.f1).all())

    def energy_j(self, slower: Floats | float = 1.0) -> Floats:
        """Joules of a mean frame and the wait behind it, ``(K,)``, where it takes longer."""
        wait_s = np.maximum(self.rates.period_s - self.latency_s * slower, 0.0)
        return np.asarray(self._active_j * slower + wait_s * self._waiting_w)

    def score(
        self,
        weights: Weights,
        slower: Floats | float = 1.0,
        dearer: Floats | float = 1.0,
    ) -> Floats:
        """How good each choice is, ``(K,)``; 1 is the best in everything.

        Args:
            weights: what the application weighs.
            slower: how many times as long frames are seen to take, for each choice or for all.
            dearer: how many times as much they are seen to spend, beyond what that explains.
        """
        latency_s, energy_j = self.latency_s * slower, self.energy_j(slower) * dearer
        return self.scale.score(weights, self.f1, latency_s, energy_j)

    def losses(self, weights: Weights) -> Floats:
        """What a frame's seconds and its joules take off each choice's score, ``(K, 2)``."""
        return np.stack(
            [
                weights.latency * self.latency_s / self.scale.range_s,
                weights.energy * self.energy_j() / self.scale.range_j,
            ],
            axis=1,
        )

    def best_of(self, version: int, scores: Floats) -> int:
        """The best choice of one version."""
        own = np.flatnonzero(self.version == version)
        return int(own[np.argmax(scores[own])])

    def front(self) -> Indices:
        """Choices that no other one beats in everything."""
        f1 = self.f1 if self.knows_accuracy else np.zeros(len(self.f1))
        return pareto(np.stack([-f1, self.latency_s, self.energy_j()], axis=1))

    def _own_scale(self) -> Scale:
        keep = self.front()
        spans = [
            (float(values[keep].min()), float(values[keep].max()))
            for values in (self.f1, self.latency_s, self.energy_j())
        ]
        return Scale(*spans)


def _choices(cost: Costs, rates: Rates) -> tuple[Indices, Floats, Floats, Floats]:
    """A version's points that are not both slower and dearer than another one.

    Returns:
        Their places, the seconds and joules of a mean frame, and the watts of a wait.
    """
    shares = _shares(rates.shares, cost.latency_s)
    latency_s = np.asarray(sum(share * cost.latency_s[name] for name, share in shares.items()))
    active_j = np.asarray(sum(share * cost.energy_j[name] for name, share in shares.items()))
    wait_s = np.maximum(rates.period_s - latency_s, 0.0)
    kept = _front(latency_s, active_j + wait_s * cost.waiting_w)
    return kept, latency_s[kept], active_j[kept], cost.waiting_w[kept]


def pareto(costs: Floats) -> Indices:
    """Rows that no other row beats: none is at most as large everywhere and smaller somewhere.

    Args:
        costs: ``(N, D)``, the less the better; of rows that are equal all are kept.
    """
    no_worse = (costs[:, None] <= costs[None]).all(-1)
    better = (costs[:, None] < costs[None]).any(-1)
    return np.flatnonzero(~(no_worse & better).any(0))


def _front(latency_s: Floats, energy_j: Floats) -> Indices:
    """Points that are not both slower and dearer than another one, the fastest first."""
    order = np.lexsort((energy_j, latency_s))
    lowest = np.minimum.accumulate(energy_j[order])
    keep = np.ones(len(order), bool)
    keep[1:] = energy_j[order][1:] < lowest[:-1]
    return order[keep]


def _range(span: tuple[float, float]) -> float:
    """What lies between smallest and largest; something where they are one."""
    return (span[1] - span[0]) or abs(span[1]) or 1.0


def _shares(shares: Mapping[str, float], exits: Mapping[str, Floats]) -> dict[str, float]:
    """Shares that sum to 1; those of exits that a version lacks go to its whole network."""
    found = dict.fromkeys(exits, 0.0)
    deepest = FULL if FULL in found else list(found)[-1]
    for name, share in shares.items():
        found[name if name in found else deepest] += share
    total = sum(found.values())
    if not total > 0:
        return {name: float(name == deepest) for name in found}
    return {name: share / total for name, share in found.items() if share > 0}
