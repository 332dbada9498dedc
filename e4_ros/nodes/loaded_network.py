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

"""Perception's network as a managed entity: loaded at configuration, freed at cleanup."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rclpy.lifecycle import LifecycleState, ManagedEntity, TransitionCallbackReturn
from rclpy.node import Node

if TYPE_CHECKING:  # what runs networks takes long to import; the node is to be seen before
    from e4_ros.nodes.loaded_versions import LoadedVersions
    from e4_ros.nodes.network import Network


class LoadedNetwork(ManagedEntity):
    """Holds the network that the parameters of ``node`` name while the node is configured.

    Args:
        node: has the parameters.
        cameras: names of the cameras; an empty one for the only one.
        models: the model of each camera; none: the node's for all.

    Attributes:
        versions: all of them, where the parameter `versions` names some; the first answers first.
    """

    def __init__(
        self, node: Node, cameras: Sequence[str] = ('',), models: Sequence[str] = ()
    ) -> None:
        self._node, self._cameras, self._models = node, cameras, models
        self._network: Network | None = None
        self.versions: LoadedVersions | None = None

    @property
    def is_loaded(self) -> bool:
        """Whether there is a network."""
        return self._network is not None

    def get(self) -> Network:
        """The network; only while the node is configured."""
        assert self._network is not None
        return self._network

    def put(self, network: Network) -> None:
        """Replace it; nobody may be working with the one before."""
        self._network = network

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load it.

        Raises:
            ValueError: a name is unknown, or a file does not fit.
            OSError: a file cannot be read.
        """
        from e4_ros.nodes.loaded_versions import load_versions
        from e4_ros.nodes.network import load

        self.versions = load_versions(self._node, self._cameras)
        if self.versions is None:
            self._network = load(self._node, cameras=self._cameras, models=self._models)
        else:
            self._network = next(iter(self.versions.networks.values()))
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin new streams: what came before is no neighbour of the next image."""
        networks = [self.get()] if self.versions is None else self.versions.networks.values()
        for network in networks:
            for perceiver in network.perceivers:
                perceiver.engine.reset()
        return super().on_activate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free it."""
        self._network = self.versions = None
        return super().on_cleanup(state)
