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

"""Frequency control: stepping the clocks while a frame runs, and the frame's joules."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from e4_ros.energy.board_model import BoardModel, SegmentWork
from e4_ros.energy.boards import Board, BoardError, load_board
from e4_ros.energy.client.client import Applied, ClientState, DvfsClient
from e4_ros.energy.plan import FrequencyPlan
from e4_ros.perception.frame_energy import (
    FrameEnergy,
    OperatingPoint,
    cost_at,
    default_cost,
)
from e4_ros.perception.metered_frames import Aside, MeteredFrames
from e4_ros.perception.records import NO_SOURCE

LONGEST_WAIT_S = 2.0
"""A longer pause between two frames does not count as a wait: the stream had stopped."""

_log = logging.getLogger(__name__)


class Spent(NamedTuple):
    """The clocks and joules of a frame.

    Attributes:
        points: Operating point of each segment that ran; empty where unknown.
        energy_j: Energy of the frame in joules; NaN where ``source`` is ``none``.
        source: Whether the joules are ``measured`` or ``modelled``; ``none`` where unknown.
        shared: Whether somebody else had a lease of the same clocks meanwhile: measured joules are
            the whole board's.
    """

    points: Sequence[OperatingPoint]
    energy_j: float
    source: str
    shared: bool = False


class FrequencyControl(Protocol):
    """Steps the clocks along the segments of a frame. Its calls are on the hot path."""

    def begin(self) -> None:
        """A frame begins."""
        ...

    def step(self, segment: int) -> None:
        """A segment is about to start; must not wait and must not raise."""
        ...

    def end(self, exit_name: str, segments: Sequence[int]) -> Spent:
        """A frame ended at ``exit_name`` after running ``segments``."""
        ...

    def begin_aside(self) -> None:
        """Between two frames something begins that is part of neither."""
        ...

    def end_aside(self, exit_name: str = '', segments: Sequence[int] = ()) -> Aside:
        """It ended; where it was a pass of the network, at ``exit_name`` after ``segments``.

        Where its end is never told, it was nothing.
        """
        ...


class NoControl:
    """A machine whose clocks and joules are unknown."""

    def begin(self) -> None:
        """Nothing to prepare."""

    def step(self, segment: int) -> None:
        """Nothing to step."""

    def end(self, exit_name: str, segments: Sequence[int]) -> Spent:
        """Nothing is known."""
        return Spent((), math.nan, NO_SOURCE)

    def begin_aside(self) -> None:
        """Nothing to prepare."""

    def end_aside(self, exit_name: str = '', segments: Sequence[int] = ()) -> Aside:
        """Nothing is known."""
        return Aside()


class ModelledControl:
    """A described board: clocks by the plan, joules by the board model.

    Args:
        board: The board.
        works: Work of each segment of the engine.
        plan: Frequency plan; None for the stock system's default clocks.
    """

    def __init__(
        self, board: Board, works: Sequence[SegmentWork], plan: FrequencyPlan | None = None
    ) -> None:
        if plan is not None:
            plan.check_board(board.name)
            plan.check_devices([work.device for work in works])
            plan.check_domains(
                {name: spec.frequencies_hz for name, spec in board.domains.items()},
                {name: spec.limits_hz for name, spec in board.domains.items()},
            )
        self._model = BoardModel(board)
        self._works = works
        self._plan = plan
        self._spent: dict[tuple[str, int], Spent] = {}

    def begin(self) -> None:
        """Nothing to prepare."""

    def step(self, segment: int) -> None:
        """Nothing to step: there is no such machine here."""

    def end(self, exit_name: str, segments: Sequence[int]) -> Spent:
        """The same for every frame of an exit, switches included as the planner counts them.

        Of a frame that ended before its path did the switches are not counted.
        """
        key = exit_name, len(segments)
        if key not in self._spent:
            self._spent[key] = self._cost(exit_name, segments)
        return self._spent[key]

    def begin_aside(self) -> None:
        """Nothing to prepare."""

    def end_aside(self, exit_name: str = '', segments: Sequence[int] = ()) -> Aside:
        """A pass of the network costs what a frame does; anything else is not modelled."""
        spent = self.end(exit_name, segments) if segments else None
        return Aside() if spent is None else Aside(spent.energy_j, spent.source)

    def _cost(self, exit_name: str, segments: Sequence[int]) -> Spent:
        if self._plan is not None:
            path, default = self._plan.paths[exit_name], self._model.default_point()
            points = [default | point for point in path.points[: len(segments)]]
            if len(segments) < len(path.segments):
                works = [self._works[index] for index in segments]
                return Spent(points, cost_at(self._model, works, points).energy_j, 'modelled')
            return Spent(points, path.expected_energy_j, 'modelled')
        point = self._model.default_point()
        cost = default_cost(self._model, self._works, segments)
        return Spent([point] * len(segments), cost.energy_j, 'modelled')


class DaemonControl:
    """The daemon's clocks: each segment is a step; joules are its meter's where it measures.

    Without a meter they are modelled at the clocks the segments really had, if the board has a
    description. A frame's joules include the wait before it, at the clocks that the frame before
    left (what the plan does not clock waits where governors go): slow clocks take longer over a
    frame, and wait more cheaply. What runs beside the frames is no part of them. When the daemon is
    gone the frames go on without steps, and a warning says so once.

    Args:
        client: Client that holds the lease; `plan` is in force.
        works: Work of each segment of the engine.
        plan: The plan in force.
        now: Time source in seconds.

    Attributes:
        beside_j: Joules so far of what ran beside the frames.

    Raises:
        PlanError: the plan was made for another device than the one that runs the segments.
    """

    def __init__(
        self,
        client: DvfsClient,
        works: Sequence[SegmentWork],
        plan: FrequencyPlan,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.beside_j = 0.0
        self._client = client
        self._devices = [work.device for work in works]
        self._energy = _frame_energy(plan.board, works)
        self._now = now
        plan.check_devices(self._devices)
        self._use(plan)
        self._points: list[OperatingPoint] = []
        self._metered = MeteredFrames()
        self._waited_at: OperatingPoint = {}
        self._began_s, self._waited_s, self._frame_s = -math.inf, 0.0, 0.0
        self._shared = False
        self._told = False

    def replace(self, plan: FrequencyPlan, works: Sequence[SegmentWork] | None = None) -> None:
        """Put another plan in force; between two frames, never while one runs.

        Args:
            plan: the plan.
            works: of another network's segments, which run from now on; None: the same go on.

        Raises:
            DaemonError, PlanError: the daemon refuses it; the plan before stays.
        """
        devices = self._devices if works is None else [work.device for work in works]
        plan.check_devices(devices)
        self._client.set_plan(plan)
        if works is not None:
            self._devices, self._energy = devices, _frame_energy(plan.board, works)
        self._use(plan)

    def begin(self) -> None:
        """Remember the meter and the wait."""
        applied, now_s = self._client.applied(), self._now()
        self._points = []
        self._waited_at = {n: applied.point[n] for n in self._clocked if n in applied.point}
        period_s = now_s - self._began_s
        in_stream = period_s - self._metered.beside_s <= LONGEST_WAIT_S
        self._waited_s = max(period_s - self._frame_s, 0.0) if in_stream else 0.0
        self._metered.begin(now_s, _measured_j(applied), in_stream)
        self._began_s = now_s
        self._shared = self._client.clients() > 1

    def step(self, segment: int) -> None:
        """Tell the daemon, and note the clocks that the segment before ended with."""
        if segment:
            self._points.append(self._client.applied().point)
        path = self._paths.get(segment)
        if path is not None:
            self._client.step(path, segment)

    def end(self, exit_name: str, segments: Sequence[int]) -> Spent:
        """Read the meter again; the next frame shall find the first segment's clocks."""
        now = self._client.applied()
        if len(segments) > 1 and 0 in self._paths:
            self._client.step(self._paths[0], 0)
        if self._client.state is not ClientState.HELD:
            if not self._told:
                _log.warning('%s: going on without clock steps', self._client.lost_because)
            self._told, self._began_s = True, -math.inf
            return Spent((), math.nan, NO_SOURCE)
        points = [*self._points, now.point]
        shared = self._shared or self._client.clients() > 1
        joules = self._metered.end(self._now(), _measured_j(now))
        if math.isfinite(joules):
            return Spent(points, joules, 'measured', shared)
        if self._energy is None:
            return Spent(points, math.nan, NO_SOURCE, shared)
        frame = self._energy.frame(segments, points)
        self._frame_s = frame.latency_s
        wait_j = self._energy.wait_j(self._waited_at, self._waited_s)
        return Spent(points, frame.energy_j + wait_j, 'modelled', shared)

    def begin_aside(self) -> None:
        """Remember the meter."""
        self._points = []
        self._metered.begin_aside(self._now(), _measured_j(self._client.applied()))

    def end_aside(self, exit_name: str = '', segments: Sequence[int] = ()) -> Aside:
        """Read the meter again; the next frame waits and pays as if this had not been."""
        now = self._client.applied()
        if len(segments) > 1 and 0 in self._paths:
            self._client.step(self._paths[0], 0)
        aside = self._metered.end_aside(self._now(), _measured_j(now))
        if aside.source == NO_SOURCE and self._energy is not None and segments:
            cost = self._energy.frame(segments, [*self._points, now.point])
            at = {name: hz for name, hz in now.point.items() if name in self._clocked}
            joules = cost.energy_j - self._energy.wait_j(at, cost.latency_s)
            aside = aside._replace(energy_j=joules, source='modelled')
        if math.isfinite(aside.energy_j):
            self.beside_j += aside.energy_j
        return aside

    def _use(self, plan: FrequencyPlan) -> None:
        self._paths, self._clocked = _deepest_paths(plan), plan.domains


def _measured_j(applied: Applied) -> float:
    return applied.energy_j if applied.source == 'measured' else math.nan


def _deepest_paths(plan: FrequencyPlan) -> dict[int, int]:
    """Segment → index of the deepest path that runs it, whose points keep the plan's deadline."""
    return {
        segment: index
        for index, path in enumerate(plan.paths.values())
        for segment in path.segments
    }


def _frame_energy(board: str, works: Sequence[SegmentWork]) -> FrameEnergy | None:
    try:
        return FrameEnergy(BoardModel(load_board(board)), works)
    except BoardError:
        return None
