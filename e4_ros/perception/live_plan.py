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

"""The clocks of one lease: puts in force what a controller decides about them. No ROS in here."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock

from e4_ros.energy.client.client import DvfsClient
from e4_ros.energy.plan import FrequencyPlan
from e4_ros.perception.active_plan import ActivePlan, Stream, Tables, constant_plan
from e4_ros.perception.controller import BoardState, ControllerError, Decision, OperatingPoint
from e4_ros.perception.frequency_control import DaemonControl
from e4_ros.perception.machine import Machine, power_mode, see_machine


class LivePlan:
    """Holds the plan in force for one lease.

    Args:
        client: holds the lease.
        stream: what runs.
        between_frames: held by whoever runs a frame; plans are replaced under it.
        first: what the controller decided first; it must set clocks.
        machine: what is known of the machine.

    Attributes:
        active: the plan in force.
        tables: domain → the clocks that it may have now, ascending hertz.
        made: number of plans that were put in force.
        clocks: steps the clocks of the frames along the plan.
        computes_at_clocks: whether frames take as long as these clocks let them; below a virtual
            board's root they do not, and what they take says nothing of the plan.

    Raises:
        ControllerError: ``first`` leaves the clocks alone.
        ValueError: the plan cannot be sent.
        OSError: the daemon refuses it.
    """

    def __init__(
        self,
        client: DvfsClient,
        stream: Stream,
        between_frames: Lock,
        first: Decision,
        machine: Machine | None = None,
    ) -> None:
        self.tables = tables_of(client.frequencies_hz)
        self.made = 1
        self.computes_at_clocks = client.root == '/'
        self.machine = machine or Machine()
        self._client, self._stream, self._between_frames = client, stream, between_frames
        self._decided: FrequencyPlan | OperatingPoint | None = None
        active = self._wanted(first)
        if active is None:
            raise ControllerError('the controller leaves the clocks alone; it needs no lease')
        client.set_plan(active.plan)
        self.active = active
        self._decided = first.plan if first.point is None else first.point
        self.clocks = DaemonControl(client, stream.works, active.plan)

    @property
    def frequencies_hz(self) -> Tables:
        """Domain → what the daemon offered when the lease began, ascending hertz."""
        return self._client.frequencies_hz

    def state(self, power_w: float, window_s: float) -> BoardState:
        """What a controller sees of the board.

        Args:
            power_w: mean power since the answer before, in watts; NaN where unknown.
            window_s: seconds since then; 0 where unknown.
        """
        now = self._client.applied().point
        asked = next(iter(self.active.plan.paths.values())).points[0]
        pending = {name: hz for name, hz in asked.items() if now.get(name) != hz}
        return BoardState(
            self._client.board,
            self.tables,
            now,
            pending,
            window_s,
            power_w=power_w,
            power_mode=self.machine.power_mode,
            described=self.machine.described,
        )

    def set_tables(self, tables: Tables) -> bool:
        """Take over what the daemon allows now; whether that, or the power mode, has changed."""
        client = self._client
        switched = power_mode(client.root) != self.machine.power_mode
        if switched:
            self.machine = see_machine(client.board, client.root)
        known = {n: hz for n, hz in tables_of(tables).items() if n in client.frequencies_hz}
        changed = self.tables != (now := {**self.tables, **known})
        self.tables = now
        return changed or switched

    def carry(self, decision: Decision) -> None:
        """Put the decided clocks in force, between two frames; the same ones change nothing.

        Raises:
            ValueError: the plan cannot be sent; the plan before stays.
            OSError: the daemon refuses it; the plan before stays.
        """
        wanted = self._wanted(decision)
        if wanted is None:
            return
        with self._between_frames:
            self.clocks.replace(wanted.plan)
        self.active, self.made = wanted, self.made + 1
        self._decided = decision.plan if decision.point is None else decision.point

    def switch(self, stream: Stream, decision: Decision) -> None:
        """Another version of the model runs from now on, at the clocks that were decided with it.

        Args:
            stream: what runs then.
            decision: the clocks; without any, one point that is in force stays.

        Raises:
            ControllerError: a plan is in force, which is of the version before.
            ValueError: the plan cannot be sent; version and plan stay.
            OSError: the daemon refuses it; version and plan stay.
        """
        decided = decision.point if decision.plan is None else decision.plan
        wanted = self._decided if decided is None else decided
        if isinstance(wanted, FrequencyPlan):
            if decided is None:
                raise ControllerError(
                    'a version is decided together with its clocks: the plan in force is of the '
                    'version before'
                )
            plan = wanted
        else:
            assert wanted is not None
            plan = constant_plan(wanted, self._client.board, stream)
        with self._between_frames:
            self.clocks.replace(plan, stream.works)
        self.active, self.made = ActivePlan(plan, decision.why), self.made + 1
        self._decided, self._stream = wanted, stream

    def _wanted(self, decision: Decision) -> ActivePlan | None:
        """The plan to put in force; None where the decision changes nothing."""
        if decision.point is not None:
            if decision.point == self._decided:
                return None
            plan = constant_plan(decision.point, self._client.board, self._stream)
            return ActivePlan(plan, decision.why)
        if decision.plan is None or decision.plan is self._decided:
            return None
        return ActivePlan(decision.plan, decision.why)


def tables_of(tables: Tables) -> Mapping[str, tuple[int, ...]]:
    """Tables as plain tuples, whatever kind of array they come in."""
    return {name: tuple(int(hz) for hz in table) for name, table in tables.items()}
