"""The DVFS daemon as a ROS node: the lease by service, clocks and joules by topic.

Plans, steps and the lease's end take the socket that `~/acquire` names.
"""

from __future__ import annotations

import logging
import tempfile
import time
from pathlib import Path
from typing import Any

from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import Header

from e4_ros.bringup.node_parameters.dvfs_helper import PARAMETERS
from e4_ros.energy.daemon.daemon import Daemon, DaemonConfig, parse_limits
from e4_ros.energy.daemon.realtime import log_asynchronously, setup_realtime
from e4_ros.energy.meters.meters import Meter
from e4_ros.energy.virtual.board import board_of, write_tree
from e4_ros.msg import DomainState, DvfsState, EnergyTelemetry
from e4_ros.nodes.lifecycle import AutostartNode, run
from e4_ros.nodes.parameters import value
from e4_ros.nodes.timers import steady_timer
from e4_ros.srv import AcquireLease

_SUCCESS, _FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class DvfsHelper(AutostartNode):
    """Serves while it is active; whatever ends that gives the original clocks back."""

    def __init__(self, **kwargs: Any) -> None:
        self._config: DaemonConfig | None = None
        super().__init__('dvfs_helper', PARAMETERS, lambda: self._config is not None, **kwargs)
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._daemon: Daemon | None = None
        self._joules: Joules | None = None
        self._shown = DvfsState()
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._state = self.create_lifecycle_publisher(DvfsState, '~/state', latched)
        self._energy = self.create_lifecycle_publisher(EnergyTelemetry, '~/energy', 10)
        self.create_service(AcquireLease, '~/acquire', self._acquire)

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Check the settings; make the simulated board, if one is asked for."""
        try:
            self._config = self._configured()
        except (ValueError, OSError) as error:
            self.get_logger().error(f'cannot be configured: {error}')
            self._forget()
            return _FAILURE
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Bring back what an earlier helper left, find the clocks, and listen."""
        assert self._config is not None
        try:
            self._daemon = Daemon(self._config)
        except (ValueError, OSError) as error:
            self.get_logger().error(f'cannot serve: {error}')
            return _FAILURE
        meter = self._daemon.meter
        self._joules = None if meter is None else Joules(meter)
        self._shown = DvfsState()
        done = super().on_activate(state)
        self._timer = steady_timer(self, 1 / value(self, 'publish_rate_hz'), self._publish)
        self._publish()
        core = self._daemon.core
        self.get_logger().info(
            f'{core.board}: {", ".join(core.domains)}; listening on {self._config.socket_path}'
        )
        return done

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """End the lease and give everything back."""
        self._rest()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Forget the settings and the simulated board."""
        self._forget()
        return super().on_cleanup(state)

    def stop(self) -> None:
        """Give everything back; may be called twice."""
        self._rest()
        self._forget()

    def _configured(self) -> DaemonConfig:
        root, board = Path(value(self, 'sysfs_root')), value(self, 'board')
        ours: dict[str, Any] = {}
        if board:
            if root != Path('/'):
                raise ValueError('give either board or sysfs_root')
            self._folder = tempfile.TemporaryDirectory(prefix='e4-board-')
            folder = Path(self._folder.name)
            root = write_tree(board, folder / 'board')
            # Several may run side by side, and what they journal means nothing afterwards.
            ours = {'state_dir': folder, 'socket_path': folder / 'helper.sock'}
        given = ours | {
            name: value(self, name)
            for name in ('state_dir', 'socket_path', 'group', 'watchdog_s', 'over_temperature_c')
            if value(self, name)
        }
        limits = parse_limits(value(self, 'limits'))
        priority = value(self, 'realtime_priority')
        return DaemonConfig(root=root, limits_hz=limits, priority=priority, **given)

    def _rest(self) -> None:
        if self._daemon is None:
            return
        self.destroy_timer(self._timer)
        self._daemon.stop()
        if problems := self._daemon.core.problems:
            self.get_logger().error(f'not everything was restored: {"; ".join(problems)}')
        self._daemon = None

    def _forget(self) -> None:
        self._config = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _acquire(
        self, request: AcquireLease.Request, response: AcquireLease.Response
    ) -> AcquireLease.Response:
        daemon = self._daemon
        try:
            if daemon is None or self._config is None:
                raise ValueError(_INACTIVE)
            response.token = daemon.server.reserve(request.client)
        except ValueError as error:
            response.message = str(error)
            return response
        response.success = True
        response.socket_path = str(self._config.socket_path)
        response.board = daemon.core.board
        response.domains = list(daemon.core.domains)
        return response

    def _publish(self) -> None:
        assert self._daemon is not None
        message = self._state_message(self._daemon)
        message.header = self._shown.header
        if message != self._shown:
            message.header = self._header()
            self._shown = message
            self._state.publish(message)
        if self._joules is not None:
            self._energy.publish(self._joules.message(self._header()))

    def _header(self) -> Header:
        return Header(stamp=self.get_clock().now().to_msg())

    def _state_message(self, daemon: Daemon) -> DvfsState:
        core, lease = daemon.core, daemon.server.holder
        counters = daemon.page.counters()
        hertz = core.applied_hz()
        return DvfsState(
            board=core.board,
            simulated=board_of(core.root) is not None,
            lease_held=lease is not None,
            lease_holder='' if lease is None else str(lease),
            plan='' if core.plan is None else core.plan.name,
            domains=[
                DomainState(name=name, frequency_hz=hertz[name], available_hz=table)
                for name, table in core.frequencies_hz.items()
            ],
            steps_received=counters.received,
            steps_applied=counters.applied,
            steps_skipped=counters.skipped,
            writes_failed=counters.failed,
        )


class Joules:
    """A meter as messages: joules since activation, mean power since the message before."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._start = self._before = meter.read()
        self._before_s = time.monotonic()

    def message(self, header: Header) -> EnergyTelemetry:
        """What the rails say now."""
        now, now_s = self._meter.read(), time.monotonic()
        elapsed_s = now_s - self._before_s
        before, start = self._before.rails_j, self._start.rails_j
        self._before, self._before_s = now, now_s
        return EnergyTelemetry(
            header=header,
            source=now.source,
            rails=list(now.rails_j),
            power_w=[(joules - before[rail]) / elapsed_s for rail, joules in now.rails_j.items()],
            energy_j=[joules - start[rail] for rail, joules in now.rails_j.items()],
            total_energy_j=now.energy_j - self._start.energy_j,
        )


_INACTIVE = 'the helper is not active: `ros2 lifecycle set /dvfs_helper activate`'


def main(args: list[str] | None = None) -> None:
    """Entry point of `ros2 run e4_ros dvfs_helper`."""
    log_asynchronously(logging.WARNING)
    setup_realtime()
    run(DvfsHelper, args)


if __name__ == '__main__':
    main()
