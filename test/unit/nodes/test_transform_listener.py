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

"""Transforms of messages reach the buffer, and bad ones are told."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

pytest.importorskip('rclpy')

from geometry_msgs.msg import TransformStamped

from e4_ros.nodes import transform_listener
from e4_ros.nodes.transform_listener import TransformListener
from e4_ros.perception.obstacles import TransformBuffer


class Node:
    """Keeps subscriptions instead of making them: the type of /tf is not among the wheels."""

    def __init__(self) -> None:
        self.open: dict = {}

    def create_subscription(self, _kind, topic, callback, qos):
        self.open[topic] = callback, qos
        return topic

    def destroy_subscription(self, topic) -> None:
        del self.open[topic]


def transform(parent: str, child: str, x: float, stamp_s: int = 0) -> TransformStamped:
    message = TransformStamped(child_frame_id=child)
    message.header.frame_id, message.header.stamp.sec = parent, stamp_s
    message.transform.translation.x = x
    return message


def test_both_topics_fill_the_buffer_and_the_static_one_is_latched():
    node, buffer, changes, wrong = Node(), TransformBuffer(), [], []
    listener = TransformListener(node, buffer, lambda: changes.append(1), wrong.append)
    take, _ = node.open['/tf']
    take_static, latched = node.open['/tf_static']
    assert latched.durability == transform_listener.DurabilityPolicy.TRANSIENT_LOCAL
    take_static(SimpleNamespace(transforms=[transform('base', 'camera', 0.5)]))
    take(SimpleNamespace(transforms=[transform('odom', 'base', x, int(x)) for x in (1.0, 2.0)]))
    assert buffer.lookup('odom', 'camera', 1_500_000_000).translation.tolist() == [2.0, 0, 0]
    take(SimpleNamespace(transforms=[transform('odom', '', 1.0), transform('a', 'b', 7.0)]))
    assert wrong == ["a transform from 'odom' to '' means nothing"]
    assert buffer.lookup('a', 'b', 0).translation[0] == 7.0
    assert len(changes) == 3
    listener.stop()
    assert not node.open
