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

"""A board on a timeline: frames arrive, segments run, clocks change late, a controller looks on.

Where the planner counts switch costs per pair of neighbouring segments, this plays them: a request
stalls the caller, and the clock changes when the effect delay has passed, wherever the frame is by
then. Segments progress at the rate of the clocks of the moment. Power is that of the moment too, in
the pauses as well, so that a frame's energy is what a battery pays for it.

The controllers are the robot's own objects (`perception.controllers`). That is why this simulator
lives here, above perception, and not in profiling: profiling searches hertz and is used *by*
controllers, while this plays whole controllers and is used by nobody who runs on a robot. (What
profiling simulates is one frame under one plan, `profiling.planning.delays`, to judge a plan.)
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from e4_ros.energy.plan import FrequencyPlan
from e4_ros.evaluation.simulation.machine import Frame, Machine
from e4_ros.evaluation.simulation.watch import Watch
from e4_ros.perception.active_plan import deepest_points
from e4_ros.perception.controller import (
    BoardState,
    Controller,
    ControllerError,
    Decision,
    Observation,
    OperatingPoint,
    Outcome,
    StreamState,
    Wishes,
    refuse_unknown,
)
from e4_ros.perception.controllers.governors import STOCK, Governors
from e4_ros.profiling.planning.cost_table import Floats

CARRIED = frozenset({'thresholds', 'plan', 'point'})
"""Fields of a decision that a timeline can carry out."""


class MemoryGovernor(Protocol):
    """Scales the memory's clock by itself where the controller leaves it alone."""

    interval_s: float

    def choose(self, busy: float, cycles: float, clock: int) -> int:
        """Index of the next clock; see `perception.controllers.governors.Governor`."""
        ...

    def floor(self, point: OperatingPoint) -> int:
        """Index of the lowest clock that is allowed at the other domains' clocks."""
        ...


@dataclass(frozen=True)
class Played:
    """What a workload cost under a controller.

    Attributes:
        energy_j_per_frame: everything the board drew, pauses included, over the frames.
        latency_s: from arrival to answer, per frame.
        switches: clock changes asked for.
        peak_c: highest temperature.
        seconds: length of it all.
    """

    energy_j_per_frame: float
    latency_s: Floats
    switches: int
    peak_c: float
    seconds: float

    def miss_percent(self, deadline_s: float) -> float:
        """Share of frames later than the deadline."""
        return 100 * float(np.mean(self.latency_s > deadline_s))


def play(
    machine: Machine,
    frames: Sequence[Frame],
    controller: Controller,
    wishes: Wishes,
    end_s: float,
    memory: MemoryGovernor | None = None,
) -> Played:
    """Run all frames, first come first served, and idle until ``end_s``.

    Args:
        machine: the board and what the segments cost on it.
        frames: in the order of their arrival.
        controller: decides; clocks that it leaves alone from the beginning are the kernel's.
        wishes: what the user asks for.
        end_s: seconds on the timeline at which the run ends, if the frames are answered by then.
        memory: scales the machine's last domain where the controller leaves it out.

    Raises:
        ControllerError: the controller decides what no timeline can carry out.
    """
    return Timeline(machine, controller, wishes, memory).run(frames, end_s)


@dataclass
class Timeline:
    """The state of a run. `run_frame` and `wait` move it on.

    Attributes:
        steps: indices of the clocks at which each segment starts; None: steps change nothing.
    """

    machine: Machine
    controller: Controller
    wishes: Wishes
    memory: MemoryGovernor | None = None
    now_s: float = 0.0
    energy_j: float = 0.0
    switches: int = 0
    peak_c: float = 0.0
    steps: list[tuple[int | None, ...]] | None = None
    _pending: list[tuple[float, int, int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        machine, table = self.machine, self.machine.table
        self._shape, self._strides = table.shape, [int(s) for s in table.strides]
        self._latency = table.latency_s.tolist()
        self._power = (table.energy_j / table.latency_s).tolist()
        self._busy = machine.busy
        self._idle_w = machine.idle_w.tolist()
        self._waiting_w = [watts.tolist() for watts in machine.waiting_w]
        self._share = [np.array(axis) / axis[-1] for axis in table.axes_hz]
        self._tables = dict(zip(table.domains, table.axes_hz, strict=True))
        self._index_of = [{hz: i for i, hz in enumerate(axis)} for axis in table.axes_hz]
        thermal = machine.board.thermal
        self._ambient_c, self._tau_s = thermal.ambient_c, thermal.time_constant_s.value
        self._c_per_w = thermal.resistance_c_per_w.value
        self.top_w = max(self._power[s][-1] for s in range(len(self._power)))
        self._asked = list(machine.top())
        self._clocks = list(self._asked)
        self._point = self._number()
        self.temperature_c = self._ambient_c + self._c_per_w * self._idle_w[self._point]
        self._next_tick_s = self._next_memory_s = math.inf
        self._sequence, self._waiting = 0, 0
        self._watch, self._memory_watch = Watch(len(self._shape)), Watch(len(self._shape))
        self._full, self._owned = False, frozenset[str]()
        self._plan: FrequencyPlan | None = None
        self._last: Outcome | None = None
        self._answered_s: float | None = None
        self._begin()

    def _begin(self) -> None:
        """The first decision is in effect from the first moment."""
        self._ticking: Controller = self.controller
        wanted = self._taken(self.controller.decide(self.seen()))
        if wanted is None:
            self._ticking = Governors(STOCK, exits=True)
            wanted = self._taken(self._ticking.decide(self.seen()))
        assert wanted is not None
        self._asked = [w if w is not None else a for w, a in zip(wanted, self._asked, strict=True)]
        self._clocks = list(self._asked)
        self._point = self._number()
        self.temperature_c = self._ambient_c + self._c_per_w * self._idle_w[self._point]
        self._next_tick_s = self._ticking.interval_s or math.inf
        if self.memory is not None:
            self._next_memory_s = self.memory.interval_s

    def run(self, frames: Sequence[Frame], end_s: float) -> Played:
        """Play a whole workload."""
        arrivals = np.array([frame.arrival_s for frame in frames])
        latency_s = np.empty(len(frames))
        for number, frame in enumerate(frames):
            latency_s[number] = self.run_frame(frame, arrivals)
        self.wait(end_s)
        joules = self.energy_j / max(len(frames), 1)
        return Played(joules, latency_s, self.switches, self.peak_c, self.now_s)

    def run_frame(self, frame: Frame, arrivals: Floats | None = None) -> float:
        """Wait for a frame and run it.

        Args:
            frame: the frame.
            arrivals: when each frame of the workload arrives, seconds ascending, to count those
                that wait; None: none wait.

        Returns:
            Its latency in seconds, from arrival to answer.
        """
        self.wait(frame.arrival_s)
        began_j = self.energy_j
        depth = len(self._latency) if self._full else frame.depth
        segment_s, points = [], []
        for segment in range(depth):
            began_s = self.now_s
            if self.steps is not None:
                self._ask(self.steps[segment], segment)
            left = 1.0
            while left > 1e-12:
                whole = self._latency[segment][self._point] * frame.longer
                step = min(left * whole, self._next_event_s() - self.now_s)
                self._advance(step, self._power[segment][self._point], segment)
                left -= step / whole
            segment_s.append(self.now_s - began_s)
            points.append(self._hertz(self._clocks))
        latency_s = self.now_s - frame.arrival_s
        if arrivals is not None:
            arrived = np.searchsorted(arrivals, self.now_s, side='right')
            self._waiting = int(arrived - np.searchsorted(arrivals, frame.arrival_s, side='right'))
        self._answer(frame, latency_s, self.energy_j - began_j, segment_s, points)
        return latency_s

    def wait(self, until_s: float) -> None:
        """Idle until then; in a wait that is long enough the board sleeps."""
        idle_w = self._waiting_w[self.machine.depth(until_s - self.now_s)]
        while self.now_s < until_s - 1e-12:
            step = min(until_s, self._next_event_s()) - self.now_s
            self._advance(step, idle_w[self._point], None)

    def seen(self) -> Observation:
        """What the controller is shown, the window being the time since `restart_window`."""
        names = self._tables
        window = self._watch.window(self._clocks, self.temperature_c)
        seconds = window.seconds
        board = BoardState(
            name=self.machine.table.board,
            tables=self._tables,
            point=self._hertz(self._clocks),
            pending={
                name: axis[asked]
                for (name, axis), asked, now in zip(
                    names.items(), self._asked, self._clocks, strict=True
                )
                if asked != now
            },
            window_s=seconds,
            utilisation=dict(zip(names, (window.busy_s / seconds).tolist(), strict=True)),
            invariant_utilisation=dict(zip(names, (window.cycles / seconds).tolist(), strict=True)),
            power_w=window.energy_j / seconds,
            temperature_c=self.temperature_c,
            power_mode=self.machine.board.mode,
            described=self.machine.board,
        )
        stream = StreamState(waiting=self._waiting)
        return Observation(self.now_s, stream, board, self.wishes, self._last)

    def hold(self, clocks: tuple[int | None, ...]) -> None:
        """Let somebody else than the controller choose the clocks, from the next segment on."""
        self.steps = [clocks] * len(self._latency)

    def restart_window(self) -> None:
        """Begin a new window."""
        self._watch = Watch(len(self._shape))

    # -- decisions ------------------------------------------------------------------------------

    def _answer(
        self,
        frame: Frame,
        latency_s: float,
        energy_j: float,
        segment_s: Sequence[float],
        points: Sequence[OperatingPoint],
    ) -> None:
        """A frame was answered: tell the controller, and ask it where it decides per frame."""
        before, self._answered_s = self._answered_s, self.now_s
        period_s = None if before is None else self.now_s - before
        name = frame.exit if not self._full else 'full'
        self._last = Outcome(name, latency_s, energy_j, period_s, segment_s, points)
        self.controller.observe(self._last)
        if self.controller.interval_s is None:
            wanted = self._taken(self.controller.decide(self.seen()))
            if wanted is not None and self._ticking is not self.controller:
                self._ticking, self._next_tick_s = self.controller, math.inf
            if self._ticking is self.controller:
                self.restart_window()
            self._ask(wanted, None)
        if self.steps is not None:  # the next frame shall find the first segment's clocks
            self._ask(self.steps[0], None)

    def _taken(self, decision: Decision) -> tuple[int | None, ...] | None:
        """Take a decision over; the clocks to ask for now, None for a domain that is left alone."""
        refuse_unknown(decision, CARRIED, 'the simulator')
        if decision.thresholds is not None:
            self._full = self._runs_all(decision.thresholds)
        if decision.plan is not None:
            if decision.plan is not self._plan:
                self._plan, self._owned = decision.plan, frozenset(decision.plan.domains)
                points = deepest_points(decision.plan)
                self.steps = [self._indices(points[s]) for s in range(len(self._latency))]
            assert self.steps is not None
            return self.steps[0]
        if decision.point is not None:
            self.steps = self._plan = None
            self._owned = frozenset(decision.point)
            return self._indices(decision.point)
        return None

    def _runs_all(self, thresholds: Mapping[str, float] | None) -> bool:
        if thresholds:
            raise ControllerError(
                'the simulator plays the exits that were recorded, and cannot try other thresholds'
            )
        return thresholds is not None

    def _indices(self, point: OperatingPoint) -> tuple[int | None, ...]:
        table = self.machine.table
        try:
            return tuple(
                of[point[name]] if name in point else None
                for name, of in zip(table.domains, self._index_of, strict=True)
            )
        except KeyError as error:
            raise ControllerError(f'{table.board} has no clock of {error} Hz') from None

    def _hertz(self, clocks: Sequence[int]) -> dict[str, int]:
        return {
            name: axis[clock]
            for (name, axis), clock in zip(self._tables.items(), clocks, strict=True)
        }

    # -- time -----------------------------------------------------------------------------------

    def _next_event_s(self) -> float:
        pending = self._pending[0][0] if self._pending else math.inf
        return max(min(self._next_tick_s, self._next_memory_s, pending), self.now_s)

    def _advance(self, seconds: float, watts: float, segment: int | None) -> None:
        self.now_s += seconds
        self.energy_j += watts * seconds
        goal_c = self._ambient_c + self._c_per_w * watts
        self.temperature_c += (goal_c - self.temperature_c) * -math.expm1(-seconds / self._tau_s)
        self.peak_c = max(self.peak_c, self.temperature_c)
        busy = None if segment is None else self._busy[segment, self._point]
        shares = [self._share[d][clock] for d, clock in enumerate(self._clocks)]
        self._watch.add(seconds, watts, busy, shares)
        self._memory_watch.add(seconds, watts, busy, shares)
        while self._pending and self._pending[0][0] <= self.now_s + 1e-12:
            _, _, domain, clock = heapq.heappop(self._pending)
            self._clocks[domain] = clock
            self._point = self._number()
        if self._next_tick_s <= self.now_s + 1e-12:
            assert self._ticking.interval_s is not None
            self._next_tick_s += self._ticking.interval_s
            decision = self._ticking.decide(self.seen())
            self.restart_window()
            self._ask(self._taken(decision), None)
        if self._next_memory_s <= self.now_s + 1e-12:
            self._scale_memory()

    def _scale_memory(self) -> None:
        assert self.memory is not None
        self._next_memory_s += self.memory.interval_s
        if self.machine.table.domains[-1] in self._owned:
            return
        seen = self._memory_watch.window(self._clocks, self.temperature_c)
        self._memory_watch = Watch(len(self._shape))
        busy, cycles = seen.busy_s[-1] / seen.seconds, seen.cycles[-1] / seen.seconds
        clock = self.memory.choose(busy, cycles, self._clocks[-1])
        clock = max(clock, self.memory.floor(self._hertz(self._clocks)))
        self._ask((*[None] * (len(self._shape) - 1), clock), None)

    # -- clocks ---------------------------------------------------------------------------------

    def _ask(self, wanted: Sequence[int | None] | None, segment: int | None) -> None:
        """Request clocks; inside a frame the caller waits for the stall."""
        if wanted is None:
            return
        for d, clock in enumerate(wanted):
            if clock is None or clock == self._asked[d]:
                continue
            self._asked[d] = clock
            self.switches += 1
            effect_s = self.now_s + self.machine.switch.effect_s[d]
            self._sequence += 1
            heapq.heappush(self._pending, (effect_s, self._sequence, d, clock))
            stall_s = self.machine.switch.stall_s[d]
            if segment is not None and stall_s:
                self._advance(stall_s, self._idle_w[self._point], None)
        if self._pending and self._pending[0][0] <= self.now_s:
            self._advance(0.0, 0.0, None)

    def _number(self) -> int:
        return sum(c * s for c, s in zip(self._clocks, self._strides, strict=True))
