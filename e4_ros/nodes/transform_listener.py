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

"""/tf and /tf_static into a transform buffer of our own.

tf2_ros needs a compiled library (tf2_py) that is in no wheel; the messages are all that is needed
here. Where even they are missing, `TFMessage` is None and poses have to come from parameters.
"""

from __future__ import annotations

from collections.abc import Callable

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile

from e4_ros.perception.obstacles import TransformBuffer, TransformError

try:
    from tf2_msgs.msg import TFMessage
except ImportError:
    TFMessage = None


class TransformListener:
    """Subscribes both topics, as tf2's listener does, remappable by their names.

    Args:
        node: Its executor runs the callbacks.
        buffer: Gets the transforms.
        on_change: Called after each message.
        on_wrong: Takes what is said of a transform that is none.
    """

    def __init__(
        self,
        node: Node,
        buffer: TransformBuffer,
        on_change: Callable[[], None],
        on_wrong: Callable[[str], None],
    ) -> None:
        self._node, self._buffer = node, buffer
        self._on_change, self._on_wrong = on_change, on_wrong
        latched = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._subscriptions = [
            node.create_subscription(TFMessage, '/tf', self._take, QoSProfile(depth=100)),
            node.create_subscription(TFMessage, '/tf_static', self._take_static, latched),
        ]

    def stop(self) -> None:
        """End the subscriptions."""
        while self._subscriptions:
            self._node.destroy_subscription(self._subscriptions.pop())

    def _take(self, message: TFMessage, is_static: bool = False) -> None:
        for item in message.transforms:
            moved, turned = item.transform.translation, item.transform.rotation
            stamp = item.header.stamp
            try:
                self._buffer.add(
                    item.header.frame_id,
                    item.child_frame_id,
                    stamp.sec * 10**9 + stamp.nanosec,
                    (moved.x, moved.y, moved.z),
                    (turned.x, turned.y, turned.z, turned.w),
                    is_static,
                )
            except TransformError as error:
                self._on_wrong(str(error))
        self._on_change()

    def _take_static(self, message: TFMessage) -> None:
        self._take(message, is_static=True)
