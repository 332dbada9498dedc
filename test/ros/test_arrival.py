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

"""Images arrive: subscribed as reliably as they are published, and what is lost is said."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

pytest.importorskip('rclpy')

from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image

from e4_ros.nodes.image_input import ImageInput

RELIABLE, BEST_EFFORT = ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT
PATIENCE_S = 20.0


class Listener:
    """An image input with what it needs of a node, and a node that publishes."""

    def __init__(self, context, transport='raw', reliability='auto'):
        self.executor = SingleThreadedExecutor(context=context)
        self.node = Node('listener', context=context)
        self.node.declare_parameter('image_transport', transport)
        self.node.declare_parameter('reliability', reliability)
        for name, given in (
            ('skip_unneeded', False),
            ('camera_rate_min_hz', 1.0),
            ('camera_rate_max_hz', 100.0),
        ):
            self.node.declare_parameter(name, given)
        self.camera = Node('camera', context=context)
        self.executor.add_node(self.node)
        self.came = []
        self.input = ImageInput(self.node, '', lambda message, _: self.came.append(message))

    def publisher(self, reliability, kind=Image, topic='image'):
        return self.camera.create_publisher(
            kind, topic, QoSProfile(depth=1, reliability=reliability)
        )

    @property
    def reliability(self):
        found = self.camera.get_subscriptions_info_by_topic('/image')
        return [each.qos_profile.reliability for each in found]

    def until(self, condition):
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, 'it never came to that'
            self.executor.spin_once(timeout_sec=0.01)


@pytest.fixture
def listen(ros_context):
    made = []

    def make(**given):
        listener = Listener(ros_context, **given)
        made.append(listener)
        listener.input.listen()
        return listener

    yield make
    for listener in made:
        listener.input.mute()
        listener.executor.shutdown()
        listener.node.destroy_node()
        listener.camera.destroy_node()


@pytest.mark.parametrize('offered', [RELIABLE, BEST_EFFORT])
def test_a_subscription_is_as_reliable_as_its_publisher(listen, offered):
    listener = listen()
    publisher = listener.publisher(offered)
    listener.until(lambda: listener.reliability == [offered])
    listener.until(lambda: publisher.get_subscription_count() == 1)
    publisher.publish(Image(height=1, width=1, encoding='mono8', step=1, data=b'x'))
    listener.until(lambda: listener.came)


def test_a_subscription_follows_publishers_that_come_and_go(listen):
    listener = listen()
    listener.publisher(RELIABLE)
    listener.until(lambda: listener.reliability == [RELIABLE])
    other = listener.publisher(BEST_EFFORT)
    listener.until(lambda: listener.reliability == [BEST_EFFORT])
    listener.camera.destroy_publisher(other)
    listener.until(lambda: listener.reliability == [RELIABLE])


def test_a_reliability_that_is_asked_for_is_kept(listen):
    listener = listen(reliability='best_effort')
    listener.publisher(RELIABLE)
    listener.until(lambda: listener.reliability == [BEST_EFFORT])


def test_any_transport_is_found(listen):
    listener = listen(transport='auto')
    publisher = listener.publisher(RELIABLE, CompressedImage, 'image/compressed')
    listener.until(lambda: publisher.get_subscription_count() == 1)


def test_an_input_that_is_muted_no_longer_listens(listen):
    listener = listen()
    listener.publisher(RELIABLE)
    listener.until(lambda: listener.input.is_listening)
    listener.input.mute()
    listener.until(lambda: listener.reliability == [])
    listener.input.listen()
    listener.until(lambda: listener.reliability == [RELIABLE])


def test_lost_images_are_told_with_what_to_do(listen):
    listener = listen()
    listener.publisher(BEST_EFFORT)
    listener.until(lambda: listener.input.is_listening)
    for _ in range(2):
        listener.input._on_lost(SimpleNamespace(total_count_change=1))
    (said,) = listener.input.health.recent_errors()
    assert said.startswith('2 of the last 2 images')
    assert 'offers best effort' in said


def test_without_a_publisher_the_topic_is_named(listen, monkeypatch):
    listener = listen()
    monkeypatch.setattr(listener.input.health, 'silence_s', lambda: 60.0)
    assert 'nobody publishes /image:' in listener.input.complaint()
    listener.publisher(RELIABLE, CompressedImage, 'image/compressed')
    listener.until(lambda: 'set image_transport' in listener.input.complaint())
