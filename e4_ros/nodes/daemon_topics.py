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

"""What the DVFS daemon tells by topic: its state when that changes, joules to who listens."""

from __future__ import annotations

import time

from rclpy.lifecycle import LifecycleNode, LifecycleState, ManagedEntity, TransitionCallbackReturn
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.timer import Timer
from std_msgs.msg import Header

from e4_ros.energy.daemon.daemon import Daemon
from e4_ros.energy.daemon.lease import Lease
from e4_ros.energy.meters.meters import Meter
from e4_ros.energy.virtual.board import board_of
from e4_ros.msg import DomainState, DvfsState, EnergyTelemetry, LeaseState
from e4_ros.nodes.parameters import value
from e4_ros.nodes.served_daemon import ServedDaemon
from e4_ros.nodes.timers import steady_timer

_IDLE_S = 1.0
"""Seconds between two looks while nobody holds a lease and nobody listens to joules."""


class DaemonTopics(ManagedEntity):
    """Publishes `~/state` (latched) and `~/energy` while ``served`` has a daemon."""

    def __init__(self, node: LifecycleNode, served: ServedDaemon) -> None:
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._node, self._served = node, served
        self._state = node.create_lifecycle_publisher(DvfsState, '~/state', latched)
        self._energy = node.create_lifecycle_publisher(EnergyTelemetry, '~/energy', 10)
        self._shown = DvfsState()
        self._joules: Joules | None = None
        self._timer: Timer | None = None

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Tell the state now, and everything from now on."""
        assert self._served.daemon is not None
        meter = self._served.daemon.meter
        self._joules = None if meter is None else Joules(meter)
        self._shown = DvfsState()
        self._publish()
        self._timer = steady_timer(self._node, self._period_s(), self._tick)
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Tell no more."""
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
            self._timer = None
        return super().on_deactivate(state)

    def hurry(self) -> None:
        """Look soon: somebody is about to need the clocks."""
        if self._timer is not None:
            self._pace(1 / value(self._node, 'publish_rate_hz'))

    def _tick(self) -> None:
        self._publish()
        self._pace(self._period_s())

    def _period_s(self) -> float:
        assert self._served.daemon is not None
        fast_s = 1 / value(self._node, 'publish_rate_hz')
        if self._served.daemon.activity.is_busy or self._energy.get_subscription_count():
            return fast_s
        return max(fast_s, _IDLE_S)

    def _pace(self, period_s: float) -> None:
        assert self._timer is not None
        period_ns = round(period_s * 1e9)
        if period_ns != self._timer.timer_period_ns:
            self._timer.timer_period_ns = period_ns
            self._timer.reset()

    def _publish(self) -> None:
        assert self._served.daemon is not None
        message = state_message(self._served.daemon)
        message.header = self._shown.header
        if message != self._shown:
            message.header = self._header()
            self._shown = message
            self._state.publish(message)
        if self._joules is not None and self._energy.get_subscription_count():
            self._energy.publish(self._joules.message(self._header()))

    def _header(self) -> Header:
        return Header(stamp=self._node.get_clock().now().to_msg())


class Joules:
    """A meter as messages: joules since activation, mean power since the message before.

    Rails that are parts of others are read for nobody else: theirs are of the times at which
    somebody listened.
    """

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._start = self._before = meter.read(parts=True)
        self._before_s = time.monotonic()

    def message(self, header: Header) -> EnergyTelemetry:
        """What the rails say now."""
        now, now_s = self._meter.read(parts=True), time.monotonic()
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


def state_message(daemon: Daemon) -> DvfsState:
    """What the daemon holds and has done; the header is left open."""
    core = daemon.core
    counters = daemon.page.counters()
    hertz = core.applied_hz()
    return DvfsState(
        board=core.board,
        simulated=board_of(core.root) is not None,
        leases=[lease_message(lease) for lease in daemon.server.leases],
        domains=[
            DomainState(name=name, frequency_hz=hertz[name], available_hz=table)
            for name, table in core.frequencies_hz.items()
        ],
        steps_received=counters.received,
        steps_applied=counters.applied,
        steps_skipped=counters.skipped,
        writes_failed=counters.failed,
    )


def lease_message(lease: Lease) -> LeaseState:
    """Who holds a lease, and what it does."""
    plan = lease.plan
    return LeaseState(
        client=lease.client,
        pid=lease.peer.pid,
        uid=lease.peer.uid,
        exclusive=lease.exclusive,
        plan='' if plan is None else plan.name,
        awake=lease.awake,
        steps_received=lease.steps.read().received,
    )
