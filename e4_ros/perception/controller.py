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

"""One interface for whatever decides how deep a frame goes and how fast the clocks run.

A controller is asked beside the frames, never within one: it looks at an `Observation`, returns a
`Decision`, and is told the `Outcome` of every frame. A field of a decision that is None leaves what
is in force; at first that is the local default, which needs no controller: the thresholds that the
exits were calibrated with, and the clocks of the kernel's own governors. Nothing waits for a
controller. One that raises, is late, or decided about limits that have changed since is passed
over, and what is in force goes on (`decision_loop`).

The live node (`live_control`), `e4 run` and the simulator (`evaluation.simulation`) ask the same
objects, made by name in `controllers`. A new kind of decision is one more field here. Whoever
carries decisions out says which fields it can, and refuses the others: see `refuse_unknown`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Protocol

from e4_ros.offload.request import LOCAL, ROBOT, LinkState, Offload, RequestOutcome, ServerState
from e4_ros.perception.schedule import CameraState, Schedule
from e4_ros.perception.weights import Weights

if TYPE_CHECKING:  # launch files read the list of controllers, and need not wait for more
    from e4_ros.energy.boards import Board
    from e4_ros.energy.plan import FrequencyPlan

OperatingPoint = Mapping[str, int]
"""Domain → hertz."""


class ControllerError(ValueError):
    """There is no such controller, it cannot run here, or a decision cannot be carried out."""


@dataclass(frozen=True, slots=True)
class StreamState:
    """What the last answered frame said of the stream.

    Attributes:
        novelty: how much the frame differed from what the stream had shown, 0 to 1; None: unknown.
        gate_scores: exit → score in [0, 1], of the exits that were asked.
        waiting: number of frames that have arrived and wait to be answered.
        version: name of the version that answers; empty where there is only one.
    """

    novelty: float | None = None
    gate_scores: Mapping[str, float] = field(default_factory=dict)
    waiting: int = 0
    version: str = ''


@dataclass(frozen=True, slots=True)
class BoardState:
    """The board's clocks and what it draws.

    Attributes:
        name: name of the board; empty where no clocks can be set.
        tables: domain → the clocks that it may have now, ascending hertz.
        point: domain → clock in hertz, as last read back.
        pending: domain → clock in hertz that was asked for and is not in effect yet.
        window_s: seconds that the three values below are means over; 0: they are not known.
        utilisation: domain → share of the window in which the domain was busy, 0 to 1.
        invariant_utilisation: domain → the same, weighted by the clock's share of the top clock.
        power_w: mean power of the board over the window, in watts; NaN where unknown.
        temperature_c: temperature of the board in degrees Celsius; NaN where unknown.
        power_mode: key of the power mode that it is in; empty where it has none.
        described: what is known of the board; None: what its file says, if there is one.
    """

    name: str = ''
    tables: Mapping[str, Sequence[int]] = field(default_factory=dict)
    point: OperatingPoint = field(default_factory=dict)
    pending: OperatingPoint = field(default_factory=dict)
    window_s: float = 0.0
    utilisation: Mapping[str, float] = field(default_factory=dict)
    invariant_utilisation: Mapping[str, float] = field(default_factory=dict)
    power_w: float = math.nan
    temperature_c: float = math.nan
    power_mode: str = ''
    described: Board | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one frame.

    Attributes:
        exit: name of the exit that answered.
        latency_s: seconds from the start of the computation to the answer; in the simulator, from
            the frame's arrival.
        energy_j: joules of the frame; NaN where unknown.
        period_s: seconds from image to image, also from one that was dropped; None: unknown, or the
            stream had stopped.
        segment_s: seconds of each segment that ran, in the order of the exit's path; empty:
            unknown, or not at the board's clocks (nothing computes at those of a virtual board).
        points: domain → clock in hertz that each of them ended with; empty: unknown.
        place: where the answer was computed, one of `offload.request.PLACES`.
        sent_bytes: bytes that went to the edge server with ``requests``.
        radio_j: joules that sending them took, by the radio's model; no part of ``energy_j``.
        requests: what became known, since the outcome before, of requests: what became of this
            frame's, and of earlier ones'. A frame's request may be told of with a later frame.
        version: name of the version that answered; empty where there is only one.
    """

    exit: str
    latency_s: float
    energy_j: float = math.nan
    period_s: float | None = None
    segment_s: Sequence[float] = ()
    points: Sequence[OperatingPoint] = ()
    place: str = ROBOT
    sent_bytes: int = 0
    radio_j: float = 0.0
    requests: Sequence[RequestOutcome] = ()
    version: str = ''

    @property
    def last_point(self) -> OperatingPoint:
        """Domain → clock in hertz that the frame's last segment had; empty: unknown."""
        return self.points[-1] if self.points else {}


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user asks for; it may change while the stream runs.

    Attributes:
        deadline_s: longest latency, in seconds; 0: the controller's own choice.
        plan: the user's own frequency plan, which only limits may replace; None: there is none.
        plan_origin: where ``plan`` comes from, for people.
        replan: whether a plan in force may be replaced by a better one.
        weights: what the application weighs; None: it has not said.
    """

    deadline_s: float = 0.0
    plan: FrequencyPlan | None = None
    plan_origin: str = ''
    replan: bool = True
    weights: Weights | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """What a controller sees when it is asked; an empty one is valid.

    Attributes:
        time_s: when this was seen, on the clock of whoever asks.
        stream: the stream of images.
        board: the clocks.
        wishes: what the user asks for.
        last: the newest outcome; None before the first.
        link: the way to the edge server.
        server: the edge server.
        cameras: the queue of each camera; empty where nobody knows.
        battery: charge of the battery, 0 to 1; NaN where unknown.
    """

    time_s: float = 0.0
    stream: StreamState = field(default_factory=StreamState)
    board: BoardState = field(default_factory=BoardState)
    wishes: Wishes = field(default_factory=Wishes)
    last: Outcome | None = None
    link: LinkState = field(default_factory=LinkState)
    server: ServerState = field(default_factory=ServerState)
    cameras: Sequence[CameraState] = ()
    battery: float = math.nan


@dataclass(frozen=True)
class Decision:
    """What holds from the next frame on. None leaves what is in force.

    Attributes:
        thresholds: exit → least gate score at which its answer is taken. An exit without one is
            off, so ``{}`` runs the whole network, and ``{'exit1': 0.0}`` always stops there.
        plan: operating point of each segment on the way to each exit.
        point: one operating point for all segments and the waits between frames.
        offload: what of the next key frames is sent to an edge server; `LOCAL`: nothing.
        version: name of the version of the model that answers.
        schedule: how the frames of several cameras share the network.
        why: what the plan or the point was chosen for; for people.
        problem: what the user asked for and cannot have, for people; empty: nothing.
    """

    thresholds: Mapping[str, float] | None = None
    plan: FrequencyPlan | None = None
    point: OperatingPoint | None = None
    offload: Offload | None = None
    version: str | None = None
    schedule: Schedule | None = None
    why: str = ''
    problem: str = ''

    def __post_init__(self) -> None:
        for exit_name, threshold in (self.thresholds or {}).items():
            if not threshold >= 0:
                raise ControllerError(
                    f'the threshold of exit {exit_name!r} is {threshold}; it must be 0 or more'
                )
        if self.plan is not None and self.point is not None:
            raise ControllerError('a decision has a plan or a point, not both')


ALWAYS = frozenset({'why', 'problem'})  # words, which need no carrying out


def refuse_unknown(decision: Decision, carried: Collection[str], who: str) -> None:
    """Raise :class:`ControllerError` where ``decision`` asks for what cannot be carried out.

    Sending nothing to an edge server can be carried out by everybody.

    Args:
        decision: what a controller decided.
        carried: names of the fields that can be carried out.
        who: who carries out, for the message.
    """
    asked = [f.name for f in fields(decision) if getattr(decision, f.name) not in (None, LOCAL)]
    if unknown := [name for name in asked if name not in carried and name not in ALWAYS]:
        raise ControllerError(f'{who} cannot carry out {", ".join(unknown)}, as decided')


class Controller(Protocol):
    """Decides. Its calls come one at a time, but for `check` and `facts`.

    Attributes:
        interval_s: seconds from one decision to the next; None: one decision a frame.
    """

    interval_s: float | None

    def decide(self, seen: Observation) -> Decision:
        """Decide what holds from the next frame on.

        Args:
            seen: what is known now; fields may be empty.

        Raises:
            ValueError: nothing can be decided for this board or these wishes; says why.
        """
        ...

    def observe(self, outcome: Outcome) -> None:
        """Learn what became of a frame; every answered frame is told once, in order."""
        ...

    def check(self, seen: Observation) -> None:
        """Raise ValueError, with the reason, where the wishes in ``seen`` cannot be met."""
        ...

    def facts(self) -> Mapping[str, str]:
        """What diagnostics show of it: name → value; may be called from another thread."""
        ...
