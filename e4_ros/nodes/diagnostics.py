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

"""A node's statuses on /diagnostics."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.lifecycle import LifecycleState, ManagedEntity, TransitionCallbackReturn
from rclpy.node import Node

from e4_ros.nodes.timers import steady_timer

SILENCE_S = 5.0
"""Seconds without a message after which the diagnostics say why."""


class Diagnostics(ManagedEntity):
    """Publishes what ``statuses`` gives, every ``period_s``; names get the node's in front.

    It does so in every state, and once more at deactivation.
    """

    def __init__(
        self, node: Node, period_s: float, statuses: Callable[[], list[DiagnosticStatus]]
    ) -> None:
        self._node = node
        self._statuses = statuses
        self._publisher = node.create_publisher(DiagnosticArray, '/diagnostics', 10)
        steady_timer(node, period_s, self.publish)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Publish the last counts."""
        self.publish()
        return super().on_deactivate(state)

    def publish(self) -> None:
        """Publish now."""
        prefix = self._node.get_fully_qualified_name().lstrip('/')
        message = DiagnosticArray()
        message.header.stamp = self._node.get_clock().now().to_msg()
        for item in self._statuses():
            message.status.append(
                DiagnosticStatus(
                    name=f'{prefix}: {item.name}',
                    level=item.level,
                    message=item.message,
                    values=item.values,
                )
            )
        self._publisher.publish(message)


def status(
    name: str, wrong: str, fine: str, values: Mapping[str, object] | None = None
) -> DiagnosticStatus:
    """Build a status: a warning that says what is ``wrong``, or OK and what is ``fine``."""
    pairs = [KeyValue(key=key, value=str(item)) for key, item in (values or {}).items()]
    level = DiagnosticStatus.WARN if wrong else DiagnosticStatus.OK
    return DiagnosticStatus(name=name, level=level, message=wrong or fine, values=pairs)


def why_silent(node: Node, topic: str, silence_s: float) -> str:
    """What to do about a topic that brings nothing; empty while there is nothing to complain of."""
    if silence_s < SILENCE_S:
        return ''
    base = topic.removesuffix('/compressed')
    other = base if topic.endswith('/compressed') else f'{topic}/compressed'
    if not node.count_publishers(topic) and node.count_publishers(other):
        return f'nobody publishes {topic}, but {other} is there: set image_transport'
    for name in ('ffmpeg', 'theora', 'zstd'):
        if not node.count_publishers(topic) and node.count_publishers(f'{base}/{name}'):
            return (
                f'nobody publishes {topic}, but {base}/{name} is there, which image_transport can '
                f'decode: `ros2 run image_transport republish {name} raw --ros-args -r '
                f'in/{name}:={base}/{name} -r out:={base}`'
            )
    if not node.count_publishers(topic):
        return f'nobody publishes {topic}: check `ros2 topic list` and remap the topic'
    return (
        f'nothing on {topic} for {silence_s:.0f} s although it is published: '
        f'check types and QoS with `ros2 topic info -v {topic}`'
    )
