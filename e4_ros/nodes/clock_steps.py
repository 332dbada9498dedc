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

"""Perception's decisions: its controller, the lease of the clocks, and what the user asks for."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from rcl_interfaces.msg import SetParametersResult
from rclpy.lifecycle import LifecycleState, ManagedEntity, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.subscription import Subscription

from e4_ros.energy.board_model import works_of
from e4_ros.energy.client.client import DvfsClient
from e4_ros.msg import DvfsState
from e4_ros.nodes.daemon_link import DaemonLink
from e4_ros.nodes.diagnostics import status
from e4_ros.nodes.kept_plan import KeptPlan
from e4_ros.nodes.parameters import E4Node, value
from e4_ros.perception.active_plan import Stream
from e4_ros.perception.controller import Wishes
from e4_ros.perception.controllers import make_controller, spec_of
from e4_ros.perception.controllers.context import Context
from e4_ros.perception.frequency_control import NoControl
from e4_ros.perception.machine import power_mode
from e4_ros.perception.preference import weights_of
from e4_ros.profiling.planning.cost_table import CostTable
from e4_ros.profiling.planning.identity import Identity

if TYPE_CHECKING:
    from e4_ros.nodes.loaded_versions import LoadedVersions
    from e4_ros.nodes.network import Network
    from e4_ros.perception.edge_link import EdgeLink
    from e4_ros.perception.live_control import LiveControl
    from e4_ros.perception.live_plan import LivePlan
    from e4_ros.perception.live_versions import LiveVersions
    from e4_ros.perception.perceiver import Perceiver
    from e4_ros.perception.records import FrameRecord
    from e4_ros.perception.schedule import CameraState
    from e4_ros.perception.service_levels import ServiceLevels

_NO_HELPER = 'no daemon is configured'


class ClockSteps(ManagedEntity):
    """Asks the controller beside perception's frames, and steps the clocks while there is a lease.

    `process`, `observe` and `plan_id` are the worker's; everything else runs in the executor.

    Args:
        node: Perception, with its parameters declared.
        daemon: Name of the daemon's node; empty to leave the clocks alone.
        cameras: The queue of each camera, as it stands now.
        levels: Carries out how cameras take turns; None where nobody decides about that.

    Attributes:
        between_frames: No other plan comes while it is held.
    """

    def __init__(
        self,
        node: E4Node,
        daemon: str,
        cameras: Callable[[], Sequence[CameraState]] = tuple,
        levels: ServiceLevels | None = None,
    ) -> None:
        self._node, self._cameras, self._levels = node, cameras, levels
        self.between_frames = Lock()
        self._control: LiveControl | None = None
        self._told = ''
        self._charge = math.nan
        self._link: DaemonLink | None = None
        self._state: Subscription | None = None
        self._others: list[str] = []
        self._kept = KeptPlan(node.get_fully_qualified_name())
        if daemon and spec_of(value(node, 'controller')).clocks:
            retry_s, wait_s = value(node, 'helper_retry_s'), value(node, 'helper_wait_s')
            cpus = value(node, 'cpus_needed')
            self._link = DaemonLink(node, daemon, retry_s, wait_s, self._take, cpus)
            latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
            self._state = node.create_subscription(
                DvfsState, f'{daemon}/state', self._look, latched
            )
        node.add_on_set_parameters_callback(self._judge)
        node.after_parameters(self._apply)

    def attach(
        self,
        network: Network,
        loaded: LoadedVersions | None = None,
        versions: LiveVersions | None = None,
        edge: EdgeLink | None = None,
    ) -> None:
        """Make the controller for a network.

        Args:
            network: what answers now.
            loaded: its versions; None where there is only one.
            versions: lets another one of them answer.
            edge: the edge server; None where there is none.

        Raises:
            ControllerError: there is no such controller.
        """
        from e4_ros.perception.live_control import LiveControl

        engines = [perceiver.engine for perceiver in network.perceivers]
        engine = engines[0]
        stream = Stream(engine.model.name, works_of(engine.segments), dict(engine.paths))
        domains, gain = value(self._node, 'plan_domains'), value(self._node, 'replan_gain')
        table, problem = self._table()
        self._fingerprint = network.fingerprint
        controller = make_controller(
            value(self._node, 'controller'),
            Context(
                stream,
                domains,
                gain,
                table=table,
                table_problem=problem,
                bundle=self._fingerprint,
                policies={} if loaded is None else loaded.policies,
                versions=() if loaded is None else loaded.versions,
                battery_reserve=value(self._node, 'battery_reserve'),
            ),
        )
        self._stream = stream
        self._control = LiveControl(
            controller,
            stream,
            engines,
            self.between_frames,
            lambda: self.live,
            self._cameras,
            self._levels,
            versions,
            edge,
        )
        self._control.wishes = Wishes(weights=weights_of(value(self._node, 'preference')))
        self._control.battery = self._charge

    def _table(self) -> tuple[CostTable | None, str]:
        """The measured costs that the user names, or why there are none."""
        file = value(self._node, 'table_file')
        if not file:
            return None, ''
        try:
            return CostTable.load(Path(file).expanduser()), ''
        except (ValueError, OSError) as error:
            problem = f'table_file has no effect: {_words(error)}'
            self._node.get_logger().error(problem)
            return None, problem

    def switch(self, network: Network, edge: EdgeLink | None = None) -> None:
        """Go on with another network: with a controller of its own, and its own plan under a lease.

        Args:
            network: the network; no frame may be in work.
            edge: as in `attach`.
        """
        assert self._control is not None
        if not self._control.loop.stop():
            self._node.get_logger().error('the controller does not end')
        self.attach(network, edge=edge)
        if self._link is not None:
            self._link.plan_again()
        self._control.loop.start()

    def start(self, settled: Callable[[], None]) -> None:
        """Ask for the lease; ``settled`` is called once it is known whether there are steps."""
        assert self._control is not None
        self._control.loop.start()
        if self._link is None:
            settled()
        else:
            self._link.start(settled)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Ask the controller no more, and give the lease back."""
        if self._control is not None and not self._control.loop.stop():
            self._node.get_logger().error('the controller does not end')
        if self._link is not None:
            self._link.stop()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Take everything away from the node."""
        if self._link is not None:
            self._link.destroy()
        if self._state is not None:
            self._node.destroy_subscription(self._state)
        self._node.remove_on_set_parameters_callback(self._judge)
        self._node.no_more_after_parameters(self._apply)
        self._control = None
        return super().on_cleanup(state)

    @property
    def live(self) -> LivePlan | None:
        """The clocks that are leased; None without a lease."""
        return None if self._link is None else self._link.live

    @property
    def board(self) -> str:
        """Board whose clocks are stepped; empty while there are none."""
        return '' if self._link is None else self._link.board

    @property
    def plan_id(self) -> str:
        """Identity of the plan in force; empty without one."""
        live = self.live
        return '' if live is None else live.active.id

    # -- frames -------------------------------------------------------------------------------

    def process(
        self, perceiver: Perceiver, frame: np.ndarray, stamp_s: float, index: int
    ) -> FrameRecord:
        """Answer a frame under the plan in force; no other plan comes before it is answered."""
        with self.between_frames:
            live = self.live
            perceiver.clocks = NoControl() if live is None else live.clocks
            return perceiver.process(frame, stamp_s, index)

    def observe(self, record: FrameRecord, waiting: int, received: int) -> None:
        """The answer is out: leave it to the controller; never waits.

        Args:
            record: What came of the frame.
            waiting: Number of images that wait to be answered.
            received: Number of images so far, of all cameras, without those that nobody needed.
        """
        assert self._control is not None
        self._control.observe(record, waiting, received)

    # -- what the user asks for ---------------------------------------------------------------

    def charged(self, charge: float) -> None:
        """The battery holds so much, 0 to 1."""
        self._charge = charge
        if self._control is not None:
            self._control.battery = charge

    def _take(self, client: DvfsClient) -> LivePlan:
        assert self._control is not None
        node = self._node
        wishes = Wishes(
            value(node, 'deadline_s'),
            replan=value(node, 'replan'),
            weights=weights_of(value(node, 'preference')),
        )
        given = value(node, 'plan_file')
        kept = '' if given else self._kept_file(client)
        try:
            wishes = self._with_file(wishes, given or kept, client.board, client)
        except (ValueError, OSError) as error:
            if given:
                raise
            node.get_logger().warning(
                f'the plan that was set before this start is left out: {_words(error)}'
            )
        return self._control.take_lease(client, wishes)

    def _kept_file(self, client: DvfsClient) -> str:
        """The plan that was set before this start, if it was for the same board and network."""
        here = Identity(client.board, power_mode(client.root), self._fingerprint)
        file = self._kept.file
        if file and (other := self._kept.differs(here)):
            self._node.get_logger().warning(
                f'the plan that was set before this start is left out: it is for {other}. Search '
                'another one (the profiler, `e4 profile`), or set plan_file empty to forget it'
            )
            return ''
        return file

    def _look(self, state: DvfsState) -> None:
        me = self._node.get_fully_qualified_name()
        self._others = [lease.client for lease in state.leases if lease.client != me]
        live = self.live
        if live is None or self._control is None or state.board != self.board:
            return
        if live.set_tables({domain.name: domain.available_hz for domain in state.domains}):
            self._control.loop.changed()

    def _judge(self, parameters: list[Parameter]) -> SetParametersResult:
        """Refuse a plan or deadline that could not be put in force, with the reason."""
        control = self._control
        try:
            for parameter in parameters:
                if parameter.name == 'preference':
                    weights_of(parameter.value)
                if control is None or parameter.name not in ('plan_file', 'deadline_s'):
                    continue
                wishes = self._changed(control.wishes, parameter)
                if self.live is not None:
                    control.check(wishes)
        except (ValueError, OSError) as error:
            return SetParametersResult(successful=False, reason=_words(error))
        return SetParametersResult(successful=True)

    def _apply(self, parameters: list[Parameter]) -> None:
        for parameter in parameters:
            if parameter.name == 'plan_file':
                self._keep(parameter.value)
        control = self._control
        if control is None:
            return
        for parameter in parameters:
            if self.live is None and parameter.name != 'preference':
                continue  # read when the lease is there
            try:
                wishes = self._changed(control.wishes, parameter)
            except (ValueError, OSError) as error:  # the file is another since it was judged
                problem = f'{parameter.name} has no effect: {_words(error)}'
                control.loop.problem = problem
                self._node.get_logger().error(problem)
            else:
                if wishes != control.wishes:
                    control.wish(wishes)

    def _keep(self, file: str) -> None:
        live, here = self.live, None
        if live is not None:
            here = Identity(self.board, live.machine.power_mode, self._fingerprint)
        try:
            self._kept.keep(file, here)
        except (ValueError, OSError) as error:
            self._node.get_logger().warning(
                f'the plan will not be in force after the next start: {_words(error)}'
            )

    def _changed(self, wishes: Wishes, parameter: Parameter) -> Wishes:
        """The wishes with one parameter changed; the same where it is none of them.

        Raises:
            ValueError, OSError: the plan file does not fit, or cannot be read.
        """
        if parameter.name == 'plan_file':
            return self._with_file(wishes, parameter.value, self.board, self.live)
        if parameter.name == 'preference':
            return replace(wishes, weights=weights_of(parameter.value))
        if parameter.name in ('deadline_s', 'replan'):
            return replace(wishes, **{parameter.name: parameter.value})
        return wishes

    def _with_file(
        self, wishes: Wishes, file: str, board: str, clocks: DvfsClient | LivePlan | None
    ) -> Wishes:
        if not file:
            return replace(wishes, plan=None, plan_origin='')
        tables = None if clocks is None else clocks.frequencies_hz
        return replace(wishes, plan=self._stream.load(file, board, tables), plan_origin=file)

    # -- diagnostics --------------------------------------------------------------------------

    def statuses(self) -> list[DiagnosticStatus]:
        """The lease, and the plan in force."""
        link, live, control = self._link, self.live, self._control
        if link is None or control is None:
            name = value(self._node, 'controller')
            alone = spec_of(name).clocks is False
            why = f'controller {name} leaves the clocks alone' if alone else _NO_HELPER
            steps = status('clock steps', '', why)
        else:
            shared = f', shared with {", ".join(self._others)}' if self._others else ''
            what = f'stepping the clocks of {link.board}{shared}'
            steps = status('clock steps', link.problem, what)
        found = [steps]
        if control is not None:
            found.append(self._decisions(control))
        return found if live is None else [*found, self._describe(live)]

    def _decisions(self, control: LiveControl) -> DiagnosticStatus:
        """The controller, and what of it was passed over."""
        loop = control.loop
        values = {
            'controller': value(self._node, 'controller'),
            'failures': loop.failures,
            'late': loop.late,
            'outdated': loop.outdated,
            **control.controller.facts(),
        }
        return status('controller', loop.problem, values['controller'], values)

    def _describe(self, live: LivePlan) -> DiagnosticStatus:
        if self._told != live.active.id:
            self._told = live.active.id
            self._node.get_logger().info(f'plan {live.active.plan.name}: {live.active.why}')
        active = live.active
        since = datetime.fromtimestamp(active.since_s, timezone.utc)
        slowest = max(path.expected_latency_s for path in active.plan.paths.values())
        values = {
            'plan_id': active.id,
            'plan_name': active.plan.name,
            'plan_why': active.why,
            'plan_since': since.isoformat(timespec='milliseconds'),
            'plan_slowest_ms': f'{1e3 * slowest:.2f}',
            'plan_source': active.plan.source,
            'plans_made': live.made,
            'beside_frames_j': f'{live.clocks.beside_j:.6g}',
        }
        return status('frequency plan', '', f'{active.plan.name}: {active.why}', values)


def _words(error: ValueError | OSError) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f'{error.filename}: {error.strerror}'
    return str(error)
