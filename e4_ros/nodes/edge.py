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

"""Perception's edge server as a managed entity: reached while the node is configured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.lifecycle import LifecycleState, ManagedEntity, TransitionCallbackReturn
from rclpy.node import Node

from e4_ros.nodes.diagnostics import status
from e4_ros.nodes.network import edge_options
from e4_ros.perception.edge_link import EdgeLink

if TYPE_CHECKING:
    from e4_ros.nodes.network import Network


class Edge(ManagedEntity):
    """The edge server that the parameters name, and what diagnostics say of it.

    Args:
        node: perception; has the parameters.
        cameras: names of the cameras; an empty one for the only one.

    Attributes:
        link: the client, and the ways of all cameras' frames.

    Raises:
        ValueError: a parameter is none, or does not go with another.
        FileNotFoundError: a file of TLS is not there.
    """

    def __init__(self, node: Node, cameras: Sequence[str]) -> None:
        self._node = node
        self.link = EdgeLink(edge_options(node), cameras)
        self._told = ''

    def attach(self, network: Network) -> None:
        """Let a network's streams reach the server; those of the one before do so no more.

        Raises:
            MissingExtraError: Zenoh is not installed.
        """
        ways = self.link.attach(network.setup, network.features)
        for perceiver, way in zip(network.perceivers, ways, strict=True):
            perceiver.edge = way

    def status(self) -> DiagnosticStatus:
        """Whether the server is reached, why not, and figures; changes are logged, too."""
        complaint, facts = self.link.complaint(), self.link.facts()
        if complaint != self._told:
            self._told = complaint
            log = self._node.get_logger()
            if complaint:
                log.warning(complaint)
            else:
                log.info(f'the edge server at {facts["endpoints"]} is asked: {facts["asked"]}')
        fine = (
            f'{facts["asked"]}: {facts["answered"]} of {facts["sent"]} requests answered, '
            f'{facts["late"]} of them late'
        )
        return status('edge server', complaint, fine, facts)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Be gone."""
        self.link.close()
        return super().on_cleanup(state)
