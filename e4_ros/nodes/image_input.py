"""One camera's images: the subscription, and what became of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeAlias

from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription
from rclpy.timer import Timer
from sensor_msgs.msg import CompressedImage, Image

from e4_ros.nodes.diagnostics import SILENCE_S, why_silent
from e4_ros.nodes.health import Health
from e4_ros.nodes.parameters import log_of, value
from e4_ros.nodes.timers import steady_timer
from e4_ros.perception.live_stream import LiveStream

try:
    from rclpy.event_handler import QoSMessageLostInfo, SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import QoSMessageLostInfo, SubscriptionEventCallbacks

AnyImage: TypeAlias = Image | CompressedImage
_TOPICS = {'raw': ('image', Image), 'compressed': ('image/compressed', CompressedImage)}
_SEARCH_S = 0.1


class ImageInput:
    """Listens to a camera and counts.

    Args:
        node: Logs, and has the parameter `image_transport`.
        camera: Name of the camera, below which its topics lie; empty where there is only one.
        came: Gets each image, and when it came, by `time.monotonic`.

    Attributes:
        health: Counts since activation.
        stream: What the headers say, since activation.
    """

    def __init__(self, node: Node, camera: str, came: Callable[[AnyImage, float], None]) -> None:
        self.health, self.stream = Health(), LiveStream()
        self._node, self._came = node, came
        below = f'{camera}/' if camera else ''
        self._topics = {name: (f'{below}{topic}', kind) for name, (topic, kind) in _TOPICS.items()}
        self._log = log_of(node, camera)
        self._subscription: Subscription | None = None
        self._search: Timer | None = None

    @property
    def is_listening(self) -> bool:
        """Whether images are subscribed."""
        return self._subscription is not None

    def begin(self) -> None:
        """Count anew, and believe the headers again."""
        self.health, self.stream = Health(), LiveStream()

    def tell_counts(self) -> None:
        """Say in the log what became of all images."""
        counts = self.health.counts()
        self._log.info(f'{counts.processed} of {counts.received} images processed')

    def listen(self) -> None:
        """Subscribe, if that is not done; with `auto`, once somebody publishes images."""
        if self._subscription is not None or self._search is not None:
            return
        transport = value(self._node, 'image_transport')
        if transport != 'auto':
            self._subscribe(transport)
        else:
            self._search = steady_timer(self._node, _SEARCH_S, self._follow_publisher)

    def mute(self) -> None:
        """End the subscription."""
        if self._search is not None:
            self._node.destroy_timer(self._search)
            self._search = None
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None

    def _follow_publisher(self) -> None:
        for transport, (topic, _) in self._topics.items():
            if self._node.count_publishers(self._node.resolve_topic_name(topic)):
                self.mute()
                self._subscribe(transport)
                return

    def _subscribe(self, transport: str) -> None:
        topic, kind = self._topics[transport]
        try:
            self._subscription = self._node.create_subscription(
                kind,
                topic,
                self._on_image,
                qos_profile_sensor_data,
                event_callbacks=SubscriptionEventCallbacks(message_lost=self._on_lost),
                qos_overriding_options=QoSOverridingOptions.with_default_policies(),
            )
        except RuntimeError as error:  # a QoS override of an unknown name
            self.failed(f'cannot listen to images: {error}')

    def drop(self, reason: str, error: str) -> None:
        """Count an image that gets no answer, and tell why."""
        self.health.dropped(reason)
        self.failed(error)

    def failed(self, error: str) -> None:
        """Keep an error for the diagnostics and log it, each kind now and then."""
        if self.health.failed(error):
            self._log.warning(error)

    def complaint(self) -> str:
        """What is wrong with the topic and what to do about it; empty while nothing is."""
        if self._search is not None and self.health.silence_s() >= SILENCE_S:
            topics = ' nor '.join(
                self._node.resolve_topic_name(t) for t, _ in self._topics.values()
            )
            return f'nobody publishes {topics}: check `ros2 topic list` and remap the topic'
        if self._subscription is None:
            return ''
        topic = self._subscription.topic_name
        publishers = self._node.count_publishers(topic)
        several = (
            f'{publishers} publishers send {topic}, and their images are taken for one '
            "camera's: end all but one of them, or remap them."
            if publishers > 1
            else ''
        )
        silent = why_silent(self._node, self._subscription, self.health.silence_s())
        headers = self.stream.complaint(time.monotonic())
        return ' '.join(filter(None, (silent, headers, several)))

    def _on_image(self, message: AnyImage) -> None:
        self.health.arrived()
        self._came(message, time.monotonic())

    def _on_lost(self, event: QoSMessageLostInfo) -> None:
        self.health.lost(event.total_count_change)
