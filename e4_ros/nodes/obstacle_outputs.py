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

"""What the obstacles node publishes for each image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rclpy.lifecycle import (
    LifecycleNode,
    LifecyclePublisher,
    LifecycleState,
    ManagedEntity,
    TransitionCallbackReturn,
)
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from e4_ros.msg import Detections, Obstacles
from e4_ros.nodes import obstacle_messages as to
from e4_ros.nodes.parameters import value
from e4_ros.perception.obstacles import Obstacle, footprint_points


class ObstacleOutputs(ManagedEntity):
    """The output topics, there while the node is configured; a message is made for listeners only.

    Topics whose messages are not installed are left out.
    """

    def __init__(self, node: LifecycleNode) -> None:
        self._node = node
        mode, people = value(node, 'mode'), value(node, 'people')
        spacing_m = value(node, 'footprint_spacing_m')
        self._makers: list[
            tuple[LifecyclePublisher, Callable[[Sequence[Obstacle], Detections, Header], Any]]
        ] = []
        self._add(
            Obstacles, '~/obstacles', lambda found, seen, at: to.to_obstacles(found, seen, at, mode)
        )
        self._add(
            PointCloud2,
            '~/points',
            lambda found, _, at: to.to_cloud(footprint_points(found, spacing_m), at),
        )
        self._add(to.Detection3DArray, '~/detections_3d', to.to_detection_3d_array)
        self._add(to.MarkerArray, '~/markers', to.to_markers)
        self._add(
            to.People,
            '~/people',
            lambda found, seen, at: to.to_people(found, seen, at, people),
        )
        self._add(to.ObstacleArray, '~/dynamic_obstacles', to.to_dynamic_obstacles)

    def publish(self, found: Sequence[Obstacle], seen: Detections, header: Header) -> None:
        """Publish the obstacles of one image, also where there are none.

        Args:
            found: The obstacles.
            seen: The detections that they were made of.
            header: Stamp of the image, frame of the obstacles.
        """
        for publisher, make in self._makers:
            if publisher.get_subscription_count():
                publisher.publish(make(found, seen, header))

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Take the topics away."""
        while self._makers:
            self._node.destroy_lifecycle_publisher(self._makers.pop()[0])
        return super().on_cleanup(state)

    def _add(
        self,
        kind: type | None,
        topic: str,
        make: Callable[[Sequence[Obstacle], Detections, Header], Any],
    ) -> None:
        if kind is not None:
            overrides = QoSOverridingOptions.with_default_policies()
            publisher = self._node.create_lifecycle_publisher(
                kind, topic, 10, qos_overriding_options=overrides
            )
            self._makers.append((publisher, make))
