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

"""A controller on a world of a robot, a link and a server (`edge_world`), frame by frame."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from e4_ros.energy.boards import load_board
from e4_ros.evaluation.simulation.edge_traces import STEP_S
from e4_ros.evaluation.simulation.edge_watch import HEARTBEAT_S, LinkWatch, Sample
from e4_ros.evaluation.simulation.edge_world import PATHS, Conditions, same
from e4_ros.offload.exchange import ANSWERED, LOST, REFUSED
from e4_ros.offload.request import (
    EDGE,
    FOLLOW,
    LOCAL,
    NETWORK,
    ROBOT,
    TAIL,
    Offload,
    RequestOutcome,
)
from e4_ros.perception.controller import (
    BoardState,
    Controller,
    ControllerError,
    Decision,
    Observation,
    Outcome,
    StreamState,
    Wishes,
    refuse_unknown,
)
from e4_ros.perception.controllers.dvfo.costs import (
    EARLY_F1,
    RADIO_W,
    TRACKS_F1,
    Price,
    frame_cost,
)
from e4_ros.profiling.planning.cost_table import CostTableError, Floats
from e4_ros.profiling.planning.objective import SwitchCost

CARRIED = frozenset({'thresholds', 'point', 'offload'})
"""Fields of a decision that this timeline can carry out."""

THINK_S = 1e-3
"""Seconds from an answer until a decision can hold; a frame that begins sooner is run as before."""


@dataclass(frozen=True)
class Answer:
    """What one frame came to.

    Attributes:
        cost: as `frame_cost` has it, of the energy of the wait after it, too.
        latency_s: seconds from its start to its answer.
        f1: what its answer is worth.
        joules: drawn beyond the least idle power, the radio's included.
        place: where it was answered, one of `PLACES`.
        sent: whether a request of it was sent.
        taken_s: seconds from the newest decision to the beginning of the frame.
        held: whether that decision held in it.
    """

    cost: float
    latency_s: float
    f1: float
    joules: float
    place: str
    sent: bool
    taken_s: float
    held: bool = True


@dataclass
class Timeline:
    """The state of a run; `frame` moves it on by one frame.

    Attributes:
        conditions: what happens.
        choice, point: what holds for the next frame: numbers among the world's.
        every: whether every frame is a key frame, because exits are off.
        now_s: time.
        answers: what the frames came to.
    """

    conditions: Conditions
    choice: int = 0
    point: int = -1
    every: bool = False
    now_s: float = 0.0
    answers: list[Answer] = field(default_factory=list)

    def __post_init__(self) -> None:
        world = self.conditions
        self.scenario, self.costs = world.scenario, world.costs
        self.price, self.run_s = world.scenario.price, world.run_s()
        self.point %= len(self.costs.points)
        self._board = self.scenario.board_state()
        cuts = tuple(dict.fromkeys(c.offload.cut for c in self.costs.choices if c.offload.cut))
        self.watch = LinkWatch({TAIL: 'same', NETWORK: 'same'}, cuts)
        self._link_free_s = self._ended_s = self._decided_s = self._beat_s = 0.0
        self._pending: tuple[int, int, bool] | None = None
        self._clocks, self._clocks_s = self.point, 0.0
        self._next, self._keys = 0, world.key
        self._requests: list[tuple[float, RequestOutcome]] = []
        domains = self.costs.table.domains
        self._effect_s = max(SwitchCost.of_board(load_board(self.scenario.board), domains).effect_s)
        self._index = {choice.offload: i for i, choice in enumerate(self.costs.choices)}

    @property
    def over(self) -> bool:
        """Whether all frames were played."""
        return self._next >= len(self.conditions.key)

    def decide(self, choice: int, point: int, every: bool = False) -> None:
        """Leave a decision; it holds from the next frame on that does not begin at once."""
        self._pending, self._decided_s = (choice, point, every), self.now_s

    def carry(self, decision: Decision) -> None:
        """Leave a controller's decision.

        Raises:
            ControllerError: it asks for what this world cannot do.
        """
        refuse_unknown(decision, CARRIED, 'the simulator of edge servers')
        before = self._pending or (self.choice, self.point, self.every)
        choice, point, every = before
        if decision.offload is not None:
            choice = self._choice_of(decision.offload)
        if decision.point is not None:
            try:
                point = self.costs.table.index(decision.point)
            except CostTableError as error:
                raise ControllerError(str(error)) from None
        if decision.thresholds is not None:
            if decision.thresholds:
                raise ControllerError('this simulator cannot try other thresholds')
            every = True
        self.decide(choice, point, every)

    def frame(self) -> Answer:
        """Play the next frame."""
        costs, period_s = self.costs, self.scenario.period_s
        while self._ended_s >= (self._next + 1) * period_s and self._next + 1 < len(self._keys):
            self._drop()
        number = self._next
        arrival_s = number * period_s
        start_s = max(arrival_s, self._ended_s)
        taken_s = start_s - self._decided_s
        held = self._pending is None or taken_s >= THINK_S
        if self._pending is not None and held:
            self.choice, self.point, self.every = self._pending
            if self.point != self._clocks:
                self._clocks_s = self._decided_s + self._effect_s
            self._pending = None
        self._beat(start_s)
        old = self._clocks if self._clocks_s > start_s else self.point
        answer, ends_s = self._answer(number, start_s, self.point)
        if old != self.point:  # the clocks are still the old ones for a part of the frame
            whole_s = float(costs.whole_s[self.point])
            part = min((self._clocks_s - start_s) / whole_s, 1.0)
            other, others_end_s = self._answer(number, start_s, old, told=False)
            answer = replace(
                answer,
                cost=(1 - part) * answer.cost + part * other.cost,
                latency_s=(1 - part) * answer.latency_s + part * other.latency_s,
                joules=(1 - part) * answer.joules + part * other.joules,
            )
            ends_s = (1 - part) * ends_s + part * others_end_s
        if self._clocks_s <= max(ends_s, start_s):
            self._clocks = self.point
        answer = replace(answer, taken_s=taken_s, held=held)
        self.now_s = start_s + answer.latency_s
        self._ended_s = max(self.now_s, ends_s)
        self._next += 1
        self.answers.append(answer)
        return answer

    def _drop(self) -> None:
        """A newer frame is there already: this one is left to the tracks."""
        self.answers.append(self._made(self.price.deadline_s, 0.0, TRACKS_F1, self.point, 0.0))
        self._next += 1

    def seen(self, last: Outcome | None) -> Observation:
        """What a controller is shown now."""
        link, server = self.watch.seen(self.now_s)
        point, asked = self.costs.point(self._clocks), self.costs.point(self.point)
        pending = {name: hz for name, hz in asked.items() if point[name] != hz}
        board: BoardState = replace(self._board, point=point, pending=pending)
        return Observation(
            self.now_s,
            StreamState(),
            board,
            Wishes(deadline_s=self.price.deadline_s),
            last,
            link,
            server,
        )

    def outcome(self, answer: Answer) -> Outcome:
        """What a controller is told of a frame, and of requests that came back since."""
        came = [request for at_s, request in self._requests if at_s <= self.now_s]
        self._requests = [pair for pair in self._requests if pair[0] > self.now_s]
        key = bool(self.conditions.key[self._next - 1]) or self.every
        whole = key and (answer.f1 != TRACKS_F1 or not answer.sent)
        table, point = self.costs.table, int(self.costs.points[self.point])
        rows = PATHS['full'] if whole and answer.place == ROBOT and not answer.sent else []
        return Outcome(
            'full' if whole else 'track',
            answer.latency_s,
            answer.joules,
            self.scenario.period_s,
            [float(table.latency_s[row, point]) for row in rows],
            [table.point(point)] * len(rows),
            place=answer.place,
            sent_bytes=int(answer.sent),
            requests=tuple(came),
        )

    # -- how ------------------------------------------------------------------------------------

    def _answer(
        self, number: int, start_s: float, point: int, told: bool = True
    ) -> tuple[Answer, float]:
        """A frame at a point, and when the robot is free again."""
        costs, price = self.costs, self.price
        if not (self.conditions.key[number] or self.every):
            seconds, joules = float(costs.early_s[point]), float(costs.early_j[point])
            return self._made(seconds, joules, EARLY_F1, point, seconds), start_s + seconds
        choice = self.choice
        whole_s, whole_j = float(costs.whole_s[point]), float(costs.whole_j[point])
        if not choice:
            return self._made(whole_s, whole_j, 1.0, point, whole_s), start_s + whole_s
        offload = costs.choices[choice].offload
        before_s = float(costs.before_s[choice, point])
        if start_s + before_s < self._link_free_s or not self.watch.seen(start_s)[0].up:
            if told:
                self._requests.append((start_s, RequestOutcome(offload, REFUSED)))
            return self._made(whole_s, whole_j, 1.0, point, whole_s), start_s + whole_s
        away, sending = self.conditions.away(
            number, np.array(start_s + before_s), costs.bits[choice], self.run_s[choice]
        )
        away_s, send_s = float(away), float(sending)
        if told:
            self._send(choice, offload, start_s, before_s, away_s, send_s, number)
        follows = offload.meanwhile == FOLLOW
        bound_s = price.deadline_s if follows else min(whole_s, price.deadline_s)
        edge = before_s + away_s <= bound_s
        busy_s = before_s if follows else whole_s
        joules = float(costs.before_j[choice, point]) if follows else whole_j
        joules += RADIO_W * min(send_s, price.deadline_s)
        own_s, own_f1 = (price.deadline_s, TRACKS_F1) if follows else (whole_s, 1.0)
        seconds, f1 = (before_s + away_s, costs.f1[choice]) if edge else (own_s, own_f1)
        made = self._made(seconds, joules, float(f1), point, busy_s)
        return replace(made, place=EDGE if edge else ROBOT, sent=True), start_s + busy_s

    def _made(self, seconds: float, joules: float, f1: float, point: int, busy_s: float) -> Answer:
        wait_s = max(self.scenario.period_s - busy_s, 0.0)
        joules += float(self.costs.idle_w[point]) * wait_s
        cost = float(frame_cost(seconds, joules, f1, self.price, self.costs.top_w))
        return Answer(cost, seconds, f1, joules, ROBOT, False, 0.0)

    def _send(
        self,
        choice: int,
        offload: Offload,
        start_s: float,
        before_s: float,
        away_s: float,
        send_s: float,
        number: int,
    ) -> None:
        """A request goes off: what the client will learn of it, and when."""
        sent_s = start_s + before_s
        self._link_free_s = sent_s + send_s
        deadline_s = start_s + self.price.deadline_s
        offload = replace(offload, deadline_s=self.price.deadline_s)
        if not math.isfinite(away_s):
            self.watch.lost()
            lost = RequestOutcome(offload, LOST, sent_bytes=int(self.costs.bits[choice] / 8))
            self._requests.append((deadline_s, lost))
            return
        run_s = float(self.run_s[choice] * self.conditions.server[number])
        waited_s = away_s - send_s - run_s - self.conditions.trace.round_trip_s
        rate_bps = self.costs.bits[choice] / max(send_s, 1e-6)
        runs = self.costs.choices[choice].runs
        self.watch.expect(Sample(sent_s + away_s, float(rate_bps), waited_s, runs, run_s))
        total_s = before_s + away_s
        in_time = total_s <= self.price.deadline_s
        legs = {'send': send_s, 'queue': waited_s, 'run': run_s}
        size = int(self.costs.bits[choice] / 8)
        outcome = RequestOutcome(offload, ANSWERED, in_time, size, legs, total_s)
        self._requests.append((start_s + total_s, outcome))

    def _beat(self, now_s: float) -> None:
        """Heartbeats come back where the link is not down."""
        trace = self.conditions.trace
        while self._beat_s <= now_s:
            step = min(round(self._beat_s / STEP_S), len(trace.rate_bps) - 1)
            if trace.rate_bps[step] > 0:
                self.watch.heartbeat(self._beat_s, trace.round_trip_s)
            self._beat_s += HEARTBEAT_S

    def _choice_of(self, offload: Offload) -> int:
        if offload == LOCAL:
            return 0
        for known, index in self._index.items():
            if known.service and same(known, offload):
                return index
        raise ControllerError(f'this world cannot send {offload}')


def play(conditions: Conditions, controller: Controller) -> list[Answer]:
    """Run all frames of a world under a controller.

    Raises:
        ControllerError: it decides what the world cannot do.
    """
    timeline = Timeline(conditions)
    timeline.carry(controller.decide(timeline.seen(None)))
    timeline._decided_s = -1.0  # the first decision holds from the first frame on
    while not timeline.over:
        outcome = timeline.outcome(timeline.frame())
        controller.observe(outcome)
        timeline.carry(controller.decide(timeline.seen(outcome)))
    return timeline.answers


def bound(conditions: Conditions) -> Floats:
    """The least that each frame can cost, ``(F,)``, for whoever knows all that will come.

    Every frame is taken for itself: its clocks are there at once, the link is free, and exits may
    be off for it. So no policy can cost less, and not even one that knows everything need reach it.
    """
    world, costs = conditions, conditions.costs
    priced, run_s = world.priced(), world.run_s()[:, None]
    found = np.empty(len(world.key))
    early = float(priced.early.min())
    for number, key in enumerate(world.key):
        at_s = number * world.scenario.period_s + costs.before_s
        away_s, send_s = world.away(number, at_s, costs.bits[:, None], run_s)
        best = float(priced.key(away_s, send_s).min())
        found[number] = best if key else min(best, early)
    return found


def mean_cost(answers: Sequence[Answer]) -> float:
    """Mean cost of a frame."""
    return float(np.mean([answer.cost for answer in answers]))


def late_percent(answers: Sequence[Answer], price: Price) -> float:
    """Share of frames that were answered after the deadline."""
    return 100 * float(np.mean([a.latency_s > price.deadline_s + 1e-9 for a in answers]))
