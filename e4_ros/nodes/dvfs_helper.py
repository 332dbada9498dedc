"""The DVFS daemon as a ROS node: the lease by service, clocks and joules by topic.

Plans, steps and the lease's end take the socket that `~/acquire` names.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from rclpy.lifecycle import ManagedEntity

from e4_ros.bringup.node_parameters.dvfs_helper import PARAMETERS
from e4_ros.energy.daemon.realtime import log_asynchronously, setup_realtime
from e4_ros.nodes.daemon_topics import DaemonTopics
from e4_ros.nodes.lifecycle import AutostartNode, run
from e4_ros.nodes.served_daemon import ServedDaemon
from e4_ros.srv import AcquireLease


class DvfsHelper(AutostartNode):
    """Serves while it is active; whatever ends that gives the original clocks back."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__('dvfs_helper', PARAMETERS, **kwargs)
        self._served = ServedDaemon(self)
        self._topics = DaemonTopics(self, self._served)
        self.create_service(AcquireLease, '~/acquire', self._acquire)

    def parts(self) -> Iterator[ManagedEntity]:
        """The daemon, then what tells of it.

        Inactive, the node has checked its settings and holds the simulated board, if it has one;
        active, it serves.
        """
        yield self._served
        yield self._topics

    def _acquire(
        self, request: AcquireLease.Request, response: AcquireLease.Response
    ) -> AcquireLease.Response:
        daemon, config = self._served.daemon, self._served.config
        try:
            if daemon is None or config is None:
                raise ValueError(_INACTIVE)
            response.token = daemon.server.reserve(request.client)
        except ValueError as error:
            response.message = str(error)
            return response
        response.success = True
        response.socket_path = str(config.socket_path)
        response.board = daemon.core.board
        response.domains = list(daemon.core.domains)
        return response


_INACTIVE = 'the daemon is not active: `ros2 lifecycle set /dvfs_helper activate`'


def main(args: list[str] | None = None) -> None:
    """Entry point of `ros2 run e4_ros dvfs_helper`."""
    log_asynchronously(logging.WARNING)
    setup_realtime()
    run(DvfsHelper, args)


if __name__ == '__main__':
    main()
