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

"""A robot, a link and a server on a timeline, frame by frame: what policies of offloading cost.

A frame comes every period. Most are answered by tracks; the others are key frames, which the
network runs on, here or there. What a controller decides after an answer holds from the next frame
on, if the frame does not begin at once; its clocks, when the board has changed them. One request is
under way at a time: where the one before still blocks the link, the robot answers itself.

The costs are those of `controllers.dvfo.costs`, at the rates, waits and losses that really come,
and on a board that is a little faster or slower than its file says. Nobody is told by how much.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from e4_ros.energy.board_model import BoardModel, SegmentWork, works_as_if_on
from e4_ros.energy.boards import load_board
from e4_ros.evaluation.simulation.edge_server_load import Crowd, waits
from e4_ros.evaluation.simulation.edge_traces import STEP_S, LinkTrace, Weather, markov_trace
from e4_ros.offload.request import Offload
from e4_ros.perception.active_plan import Stream
from e4_ros.perception.controller import BoardState
from e4_ros.perception.controllers.context import Context
from e4_ros.perception.controllers.dvfo.base import levels
from e4_ros.perception.controllers.dvfo.choices import MEASURED, MEASURED_ON, NOTHING, Choice
from e4_ros.perception.controllers.dvfo.costs import (
    FrameCosts,
    Price,
    PricedCosts,
)
from e4_ros.profiling.planning.cost_table import CostTable, Floats

MODEL = MEASURED_ON
DOMAINS = ('cpu', 'gpu', 'emc')

WORKS = (
    SegmentWork('track', 0, 0, 0, 'cpu', 2_500_000.0),
    SegmentWork('prepare', 0, 1_350_000, 0, 'cpu', 999_000.0),
    SegmentWork('stage0', 615_462_896, 146_710_184, 129, 'cuda', 248_600.0),
)
"""The shipped pedestrian detector in one stage, with its tracks, as its engine's segments say."""

PATHS = {'track': [0], 'full': [0, 1, 2]}


@dataclass(frozen=True)
class Scenario:
    """A kind of world; a seed makes one of it.

    Attributes:
        board: name of the virtual board.
        device: device that its network runs on.
        share: share of the processors that perception gets; other programs have the rest, and what
            these draw is not counted. `make demo-edge` gives its robot a fifth of a core.
        choices: what can be sent.
        weather, crowd: what link and server are like.
        trace: a link of one's own, instead of made ones.
        price: what the parts of a frame's cost weigh.
        period_s: seconds from frame to frame.
        key_share: share of the frames that the network must run on.
        server_s: seconds that the server computes the whole network.
        unlike: by how much, as a standard deviation of its logarithm, the board's times differ from
            its file, and the server's from each other.
    """

    board: str = 'jetson_tx2'
    device: str = 'cpu'
    share: float = 0.25
    choices: tuple[Choice, ...] = MEASURED
    weather: Weather = Weather()  # noqa: RUF009
    crowd: Crowd = Crowd()  # noqa: RUF009
    trace: LinkTrace | None = None
    price: Price = Price(deadline_s=0.2)  # noqa: RUF009
    period_s: float = 0.25
    key_share: float = 0.35
    server_s: float = 0.012
    unlike: float = 0.1

    def context(self) -> Context:
        """What a controller is told of it: a table as if measured, at the file's speed."""
        stream = Stream(MODEL, works_as_if_on(self.device, WORKS), PATHS)
        return Context(stream, self.domains, table=self.table(), choices=self.choices)

    def table(self, slower: float = 1.0) -> CostTable:
        """What the segments take and draw.

        Args:
            slower: how many times as long as its file says the board takes.
        """
        board = load_board(self.board)
        model, works = BoardModel(board), works_as_if_on(self.device, WORKS)
        tables = {name: board.domains[name].allowed_hz for name in self.domains}
        thin = {name: tuple(t[i] for i in levels(len(t))) for name, t in tables.items()}
        table = CostTable.from_board(model, works, MODEL, self.domains, thin)
        if board.mode:
            table = replace(table, power_mode=board.mode)
        longer = slower / self.share - 1  # of which the others' part draws what waiting does
        waiting_w = model.waiting_w([table.point(p) for p in range(table.latency_s.shape[1])], 0.05)
        own_j = slower * table.energy_j
        others_s = (longer + 1 - slower) * table.latency_s
        return replace(
            table,
            latency_s=(1 + longer) * table.latency_s,
            energy_j=own_j + waiting_w * others_s,
        )

    @property
    def domains(self) -> tuple[str, ...]:
        """Those that can be clocked."""
        known = load_board(self.board).domains
        return tuple(name for name in DOMAINS if name in known)

    def board_state(self) -> BoardState:
        """The board with all that it allows, its clocks at their tops."""
        board = load_board(self.board)
        tables = {name: tuple(board.domains[name].allowed_hz) for name in self.domains}
        point = {name: table[-1] for name, table in tables.items()}
        return BoardState(self.board, tables, point, described=board, power_mode=board.mode)


@dataclass(frozen=True, eq=False)
class Conditions:
    """What happens in one world, whatever a policy does.

    Attributes:
        bits: bits that the link has carried by the beginning of each step, ``(N + 1,)``.
        loss, wait_s: in each step, ``(N,)``.
        key: whether each frame is a key frame, ``(F,)``.
        chance: a number from 0 to 1 for each frame; its request is lost where that is below the
            loss of the moment.
        server: how many times as long as usual the server computes each frame's request.
        costs: seconds and joules of the board as it really is.
    """

    trace: LinkTrace
    bits: Floats
    wait_s: Floats
    key: np.ndarray
    chance: Floats
    server: Floats
    costs: FrameCosts
    scenario: Scenario = field(repr=False)

    @classmethod
    def of(cls, scenario: Scenario, seed: int, frames: int) -> Conditions:
        """The world of a seed."""
        seconds = frames * scenario.period_s + 5.0
        trace = scenario.trace or markov_trace(seed, seconds, scenario.weather)
        steps = round(seconds / STEP_S)
        trace = _as_long(trace, steps, seed if scenario.trace is not None else 0)
        rng = np.random.default_rng([seed, 3])
        key, now = np.empty(frames, bool), False
        stays = 3.0  # frames in a row, in the mean
        for frame in range(frames):
            if rng.random() < (1 / stays if now else _begins(scenario.key_share, stays)):
                now = not now
            key[frame] = now
        return cls(
            trace,
            np.concatenate([[0.0], np.cumsum(trace.rate_bps) * STEP_S]),
            waits(seed, seconds, scenario.crowd),
            key,
            rng.random(frames),
            np.exp(scenario.unlike * rng.standard_normal(frames)),
            _costs(scenario, float(np.exp(scenario.unlike * rng.standard_normal()))),
            scenario,
        )

    def priced(self) -> PricedCosts:
        """The costs at the scenario's price and pace."""
        return self.costs.under(self.scenario.price, self.scenario.period_s)

    def away(self, frame: int, at_s: Floats, bits: Floats, run_s: Floats) -> tuple[Floats, Floats]:
        """What becomes of requests.

        Args:
            frame: number of the frame.
            at_s: when they are sent, on the timeline.
            bits: how long they are.
            run_s: seconds that the server usually computes them.

        Returns:
            Seconds until the answer is here, infinite where none comes, and seconds of sending.
        """
        steps = len(self.wait_s)
        begins = np.minimum(at_s / STEP_S, steps)
        carried = np.interp(begins, np.arange(steps + 1), self.bits)
        ends = np.interp(carried + bits, self.bits, np.arange(steps + 1), right=np.inf)
        send_s = (ends - begins) * STEP_S
        step = np.minimum(np.where(np.isfinite(ends), ends, 0).astype(int), steps - 1)
        lost = self.chance[frame] < self.trace.loss[np.minimum(begins.astype(int), steps - 1)]
        there_s = self.trace.round_trip_s + self.wait_s[step] + run_s * self.server[frame]
        return np.where(lost, np.inf, send_s + there_s), send_s

    def run_s(self) -> Floats:
        """Seconds that the server usually computes each choice, ``(C,)``."""
        choices = self.costs.choices
        return np.array([self.scenario.server_s * (1 - choice.before) for choice in choices])


def _costs(scenario: Scenario, slower: float) -> FrameCosts:
    """Costs of a board that takes ``slower`` times as long as its file says."""
    table = scenario.table(slower)
    points = np.arange(table.latency_s.shape[1])
    model = BoardModel(load_board(scenario.board))
    waiting_w = model.waiting_w([table.point(int(p)) for p in points], 0.05)
    return FrameCosts(table, points, PATHS, (NOTHING, *scenario.choices), waiting_w)


def same(offload: Offload, other: Offload) -> bool:
    """Whether two ask for the same, but for the deadline."""
    return replace(offload, deadline_s=1.0) == replace(other, deadline_s=1.0)


def _as_long(trace: LinkTrace, steps: int, seed: int) -> LinkTrace:
    """A trace that is repeated until it is long enough, beginning somewhere by the seed."""
    start = 0
    if seed:
        start = int(np.random.default_rng([seed, 4]).integers(len(trace.rate_bps)))
    at = (start + np.arange(steps)) % len(trace.rate_bps)
    return LinkTrace(trace.rate_bps[at], trace.loss[at], trace.round_trip_s)


def _begins(share: float, stays: float) -> float:
    """Chance that a run of key frames begins, so that their share is met."""
    return min(share / (1 - share) / stays, 1.0) if share < 1 else 1.0
