"""Perception's clock steps: the lease, the plan in force, and the parameters that change it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from rcl_interfaces.msg import SetParametersResult
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile

from e4_ros.energy.board_model import works_of
from e4_ros.energy.client.client import DvfsClient
from e4_ros.msg import DvfsState
from e4_ros.nodes.daemon_link import DaemonLink
from e4_ros.nodes.diagnostics import status
from e4_ros.nodes.parameters import E4Node, value
from e4_ros.perception.active_plan import Stream
from e4_ros.perception.frequency_control import NoControl
from e4_ros.perception.live_plan import LivePlan

if TYPE_CHECKING:
    from e4_ros.perception.perceiver import Perceiver
    from e4_ros.perception.records import FrameRecord


class ClockSteps:
    """Steps the clocks of perception's frames while a helper gives it the lease.

    `process`, `observe` and `plan_id` are the worker's; everything else runs in the executor.

    Args:
        node: Perception, with its parameters declared.
        daemon: Name of the helper's node.

    Attributes:
        between_frames: No other plan comes while it is held.
    """

    def __init__(self, node: E4Node, daemon: str) -> None:
        self._node = node
        self.between_frames = Lock()
        self._stream: Stream | None = None
        self._last: LivePlan | None = None
        self._told = ''
        self._link = DaemonLink(node, daemon, value(node, 'helper_retry_s'), self._take)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._state = node.create_subscription(DvfsState, f'{daemon}/state', self._look, latched)
        node.add_on_set_parameters_callback(self._judge)
        node.after_parameters(self._apply)

    def attach(self, perceiver: Perceiver) -> None:
        """Plan for the network of ``perceiver``."""
        engine = perceiver.engine
        self._stream = Stream(engine.model.name, works_of(engine.segments), dict(engine.paths))
        self._last = None

    def start(self, settled: Callable[[], None]) -> None:
        """Ask for the lease; ``settled`` is called once it is known whether there are steps."""
        self._link.start(settled)

    def stop(self) -> None:
        """Give the lease back."""
        self._link.stop()

    def destroy(self) -> None:
        """Take everything away from the node."""
        self._link.destroy()
        self._node.destroy_subscription(self._state)
        self._node.remove_on_set_parameters_callback(self._judge)
        self._node.no_more_after_parameters(self._apply)

    @property
    def board(self) -> str:
        """Board whose clocks are stepped; empty while there are none."""
        return self._link.board

    @property
    def plan_id(self) -> str:
        """Identity of the plan in force; empty without one."""
        live = self._link.live
        return '' if live is None else live.active.id

    # -- frames -------------------------------------------------------------------------------

    def process(
        self, perceiver: Perceiver, frame: np.ndarray, stamp_s: float, index: int
    ) -> FrameRecord:
        """Answer a frame under the plan in force; no other plan comes before it is answered."""
        with self.between_frames:
            live = self._link.live
            perceiver.clocks = NoControl() if live is None else live.clocks
            return perceiver.process(frame, stamp_s, index)

    def observe(self, record: FrameRecord) -> None:
        """The answer is out: plan again where that is called for."""
        live = self._link.live
        if live is not None:
            live.observe(record)

    # -- the plan -----------------------------------------------------------------------------

    def _take(self, client: DvfsClient) -> LivePlan:
        assert self._stream is not None
        node, before = self._node, self._last
        self._last = LivePlan(
            client,
            self._stream,
            self.between_frames,
            plan_file=value(node, 'plan_file'),
            deadline_s=value(node, 'deadline_s'),
            domains=value(node, 'plan_domains'),
            replan=value(node, 'replan'),
            gain=value(node, 'replan_gain'),
            exit_shares=None if before is None else before.exit_shares,
        )
        return self._last

    def _look(self, state: DvfsState) -> None:
        live = self._link.live
        if live is None or state.board != self._link.board:
            return
        try:
            live.set_tables({domain.name: domain.available_hz for domain in state.domains})
        except (ValueError, OSError) as error:
            live.problem = f'the new limits are not kept: {error}'

    def _judge(self, parameters: list[Parameter]) -> SetParametersResult:
        """Refuse a plan or deadline that could not be put in force, with the reason."""
        live = self._link.live
        try:
            for parameter in parameters:
                if parameter.name == 'plan_file' and live is not None:
                    live.check_file(parameter.value)
                elif parameter.name == 'plan_file' and parameter.value and self._stream is not None:
                    self._stream.load(parameter.value)
                elif parameter.name == 'deadline_s' and live is not None:
                    live.check_deadline(parameter.value)
        except (ValueError, OSError) as error:
            return SetParametersResult(successful=False, reason=_words(error))
        return SetParametersResult(successful=True)

    def _apply(self, parameters: list[Parameter]) -> None:
        live = self._link.live
        if live is None:
            return  # read when the lease is there
        actions: dict[str, Callable[..., None]] = {
            'plan_file': live.load,
            'deadline_s': live.set_deadline,
            'replan': lambda on: setattr(live, 'replan', on),
        }
        for parameter in parameters:
            try:
                if parameter.name in actions:
                    actions[parameter.name](parameter.value)
            except (ValueError, OSError) as error:
                live.problem = f'{parameter.name} has no effect: {_words(error)}'
                self._node.get_logger().error(live.problem)

    # -- diagnostics --------------------------------------------------------------------------

    def statuses(self) -> list[DiagnosticStatus]:
        """The lease, and the plan in force."""
        link, live = self._link, self._link.live
        steps = status('clock steps', link.problem, f'stepping the clocks of {link.board}')
        return [steps] if live is None else [steps, self._describe(live)]

    def _describe(self, live: LivePlan) -> DiagnosticStatus:
        if self._told != live.active.id:
            self._told = live.active.id
            self._node.get_logger().info(f'plan {live.active.plan.name}: {live.active.why}')
        active, shares = live.active, live.exit_shares or {}
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
        }
        values |= {f'plan_share.{name}': f'{share:.3f}' for name, share in shares.items()}
        return status('frequency plan', live.problem, f'{active.plan.name}: {active.why}', values)


def _words(error: ValueError | OSError) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f'{error.filename}: {error.strerror}'
    return str(error)
