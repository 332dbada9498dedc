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

"""Worlds in which versions of a model take turns, and the least that they can cost.

A world is a stream of frames on a described board: what the application weighs changes, the
battery may run down, other work slows the machine, each version is a little slower or quicker than
its table says, and key frames come more or less often. A controller sees of that what a robot sees.
Its cost is what its choices cost on average, which no luck with a single frame changes.

The clairvoyant one knows the whole world in advance: it takes the cheapest path through all choices
of all frames, changes counted, by dynamic programming. Nobody can cost less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from e4_ros.energy.board_model import BoardModel
from e4_ros.energy.boards import load_board
from e4_ros.perception.controller import (
    BoardState,
    Controller,
    Observation,
    OperatingPoint,
    Outcome,
    StreamState,
    Wishes,
)
from e4_ros.perception.controllers.version_table import Costs, Rates, VersionTable
from e4_ros.perception.preference import DEFAULT_RESERVE, with_battery
from e4_ros.perception.versions import Version
from e4_ros.perception.weights import Weights
from e4_ros.profiling.planning.cost_table import CostTable
from e4_ros.vision.inference.exit_thresholds import FULL

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

DOMAINS = ('cpu', 'gpu')
_NOISE = 0.08  # of a single frame's time, as a logarithm
_ODDS = 0.15  # of a version's own time against its table, as a logarithm
_BUSY = (1.0, 1.6)  # how many times as long frames take while others work


@dataclass(frozen=True)
class Setting:
    """What does not change from world to world.

    Attributes:
        versions: what controllers know of the versions.
        f1: how right each really is there, ``(V,)``.
        board: name of the board.
        exits: names of the exits of a recorded stream, in order.
        period_s: seconds from frame to frame.
    """

    versions: Sequence[Version]
    f1: Floats
    board: str
    exits: Sequence[str]
    period_s: float = 0.1


class World:
    """One stream.

    Args:
        setting: what does not change.
        frames: how many frames.
        seed: of all that is random.
        hold: frames for which the same is weighed; 0: throughout.
        calm: whether nothing slows frames down, and versions take what their tables say.
        weights: what is weighed throughout; None: others again and again.

    Attributes:
        table: all choices at what is known before the stream begins; its scale is the costs'.
        cost: of each choice at each frame, without changes, ``(T, K)``.
        change: what a change of version costs at each frame, ``(T,)``.
        weights: what is weighed at each frame, the battery left aside.
        battery: its charge at each frame, ``(T,)``.
        slower: how many times as long as in the table each version takes, ``(T, V)``.
    """

    def __init__(
        self,
        setting: Setting,
        frames: int,
        seed: int,
        hold: int = 120,
        calm: bool = False,
        weights: Weights | None = None,
    ) -> None:
        self.setting, self._seed = setting, seed
        self._random = np.random.default_rng(seed)
        described = load_board(setting.board)
        model = BoardModel(described)
        self._tables = [
            CostTable.from_board(model, v.stream.works, v.stream.model, DOMAINS)
            for v in setting.versions
        ]
        self._costs = [
            Costs.of_table(v, table, model)
            for v, table in zip(setting.versions, self._tables, strict=True)
        ]
        axes = dict(zip(self._tables[0].domains, self._tables[0].axes_hz, strict=True))
        self._board = BoardState(
            setting.board, axes, {n: a[-1] for n, a in axes.items()}, described=described
        )
        self._exits = self._stream_of(frames)
        known = list(dict.fromkeys(self._exits))
        usual = setting.versions[0].shares or {FULL: 1.0}
        self.table = VersionTable(setting.versions, self._costs, Rates(usual, setting.period_s))
        self.weights = self._wishes(frames, hold, weights)
        self.battery = self._charge(frames, calm)
        self.slower = self._slowness(frames, calm)
        self._mean_shares = self._shares_over_time(known)
        self._names = known
        self._count()

    def __len__(self) -> int:
        return len(self._exits)

    def weighed(self, frame: int) -> Weights:
        """What counts at a frame, battery included."""
        return with_battery(self.weights[frame], float(self.battery[frame]), DEFAULT_RESERVE)

    def cost_of(self, frame: int, version: int, point: OperatingPoint) -> float:
        """What a version at a point costs at a frame, changes left aside; it may be any point."""
        latency_s, energy_j = self.spent(frame, version, point)
        f1 = np.array(self.setting.f1[version])
        scored = self.table.scale.score(
            self.weighed(frame), f1, np.array(latency_s), np.array(energy_j)
        )
        return 1 - float(scored)

    def spent(self, frame: int, version: int, point: OperatingPoint) -> tuple[float, float]:
        """Seconds and joules of a mean frame, its wait included, as they are about a frame."""
        place = self._tables[version].index(point)
        cost, slower = self._costs[version], float(self.slower[frame, version])
        latency = energy = 0.0
        for share, name in zip(self._mean_shares[frame], self._names, strict=True):
            exit_ = name if name in cost.latency_s else FULL
            latency += share * float(cost.latency_s[exit_][place])
            energy += share * float(cost.energy_j[exit_][place])
        latency, energy = latency * slower, energy * slower
        wait_s = max(self.setting.period_s - latency, 0.0)
        return latency, energy + wait_s * float(cost.waiting_w[place])

    def least(self) -> tuple[float, Indices]:
        """The clairvoyant: mean cost of a frame, and the choice at each frame."""
        frames, choices = self.cost.shape
        version = self.table.version
        best, came = self.cost[0].copy(), np.zeros((frames, choices), np.intp)
        count = len(self.setting.versions)
        for t in range(1, frames):
            cheapest = int(np.argmin(best))
            own = np.array([np.flatnonzero(version == v)[np.argmin(best[version == v])]
                            for v in range(count)])  # fmt: skip
            stay, leave = best[own][version], best[cheapest] + self.change[t]
            goes = leave < stay
            came[t] = np.where(goes, cheapest, own[version])
            best = np.where(goes, leave, stay) + self.cost[t]
        path = np.empty(frames, np.intp)
        path[-1] = int(np.argmin(best))
        for t in range(frames - 1, 0, -1):
            path[t - 1] = came[t, path[t]]
        return float(best.min()) / frames, path

    def play(self, controller: Controller) -> Played:
        """Let a controller choose, frame by frame; single frames scatter alike for all of them."""
        self._random = np.random.default_rng((self._seed, 1))
        names = [version.name for version in self.setting.versions]
        answering, last = 0, None
        point: OperatingPoint = self._board.point
        costs, choices, points = np.empty(len(self)), np.empty(len(self), np.intp), []
        for t in range(len(self)):
            board = replace(self._board, point=point, window_s=self.setting.period_s)
            seen = Observation(
                t * self.setting.period_s,
                StreamState(version=names[answering]),
                board,
                Wishes(weights=self.weights[t]),
                last,
                battery=float(self.battery[t]),
            )
            decision = controller.decide(seen)
            before = answering
            if decision.version is not None:
                answering = names.index(decision.version)
            point = decision.point or point
            costs[t] = self.cost_of(t, answering, point)
            if answering != before and t:
                costs[t] += self.change[t]
            choices[t] = answering
            points.append(point)
            last = self._outcome(t, answering, point)
            controller.observe(last)
        return Played(costs, choices, points)

    # -- how -------------------------------------------------------------------------------------

    def _stream_of(self, frames: int) -> list[str]:
        """The recorded exits again and again, from anywhere on."""
        recorded = list(self.setting.exits)
        start = int(self._random.integers(len(recorded)))
        return [recorded[(start + i) % len(recorded)] for i in range(frames)]

    def _wishes(self, frames: int, hold: int, weights: Weights | None) -> list[Weights]:
        if weights is not None:
            return [weights] * frames
        blocks = -(-frames // (hold or frames))
        drawn = [Weights(*self._random.dirichlet((1, 1, 1))) for _ in range(blocks)]
        return [drawn[i // (hold or frames)] for i in range(frames)]

    def _charge(self, frames: int, calm: bool) -> Floats:
        """Every other battery is half full at first, and empty at the end."""
        if calm or self._random.random() < 0.5:
            return np.ones(frames)
        return np.linspace(0.5, 0.02, frames)

    def _slowness(self, frames: int, calm: bool) -> Floats:
        count = len(self.setting.versions)
        if calm:
            return np.ones((frames, count))
        own = np.exp(self._random.normal(0, _ODDS, count))
        others, busy, left = np.empty(frames), False, 0
        level = 1.0
        for t in range(frames):
            if not left:
                busy, left = not busy, int(self._random.integers(60, 240))
                level = float(self._random.uniform(*_BUSY)) if busy else 1.0
            others[t], left = level, left - 1
        return np.asarray(others[:, None] * own[None])

    def _shares_over_time(self, known: Sequence[str]) -> Floats:
        """Share of each exit about each frame, ``(T, E)``."""
        taken = np.array([[name == each for each in known] for name in self._exits], float)
        width = min(61, len(taken))
        kernel = np.ones(width)
        norm = np.convolve(np.ones(len(taken)), kernel, 'same')
        return np.stack([np.convolve(row, kernel, 'same') / norm for row in taken.T], axis=1)

    def _count(self) -> None:
        """Costs of all choices at all frames."""
        table, frames = self.table, len(self)
        latency, energy = (np.zeros((len(self._names), len(table.version))) for _ in range(2))
        waiting = np.empty(len(table.version))
        for k, (v, point) in enumerate(zip(table.version, table.points, strict=True)):
            assert point is not None
            place, cost = self._tables[v].index(point), self._costs[v]
            waiting[k] = cost.waiting_w[place]
            for e, name in enumerate(self._names):
                exit_ = name if name in cost.latency_s else FULL
                latency[e, k] = cost.latency_s[exit_][place]
                energy[e, k] = cost.energy_j[exit_][place]
        slower = self.slower[:, table.version]
        latency_s = (self._mean_shares @ latency) * slower
        energy_j = (self._mean_shares @ energy) * slower
        energy_j = energy_j + np.maximum(self.setting.period_s - latency_s, 0) * waiting
        f1 = np.asarray(self.setting.f1)[table.version]
        self.cost: Floats = np.empty((frames, len(table.version)))
        self.change: Floats = np.empty(frames)
        switch_s = max(version.switch_s for version in self.setting.versions)
        for t in range(frames):
            weights = self.weighed(t)
            self.cost[t] = 1 - table.scale.score(weights, f1, latency_s[t], energy_j[t])
            self.change[t] = weights.latency * switch_s / table.scale.range_s

    def _outcome(self, frame: int, version: int, point: OperatingPoint) -> Outcome:
        table, chosen = self._tables[version], self.setting.versions[version]
        paths = chosen.stream.paths
        name = self._exits[frame] if self._exits[frame] in paths else FULL
        path, place = list(paths[name]), table.index(point)
        factor = float(self.slower[frame, version] * np.exp(self._random.normal(0, _NOISE)))
        segment_s = (table.latency_s[path, place] * factor).tolist()
        latency_s = sum(segment_s)
        wait_s = max(self.setting.period_s - latency_s, 0.0)
        energy_j = float(table.energy_j[path, place].sum()) * factor
        energy_j += wait_s * float(self._costs[version].waiting_w[place])
        points = [point] * len(path)
        return Outcome(
            name, latency_s, energy_j, self.setting.period_s, segment_s, points, chosen.name
        )


@dataclass(frozen=True)
class Played:
    """What a controller chose.

    Attributes:
        cost: of each frame, ``(T,)``, changes included.
        version: index of the version that answered it, ``(T,)``.
        points: operating point of each frame.
    """

    cost: Floats
    version: Indices
    points: Sequence[OperatingPoint]

    @property
    def switches(self) -> int:
        """How often the version changed."""
        return int(np.count_nonzero(np.diff(self.version)))


def hypervolume(points: Floats, worst: Floats) -> float:
    """Volume of what some point is at least as good as; the less the better in each of the three.

    Args:
        points: ``(N, 3)``.
        worst: corner of the volume, ``(3,)``; points beyond it count as far as they reach.
    """
    inside = np.minimum(points, worst)
    axes = [np.unique(np.append(inside[:, d], worst[d])) for d in range(3)]
    cells = np.meshgrid(*(axis[:-1] for axis in axes), indexing='ij')
    sizes = np.meshgrid(*(np.diff(axis) for axis in axes), indexing='ij')
    covered = np.zeros(cells[0].shape, bool)
    for point in inside:
        covered |= np.all([cell >= value for cell, value in zip(cells, point, strict=True)], 0)
    return float((covered * sizes[0] * sizes[1] * sizes[2]).sum())
