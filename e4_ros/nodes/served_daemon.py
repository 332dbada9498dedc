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

"""The DVFS daemon as a managed entity: its settings while configured, itself while active."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from rclpy.lifecycle import LifecycleState, ManagedEntity, TransitionCallbackReturn
from rclpy.node import Node

from e4_ros.energy.daemon.daemon import Daemon, DaemonConfig, parse_limits
from e4_ros.energy.daemon.parked_cpus import parse_cpus
from e4_ros.energy.virtual.board import write_tree
from e4_ros.nodes.parameters import value


class ServedDaemon(ManagedEntity):
    """Serves the clocks while it is active; whatever ends that gives the original ones back.

    Attributes:
        daemon: Serves; None while the node is not active.
        config: Settings; None while the node is not configured.
    """

    def __init__(self, node: Node) -> None:
        self.daemon: Daemon | None = None
        self.config: DaemonConfig | None = None
        self._node = node
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Check the settings; make the simulated board, if one is asked for.

        Raises:
            ValueError, OSError: a setting is wrong, or the board cannot be made.
        """
        self.config = self._configured()
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Bring back what an earlier daemon left, find the clocks, and listen.

        Raises:
            ValueError, OSError: there are no clocks, or they cannot be served.
        """
        assert self.config is not None
        self.daemon = Daemon(self.config)
        core = self.daemon.core
        self._node.get_logger().info(
            f'{core.board}: {", ".join(core.domains)}; listening on {self.config.socket_path}'
        )
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """End the lease and restore everything."""
        if self.daemon is not None:
            self.daemon.stop()
            if problems := self.daemon.core.problems:
                self._node.get_logger().error(f'not everything was restored: {"; ".join(problems)}')
            self.daemon = None
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Forget the settings and the simulated board."""
        self.config = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None
        return super().on_cleanup(state)

    def _configured(self) -> DaemonConfig:
        root, board = Path(value(self._node, 'sysfs_root')), value(self._node, 'board')
        ours: dict[str, Any] = {}
        if board:
            if root != Path('/'):
                raise ValueError('give either board or sysfs_root')
            self._folder = tempfile.TemporaryDirectory(prefix='e4-board-')
            folder = Path(self._folder.name)
            root = write_tree(board, folder / 'board')
            # Several may run side by side, and what they save means nothing afterwards.
            ours = {'state_dir': folder, 'socket_path': folder / 'helper.sock'}
        given = ours | {
            name: value(self._node, name)
            for name in (
                'state_dir',
                'socket_path',
                'group',
                'watchdog_s',
                'idle_lease_s',
                'over_temperature_c',
            )
            if value(self._node, name)
        }
        limits = parse_limits(value(self._node, 'limits'))
        exactly = {  # where 0 means something
            'isochronous_floor': value(self._node, 'isochronous_floor'),
            'spare_cpus': parse_cpus(value(self._node, 'spare_cpus')),
            'priority': value(self._node, 'realtime_priority'),
        }
        return DaemonConfig(root=root, limits_hz=limits, **exactly, **given)
