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

"""Robots that share one access point and one edge server, each with a controller of its own.

Each robot is a `Timeline` of `edge_play` with the very controller that a robot runs. What differs
from one robot alone is where its requests go: through a radio that all share, first come first
served, and to a server whose workers serve all. Frames are played in the order of time.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from e4_ros.evaluation.simulation.edge_play import Answer, Timeline
from e4_ros.evaluation.simulation.edge_traces import STEP_S, LinkTrace
from e4_ros.evaluation.simulation.edge_world import Conditions, Scenario
from e4_ros.perception.controller import Controller
from e4_ros.profiling.planning.cost_table import Floats


@dataclass(frozen=True)
class Site:
    """What robots share.

    Attributes:
        air_bps: bits a second that an access point carries to the server, all robots together.
        workers: requests that the server runs at a time.
        round_trip_s: seconds there and back of something small.
    """

    air_bps: float = 100e6
    workers: int = 2
    round_trip_s: float = 0.004


@dataclass
class Shared:
    """The queues of a site while a fleet is played.

    Attributes:
        site: what it is.
        air_free_s: when the air is free.
        bits, busy_s: sent, and computed, so far.
        delays_s: of each request, from sending to its answer.
        sent_s: when each was sent.
    """

    site: Site

    def __post_init__(self) -> None:
        self.air_free_s = self.bits = self.busy_s = 0.0
        self.free = [0.0] * self.site.workers
        self.delays_s: list[float] = []
        self.sent_s: list[float] = []

    def request(self, at_s: float, bits: float, run_s: float) -> tuple[float, float]:
        """Send one; return seconds until its answer, and of sending with its wait for the air."""
        ends = max(at_s, self.air_free_s) + bits / self.site.air_bps
        self.air_free_s = ends
        begins = max(ends, self.free[0])
        heapq.heapreplace(self.free, begins + run_s)
        self.bits += bits
        self.busy_s += run_s
        away_s = begins + run_s + self.site.round_trip_s - at_s
        self.delays_s.append(away_s)
        self.sent_s.append(at_s)
        return away_s, ends - at_s


class OnSite(Conditions):
    """A robot's world, whose requests go to queues that others use, too."""

    shared: Shared
    later_s: float

    @classmethod
    def beside(
        cls, scenario: Scenario, seed: int, frames: int, shared: Shared, later_s: float
    ) -> OnSite:
        """The world of a seed whose frames come so much later than another's."""
        seconds = frames * scenario.period_s + 5.0
        steps = round(seconds / STEP_S)
        rate = np.full(steps, shared.site.air_bps)
        trace = LinkTrace(rate, np.zeros(steps), shared.site.round_trip_s)
        made = Conditions.of(scenario, seed, frames)
        values: dict[str, Any] = {f.name: getattr(made, f.name) for f in fields(made)}
        found = cls(**{**values, 'trace': trace})
        object.__setattr__(found, 'shared', shared)
        object.__setattr__(found, 'later_s', later_s)
        object.__setattr__(found, '_asked', {})
        return found

    def away(self, frame: int, at_s: Floats, bits: Floats, run_s: Floats) -> tuple[Floats, Floats]:
        """What becomes of a frame's request; asked again, as for other clocks, the same."""
        asked: dict[int, tuple[float, float]] = self.__dict__['_asked']
        if frame not in asked:
            takes_s = float(run_s * self.server[frame])
            asked[frame] = self.shared.request(self.later_s + float(at_s), float(bits), takes_s)
        away_s, send_s = asked[frame]
        return np.array(away_s), np.array(send_s)


@dataclass(frozen=True)
class Played:
    """What a site came to.

    Attributes:
        answers: of all robots' frames.
        shared: the queues.
        seconds: that were played.
        sending: requests in each second, ``(S,)``.
    """

    answers: Sequence[Answer]
    shared: Shared
    seconds: float
    sending: Floats

    @property
    def air_load(self) -> float:
        """Share of the time that the air is busy."""
        return self.shared.bits / self.shared.site.air_bps / self.seconds

    @property
    def server_load(self) -> float:
        """Share of the time that the server's workers are busy."""
        return self.shared.busy_s / self.shared.site.workers / self.seconds


def play_site(
    scenario: Scenario,
    site: Site,
    robots: int,
    frames: int,
    make: Callable[[int], Controller],
    together: bool = False,
) -> Played:
    """Play robots that share a site.

    Args:
        scenario: what a robot, its board and its stream are like.
        site: what they share.
        robots: number of robots.
        frames: frames of each.
        make: function that makes the controller of a robot, by its number.
        together: whether all frames begin at the same moment; else they are spread over a period.
    """
    shared = Shared(site)
    later = np.random.default_rng(robots).random(robots) * scenario.period_s * (not together)
    lines: list[Timeline] = []
    controllers: list[Controller] = []
    due: list[tuple[float, int]] = []
    for robot in range(robots):
        world = OnSite.beside(scenario, 1000 + robot, frames, shared, float(later[robot]))
        line, controller = Timeline(world), make(robot)
        line.carry(controller.decide(line.seen(None)))
        lines.append(line)
        controllers.append(controller)
        heapq.heappush(due, (float(later[robot]), robot))
    while due:
        _, robot = heapq.heappop(due)
        line, controller = lines[robot], controllers[robot]
        outcome = line.outcome(line.frame())
        controller.observe(outcome)
        if line.over:
            continue
        line.carry(controller.decide(line.seen(outcome)))
        begins = max(len(line.answers) * scenario.period_s, line.now_s)
        heapq.heappush(due, (begins + float(later[robot]), robot))
    seconds = frames * scenario.period_s
    edges = np.arange(0, int(seconds) + 1)
    sending = np.histogram(shared.sent_s, edges)[0].astype(float)
    return Played([a for line in lines for a in line.answers], shared, seconds, sending)


def herding(played: Played, skip: int = 5) -> float:
    """How much more requests a second vary than those of robots that ignore each other.

    Variance over mean, in seconds after the first few: below 1 for robots that decide for
    themselves, far above it where all change their minds together.
    """
    counts = played.sending[skip:]
    return float(counts.var() / counts.mean()) if counts.size and counts.mean() > 0 else 0.0
