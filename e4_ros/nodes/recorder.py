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

"""Writes topics to one MCAP file that Foxglove and `rosbags` read; schemas are in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from rclpy.subscription import Subscription

from e4_ros.bringup.node_parameters.recorder import PARAMETERS
from e4_ros.nodes.bag_file import BagFile
from e4_ros.nodes.interfaces import message_class
from e4_ros.nodes.lifecycle import run
from e4_ros.nodes.offered_qos import as_offered
from e4_ros.nodes.parameters import E4Node, value
from e4_ros.nodes.timers import steady_timer

_NOT_RECORDED = {'sensor_msgs/msg/Image'}


class Recorder(E4Node):
    """Subscribes to topics as they appear, with the QoS they are offered with.

    Messages are stored as they came, without being deserialised, at the time they were received.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__('recorder', **kwargs)
        self.declare_all(PARAMETERS)
        self._wanted = {self.resolve_topic_name(name) for name in value(self, 'topics')}
        self._subscribed: dict[str, Subscription] = {}
        self._unknown: set[str] = set()
        self._bag = BagFile(Path(value(self, 'output')))
        self._look_timer = steady_timer(self, 0.1, self._look_for_topics)
        self._look_for_topics()

    def stop(self) -> None:
        """Finish the file."""
        self.destroy_timer(self._look_timer)
        for subscription in self._subscribed.values():
            self.destroy_subscription(subscription)
        count = self._bag.close()
        self.get_logger().info(f'{count} messages in {self._bag.path}')

    def _look_for_topics(self) -> None:
        for topic, types in self.get_topic_names_and_types():
            if topic not in self._subscribed and self._is_wanted(topic, types[0]):
                self._subscribe(topic, types[0])

    def _is_wanted(self, topic: str, type_name: str) -> bool:
        if self._wanted:
            return topic in self._wanted
        return type_name not in _NOT_RECORDED

    def _subscribe(self, topic: str, type_name: str) -> None:
        offers = self.get_publishers_info_by_topic(topic)
        if not offers or type_name in self._unknown:
            return
        try:
            kind = message_class(type_name)
            write = self._bag.open_topic(topic, type_name)
        except LookupError as error:
            self._unknown.add(type_name)
            self.get_logger().warning(f'{topic} is not recorded: {error}')
            return
        self._subscribed[topic] = self.create_subscription(
            kind,
            topic,
            lambda data: write(self.get_clock().now().nanoseconds, cast('bytes', data)),
            as_offered(offers, depth=100),
            raw=True,
        )


def main(args: list[str] | None = None) -> None:
    """Entry point of `ros2 run e4_ros recorder`."""
    run(Recorder, args)


if __name__ == '__main__':
    main()
