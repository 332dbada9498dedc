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

"""One controller beside a live network: shows it what is known, carries out what it decides."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING

from e4_ros.energy.client.client import DvfsClient
from e4_ros.perception.active_plan import Stream
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
from e4_ros.perception.decision_loop import DecisionLoop
from e4_ros.perception.frequency_control import LONGEST_WAIT_S
from e4_ros.perception.live_plan import LivePlan, tables_of
from e4_ros.perception.live_versions import LiveVersions
from e4_ros.perception.machine import see_machine
from e4_ros.perception.offload_stream import FrameOffload
from e4_ros.perception.records import FrameRecord
from e4_ros.perception.schedule import CameraState, Schedule
from e4_ros.perception.service_levels import ServiceLevels
from e4_ros.vision.inference.exit_thresholds import FULL, ExitThresholds
from e4_ros.vision.inference.stream_engine import StreamEngine

if TYPE_CHECKING:
    from e4_ros.perception.edge_link import EdgeLink

CARRIED = frozenset({'thresholds', 'plan', 'point', 'schedule', 'version', 'offload'})
"""Fields of a decision that a live stream can carry out."""


class LiveControl:
    """Shows a controller the stream and the board, and carries its decisions out between frames.

    `observe` is called by whoever answers frames and never waits; the controller is asked in the
    thread of :attr:`loop`; everything else may be called from a third thread.

    Args:
        controller: decides.
        stream: what runs.
        engines: run it, one for each camera; get the thresholds.
        between_frames: held by whoever runs a frame.
        lease: the clocks that are leased now; None where none are.
        cameras: the queue of each camera, as it stands now.
        levels: carries schedules out; None where nobody takes turns.
        versions: versions of the model, of which ``stream`` is the one that answers; None where
            there is only one.
        edge: the edge server; None where there is none, and what is decided of it is nothing.

    Attributes:
        wishes: what the user asks for.
        battery: charge of the battery, 0 to 1; NaN where unknown.
        loop: asks the controller.
    """

    def __init__(
        self,
        controller: Controller,
        stream: Stream,
        engines: Sequence[StreamEngine],
        between_frames: Lock,
        lease: Callable[[], LivePlan | None] = lambda: None,
        cameras: Callable[[], Sequence[CameraState]] = tuple,
        levels: ServiceLevels | None = None,
        versions: LiveVersions | None = None,
        edge: EdgeLink | None = None,
    ) -> None:
        self.controller, self.wishes, self.battery = controller, Wishes(), math.nan
        self.loop = DecisionLoop(controller, self._look, self.carry)
        self._stream, self._engines, self._between_frames = stream, engines, between_frames
        self._lease, self._cameras, self._levels = lease, cameras, levels
        self._edge = edge
        self._versions = versions
        self._thresholds: dict[str, float] | None = None
        self._state = StreamState(version=self._version)
        self._answered_s: float | None = None
        self._received, self._window_s = 0, 0.0

    def observe(self, record: FrameRecord, waiting: int = 0, received: int = 0) -> None:
        """A frame was answered.

        Args:
            record: what came of it.
            waiting: number of frames that wait to be answered.
            received: number of images so far, answered and dropped, of all cameras; 0: every image
                is answered.
        """
        result = record.result
        version = self._version
        self._state = StreamState(result.diversity, result.gate_scores, waiting, version)
        live = self._lease()
        segment_s = result.segment_s if live is not None and live.computes_at_clocks else ()
        sent = record.offload or FrameOffload()
        self.loop.submit(
            Outcome(
                result.exit,
                result.latency_s,
                record.energy_j,
                self._period_s(received),
                segment_s,
                record.points,
                sent.place,
                sent.sent_bytes,
                sent.radio_j,
                sent.requests,
                version,
            )
        )

    def take_lease(self, client: DvfsClient, wishes: Wishes) -> LivePlan:
        """Decide the first clocks of a lease and put them in force; for the caller's thread.

        Args:
            client: holds the lease.
            wishes: what the user asks for.

        Raises:
            ValueError: no plan fits the board or the wishes.
            OSError: the daemon refuses the plan.
        """
        self.wishes = wishes
        machine = see_machine(client.board, client.root)
        board = BoardState(
            client.board,
            tables_of(client.frequencies_hz),
            client.applied().point,
            power_mode=machine.power_mode,
            described=machine.described,
        )
        state, cameras = StreamState(version=self._version), self._cameras()
        first = self.loop.ask(
            Observation(
                time.monotonic(),
                state,
                board,
                wishes=wishes,
                cameras=cameras,
                battery=self.battery,
            )
        )
        refuse_unknown(first, CARRIED, 'perception')
        self._send_away(first)
        live = LivePlan(client, self._stream, self._between_frames, first, machine)
        if first.version is not None and first.version != self._version:
            self.loop.changed()  # its clocks are there; the version follows between two frames
        return live

    def check(self, wishes: Wishes) -> None:
        """Raise ValueError, with the reason, where the wishes cannot be met on this board."""
        self.controller.check(replace(self._look(None), wishes=wishes))

    def wish(self, wishes: Wishes) -> None:
        """The user asks for something else; the controller is asked about it at once."""
        self.wishes = wishes
        self.loop.changed()

    def carry(self, decision: Decision) -> None:
        """Carry a decision out; the fields that are None change nothing.

        Raises:
            ControllerError: it asks for what this build or this network cannot do.
            ValueError, OSError: the daemon cannot get or take the clocks; the plan before stays.
        """
        refuse_unknown(decision, CARRIED, 'perception')
        live = self._lease()
        if decision.version is not None and decision.version != self._version:
            self._switch(decision.version, decision, live)
        if decision.thresholds is not None:
            self._set_thresholds(dict(decision.thresholds))
        if decision.schedule is not None:
            self._set_schedule(decision.schedule)
        self._send_away(decision)
        if live is not None:
            live.carry(decision)

    @property
    def _version(self) -> str:
        """Name of the version that answers; empty where there is only one."""
        return '' if self._versions is None else self._versions.answering

    def _switch(self, name: str, decision: Decision, live: LivePlan | None) -> None:
        """Let another version answer, with its clocks and the thresholds that were decided."""
        if self._versions is None:
            raise ControllerError(
                f'there is no version {name!r}, because none are loaded: see the parameter versions'
            )
        stream = self._versions.stream(name)

        def clocks() -> None:
            if live is not None:
                live.switch(stream, decision)

        self._versions.switch(name, clocks)
        self._stream, self._engines = stream, self._versions.engines(name)
        if self._thresholds is not None:
            known = stream.paths.keys()
            self._set_thresholds({n: v for n, v in self._thresholds.items() if n in known})

    def _send_away(self, decision: Decision) -> None:
        """What is decided of an edge server; without one there is nothing to do."""
        if decision.offload is not None and self._edge is not None:
            self._edge.decide(decision.offload)

    def _set_thresholds(self, thresholds: dict[str, float]) -> None:
        early = self._stream.paths.keys() - {FULL}
        if strangers := sorted(thresholds.keys() - early):
            raise ControllerError(
                f'this network has no exit {", ".join(strangers)}; it has '
                f'{", ".join(sorted(early)) or "none"}'
            )
        self._thresholds = thresholds
        wanted = ExitThresholds(thresholds)
        for engine in self._engines:
            if wanted != engine.thresholds:
                with self._between_frames:
                    engine.thresholds = wanted

    def _set_schedule(self, schedule: Schedule) -> None:
        if self._levels is None:
            raise ControllerError('there are no cameras here whose frames take turns')
        if schedule.batch > 1 or schedule.instances > 1:
            raise ControllerError(
                f'perception runs one frame at a time, not batches of {schedule.batch} in '
                f'{schedule.instances} instances'
            )
        self._levels.schedule = schedule

    def _look(self, last: Outcome | None) -> Observation:
        live, window_s, power_w = self._lease(), 0.0, math.nan
        if last is not None and self._window_s:
            window_s, power_w = self._window_s, last.energy_j / self._window_s
        board = BoardState() if live is None else live.state(power_w, window_s)
        state, cameras = replace(self._state, version=self._version), self._cameras()
        seen = Observation(
            time.monotonic(),
            state,
            board,
            self.wishes,
            last,
            cameras=cameras,
            battery=self.battery,
        )
        if self._edge is None:
            return seen
        return replace(seen, link=self._edge.link, server=self._edge.server)

    def _period_s(self, received: int) -> float | None:
        """Time from image to image; None where it is not known, or the stream had stopped.

        What is dropped because it came too fast counts: else the pace would be taken for slower
        the slower the frames are, and the next plan would be slower still.
        """
        came, self._received = received - self._received, received
        before, self._answered_s = self._answered_s, time.monotonic()
        self._window_s = 0.0
        if before is None or self._answered_s - before > LONGEST_WAIT_S:
            return None
        self._window_s = self._answered_s - before
        return self._window_s / max(came, 1)
