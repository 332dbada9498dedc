"""A camera's images: the subscription, the thread that works on the newest, and their counts."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeAlias

from rclpy.lifecycle import LifecycleState, ManagedEntity, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription
from rclpy.timer import Timer
from sensor_msgs.msg import CompressedImage, Image

from e4_ros.nodes.diagnostics import SILENCE_S, why_silent
from e4_ros.nodes.health import Health
from e4_ros.nodes.parameters import value
from e4_ros.nodes.timers import steady_timer
from e4_ros.perception.frame_worker import FrameWorker
from e4_ros.perception.live_stream import LiveStream

try:
    from rclpy.event_handler import QoSMessageLostInfo, SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import QoSMessageLostInfo, SubscriptionEventCallbacks

AnyImage: TypeAlias = Image | CompressedImage
_TOPICS = {'raw': ('image', Image), 'compressed': ('image/compressed', CompressedImage)}
_SEARCH_S = 0.1


class ImageInput(ManagedEntity):
    """While it is active, hands the newest image to a thread; what it replaces is counted.

    Args:
        node: Logs, and has the parameter `image_transport`.
        process: Works on one image, in a thread of its own; the second argument is when it came, by
            `time.monotonic`.
        settle: Called at activation with what begins to listen, for it to be called when the time
            has come.

    Attributes:
        health: Counts since activation.
        stream: What the headers say, since activation.
    """

    def __init__(
        self,
        node: Node,
        process: Callable[[AnyImage, float], None],
        settle: Callable[[Callable[[], None]], None],
    ) -> None:
        self.health, self.stream = Health(), LiveStream()
        self._node, self._process, self._settle = node, process, settle
        self._worker: FrameWorker[tuple[AnyImage, float]] | None = None
        self._subscription: Subscription | None = None
        self._search: Timer | None = None

    @property
    def is_active(self) -> bool:
        """Whether there is somebody to work on images."""
        return self._worker is not None

    @property
    def waiting(self) -> int:
        """Images that wait for the one in hand."""
        return 0 if self._worker is None else self._worker.waiting

    @property
    def is_listening(self) -> bool:
        """Whether images are subscribed."""
        return self._subscription is not None

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Count anew, start the thread, and listen once that is settled."""
        self.health, self.stream = Health(), LiveStream()
        self._worker = FrameWorker(lambda item: self._process(*item), self._replaced, self._escaped)
        self._settle(self.listen)
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop listening, finish the image in hand and say what became of all."""
        self.mute()
        if self._worker is not None:
            if not self._worker.stop():
                self._node.get_logger().error('the image in hand does not end')
            self._worker = None
            counts = self.health.counts()
            self._node.get_logger().info(
                f'{counts.processed} of {counts.received} images processed'
            )
        return super().on_deactivate(state)

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
        for transport, (topic, _) in _TOPICS.items():
            if self._node.count_publishers(self._node.resolve_topic_name(topic)):
                self.mute()
                self._subscribe(transport)
                return

    def _subscribe(self, transport: str) -> None:
        topic, kind = _TOPICS[transport]
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
            self._node.get_logger().warning(error)

    def complaint(self) -> str:
        """What is wrong with the topic and what to do about it; empty while nothing is."""
        if self._search is not None and self.health.silence_s() >= SILENCE_S:
            topics = ' nor '.join(self._node.resolve_topic_name(t) for t, _ in _TOPICS.values())
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
        if self._worker is not None:
            self._worker.submit((message, time.monotonic()))

    def _on_lost(self, event: QoSMessageLostInfo) -> None:
        self.health.lost(event.total_count_change)

    def _escaped(self, error: Exception) -> None:
        self.failed(f'{type(error).__name__}: {error}')

    def _replaced(self, _item: object) -> None:
        self.health.dropped('newer_image')
