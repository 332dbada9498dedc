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

"""The DVFS daemon as a ROS node: the way to a lease by service, clocks and joules by topic.

A lease, its plans and its steps take the socket that `~/acquire` names.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.lifecycle import ManagedEntity

from e4_ros.bringup.node_parameters.dvfs_helper import PARAMETERS
from e4_ros.energy.daemon.realtime import log_asynchronously, setup_realtime
from e4_ros.energy.domains.cooling import cooling_devices
from e4_ros.energy.meters.slowdowns import gated_tpcs, slowdowns
from e4_ros.energy.meters.thermal import ThermalZones
from e4_ros.energy.power_mode import read_power_mode
from e4_ros.nodes.daemon_topics import DaemonTopics, lease_message
from e4_ros.nodes.diagnostics import Diagnostics, status
from e4_ros.nodes.lifecycle import AutostartNode, run
from e4_ros.nodes.served_daemon import ServedDaemon
from e4_ros.srv import AcquireLease

_DIAGNOSTICS_S = 5.0


class DvfsHelper(AutostartNode):
    """Serves while it is active; whatever ends that gives the original clocks back."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__('dvfs_helper', PARAMETERS, **kwargs)
        self._served = ServedDaemon(self)
        self._topics = DaemonTopics(self, self._served)
        self._diagnostics = Diagnostics(self, _DIAGNOSTICS_S, self._statuses)
        self.create_service(AcquireLease, '~/acquire', self._acquire)

    def parts(self) -> Iterator[ManagedEntity]:
        """The daemon, then what tells of it.

        Inactive, the node has checked its settings and holds the simulated board, if it has one;
        active, it serves.
        """
        yield self._diagnostics
        yield self._served
        yield self._topics

    def _acquire(
        self, request: AcquireLease.Request, response: AcquireLease.Response
    ) -> AcquireLease.Response:
        daemon, config = self._served.daemon, self._served.config
        try:
            if daemon is None or config is None:
                raise ValueError(_INACTIVE)
            response.leases = [lease_message(lease) for lease in daemon.server.leases]
            daemon.server.check(request.client)
        except ValueError as error:
            response.message = str(error)
            return response
        self._topics.hurry()
        response.success = True
        response.socket_path = str(config.socket_path)
        response.board = daemon.core.board
        response.domains = list(daemon.core.domains)
        return response

    def _statuses(self) -> list[DiagnosticStatus]:
        config = self._served.config
        return [] if config is None else [_board_status(config.root)]


def _board_status(root: Path) -> DiagnosticStatus:
    """Heat, power mode, and what slows the board down."""
    slow, gated, mode = slowdowns(root), gated_tpcs(root), read_power_mode(root)
    zones = ThermalZones(root).read()
    values = {
        'power_mode': '' if mode is None else mode.key,
        'gated_tpcs': '' if gated is None else gated,
        **{f'{z.kind}_c': f'{z.temperature_c:.1f} of {z.limit_c:g}' for z in zones},
        **{device.kind: f'{device.state} of {device.most}' for device in cooling_devices(root)},
    }
    return status('board', '; '.join(slow), 'nothing slows it down', values)


_INACTIVE = 'the daemon is not active: `ros2 lifecycle set /dvfs_helper activate`'


def main(args: list[str] | None = None) -> None:
    """Entry point of `ros2 run e4_ros dvfs_helper`."""
    log_asynchronously(logging.WARNING)
    setup_realtime()
    run(DvfsHelper, args)


if __name__ == '__main__':
    main()
