"""A board on a timeline: frames arrive, segments run, clocks change late, governors look on.

Where the planner counts switch costs per pair of neighbouring segments, this plays them: a request
stalls the caller, and the clock changes when the effect delay has passed, wherever the frame is by
then. Segments progress at the rate of the clocks of the moment. Power is that of the moment too, in
the pauses as well, so that a frame's energy is what a battery pays for it.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from e4_ros.evaluation.simulation.machine import Frame, Machine
from e4_ros.evaluation.simulation.watch import Watch, Window
from e4_ros.profiling.planning.cost_table import Floats


class MemoryGovernor(Protocol):
    """Scales the memory's clock by itself, below whatever policy there is."""

    interval_s: float

    def choose(self, busy: float, cycles: float, clock: int) -> int:
        """Index of the next clock; see `profiling.governors.Governor`."""
        ...


class Policy(Protocol):
    """Chooses clocks: at fixed intervals, and where segments and frames begin and end.

    Each call returns the clock indices wanted from now on, or None to leave them. Clocks of last
    domains that are left out stay at the top, or with a `MemoryGovernor`.
    """

    interval_s: float

    def start(self, machine: Machine) -> tuple[int, ...]:
        """Clocks at the beginning."""
        ...

    def tick(self, window: Window) -> tuple[int, ...] | None:
        """An interval is over."""
        ...

    def segment(self, index: int) -> tuple[int, ...] | None:
        """Segment ``index`` is about to start."""
        ...

    def frame_end(self, latency_s: float, deadline_s: float) -> tuple[int, ...] | None:
        """A frame was answered."""
        ...


@dataclass(frozen=True)
class Played:
    """What a workload cost under a policy.

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
    policy: Policy,
    deadline_s: float,
    end_s: float,
    memory: MemoryGovernor | None = None,
) -> Played:
    """Run all frames, first come first served, and idle until ``end_s``.

    ``memory`` scales the machine's last domain where the policy leaves it out.
    """
    timeline = Timeline(machine, policy, deadline_s, memory)
    if hasattr(policy, 'attach'):
        policy.attach(timeline)
    return timeline.run(frames, end_s)


@dataclass
class Timeline:
    """The state of a run. `run_frame` and `wait` move it on."""

    machine: Machine
    policy: Policy
    deadline_s: float
    memory: MemoryGovernor | None = None
    now_s: float = 0.0
    energy_j: float = 0.0
    switches: int = 0
    peak_c: float = 0.0
    _pending: list[tuple[float, int, int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        machine = self.machine
        self._shape, self._strides = machine.table.shape, [int(s) for s in machine.table.strides]
        self._latency = machine.table.latency_s.tolist()
        self._power = (machine.table.energy_j / machine.table.latency_s).tolist()
        self._busy = machine.busy
        self._idle_w = machine.idle_w.tolist()
        self._share = [np.array(axis) / axis[-1] for axis in machine.table.axes_hz]
        thermal = machine.board.thermal
        self._ambient_c, self._tau_s = thermal.ambient_c, thermal.time_constant_s.value
        self._c_per_w = thermal.resistance_c_per_w.value
        begin = self.policy.start(machine)
        self._asked = [*begin, *machine.top()[len(begin) :]]
        self._clocks = list(self._asked)
        self._point = self._index()
        self.temperature_c = self._ambient_c + self._c_per_w * self._idle_w[self._point]
        self.top_w = max(self._power[s][-1] for s in range(len(self._power)))
        self._next_tick_s = self.policy.interval_s
        if len(begin) == len(self._shape):
            self.memory = None  # the policy chooses that clock as well
        self._next_memory_s = self.memory.interval_s if self.memory else math.inf
        self._sequence = 0
        self._watch, self._memory_watch = Watch(len(self._shape)), Watch(len(self._shape))

    def run(self, frames: Sequence[Frame], end_s: float) -> Played:
        """Play a whole workload."""
        latency_s = np.array([self.run_frame(frame) for frame in frames])
        self.wait(end_s)
        joules = self.energy_j / max(len(frames), 1)
        return Played(joules, latency_s, self.switches, self.peak_c, self.now_s)

    def run_frame(self, frame: Frame) -> float:
        """Wait for a frame and run it; returns its latency."""
        self.wait(frame.arrival_s)
        for segment in range(frame.depth):
            self._ask(self.policy.segment(segment), segment)
            left = 1.0
            while left > 1e-12:
                whole = self._latency[segment][self._point]
                step = min(left * whole, self._next_event_s() - self.now_s)
                self._advance(step, self._power[segment][self._point], segment)
                left -= step / whole
        latency_s = self.now_s - frame.arrival_s
        self._ask(self.policy.frame_end(latency_s, self.deadline_s), None)
        return latency_s

    def wait(self, until_s: float) -> None:
        """Idle until then."""
        while self.now_s < until_s - 1e-12:
            step = min(until_s, self._next_event_s()) - self.now_s
            self._advance(step, self._idle_w[self._point], None)

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
            self._point = self._index()
        if self._next_tick_s <= self.now_s + 1e-12:
            self._next_tick_s += self.policy.interval_s
            wanted = self.policy.tick(self.window())
            self.restart_window()
            self._ask(wanted, None)
        if self._next_memory_s <= self.now_s + 1e-12:
            self._scale_memory()

    def window(self) -> Window:
        """What happened since the policy last looked."""
        return self._watch.window(self._clocks, self.temperature_c)

    def restart_window(self) -> None:
        """Begin a new window."""
        self._watch = Watch(len(self._shape))

    def _scale_memory(self) -> None:
        assert self.memory is not None
        self._next_memory_s += self.memory.interval_s
        seen = self._memory_watch.window(self._clocks, self.temperature_c)
        self._memory_watch = Watch(len(self._shape))
        busy, cycles = seen.busy_s[-1] / seen.seconds, seen.cycles[-1] / seen.seconds
        self._ask((*self._asked[:-1], self.memory.choose(busy, cycles, self._clocks[-1])), None)

    # -- clocks ---------------------------------------------------------------------------------

    def _ask(self, wanted: tuple[int, ...] | None, segment: int | None) -> None:
        """Request clocks; inside a frame the caller waits for the stall."""
        if wanted is None:
            return
        for d, clock in enumerate(wanted):
            clock = min(max(clock, 0), self._shape[d] - 1)
            if clock == self._asked[d]:
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

    def _index(self) -> int:
        return sum(c * s for c, s in zip(self._clocks, self._strides, strict=True))
