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

"""One camera's images: the subscription, and what became of them.

It waits for a publisher, because a subscription has to be as reliable as what is offered: a
reliable one hears nothing of a publisher that offers best effort, and best effort loses most raw
images, whose many fragments do not all arrive. What is published later is followed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeAlias

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from rclpy.qos_overriding_options import QoSOverridingOptions, QoSPolicyKind
from rclpy.subscription import Subscription
from rclpy.timer import Timer
from sensor_msgs.msg import CompressedImage, Image

from e4_ros.nodes.diagnostics import SILENCE_S, why_silent
from e4_ros.nodes.health import RECENT_S, Health
from e4_ros.nodes.offered_qos import as_offered
from e4_ros.nodes.parameters import log_of, value
from e4_ros.nodes.timers import steady_timer
from e4_ros.perception.camera_rate import CameraRate
from e4_ros.perception.live_stream import LiveStream

try:
    from rclpy.event_handler import QoSMessageLostInfo, SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import QoSMessageLostInfo, SubscriptionEventCallbacks

AnyImage: TypeAlias = Image | CompressedImage
_TOPICS = {'raw': ('image', Image), 'compressed': ('image/compressed', CompressedImage)}
_SEARCH_S = 0.1
_FOLLOW_S = 1.0
_OVERRIDES = (QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH)  # reliability is a parameter
_RELIABLE, _BEST_EFFORT = ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT


class ImageInput:
    """Listens to a camera and counts.

    Args:
        node: Logs, and has the parameters `image_transport`, `reliability`, `skip_unneeded` and
            the bounds of the camera's rate.
        camera: Name of the camera, below which its topics lie; empty where there is only one.
        came: Gets each image, and when it came, by `time.monotonic`.

    Attributes:
        health: Counts since activation.
        stream: What the headers say, since activation.
        rate: How many images the scene needs, since activation.

    Raises:
        ValueError: the bounds of the camera's rate are not in order.
    """

    def __init__(self, node: Node, camera: str, came: Callable[[AnyImage, float], None]) -> None:
        self._node, self._came = node, came
        self._skips = value(node, 'skip_unneeded')
        self.begin()
        below = f'{camera}/' if camera else ''
        self._topics = {name: (f'{below}{topic}', kind) for name, (topic, kind) in _TOPICS.items()}
        self._log = log_of(node, camera)
        self._subscription: Subscription | None = None
        self._watch: Timer | None = None
        self._told_of_silence = False

    @property
    def is_listening(self) -> bool:
        """Whether images are subscribed."""
        return self._subscription is not None

    def begin(self) -> None:
        """Count anew, and believe the headers again."""
        self.health, self.stream = Health(), LiveStream()
        bounds = (value(self._node, f'camera_rate_{end}_hz') for end in ('min', 'max'))
        self.rate = CameraRate(*bounds)

    def tell_counts(self) -> None:
        """Say in the log what became of all images."""
        counts = self.health.counts()
        self._log.info(f'{counts.processed} of {counts.received} images processed')

    def listen(self) -> None:
        """Subscribe, if that is not done, once somebody publishes images."""
        if self._watch is None:
            self._watch = steady_timer(self._node, _SEARCH_S, self._follow)
            self._follow()

    def mute(self) -> None:
        """End the subscription."""
        if self._watch is not None:
            self._node.destroy_timer(self._watch)
            self._watch = None
        self._end_subscription()

    def _follow(self) -> None:
        """Subscribe as the publishers offer; say once that they bring nothing."""
        if self._subscription is None:
            for transport in self._transports():
                offered = self._offered(transport)
                if offered is not None:
                    self._subscribe(transport, offered)
                    return
            return
        offered = self._offered(self._transport)
        if offered not in (None, self._subscription.qos_profile.reliability):
            self._end_subscription()
            self._subscribe(self._transport, offered)
            return
        silent = why_silent(self._node, self._subscription.topic_name, self.health.silence_s())
        if silent and offered is not None and not self._told_of_silence:
            self._log.warning(silent)
        self._told_of_silence = bool(silent)

    def _transports(self) -> list[str]:
        asked = value(self._node, 'image_transport')
        return [asked] if asked in self._topics else list(self._topics)

    def _offered(self, transport: str) -> ReliabilityPolicy | None:
        """How reliably to subscribe; None while nobody publishes."""
        asked = value(self._node, 'reliability')
        name = self._node.resolve_topic_name(self._topics[transport][0])
        offers = self._node.get_publishers_info_by_topic(name)
        if not offers:
            return None
        if asked == 'auto':
            return as_offered(offers, depth=1).reliability
        return _RELIABLE if asked == 'reliable' else _BEST_EFFORT

    def _subscribe(self, transport: str, reliability: ReliabilityPolicy) -> None:
        topic, kind = self._topics[transport]
        profile = QoSProfile(
            history=qos_profile_sensor_data.history,
            depth=qos_profile_sensor_data.depth,
            reliability=reliability,
        )
        try:
            self._subscription = self._node.create_subscription(
                kind,
                topic,
                self._on_image,
                profile,
                event_callbacks=SubscriptionEventCallbacks(message_lost=self._on_lost),
                qos_overriding_options=QoSOverridingOptions(_OVERRIDES),
            )
        except RuntimeError as error:  # a QoS override of an unknown name
            self.failed(f'cannot listen to images: {error}')
            return
        self._transport = transport
        if self._watch is not None:
            self._watch.timer_period_ns = int(_FOLLOW_S * 1e9)
        how = 'reliably' if reliability == _RELIABLE else 'by best effort'
        self._log.info(f'listening to {self._subscription.topic_name} {how}')

    def _end_subscription(self) -> None:
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None

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
        if self._watch is None:
            return ''
        if self._subscription is None:
            return self._nobody() if self.health.silence_s() >= SILENCE_S else ''
        topic = self._subscription.topic_name
        publishers = self._node.count_publishers(topic)
        several = (
            f'{publishers} publishers send {topic}, and their images are taken for one '
            "camera's: end all but one of them, or remap them."
            if publishers > 1
            else ''
        )
        silent = why_silent(self._node, topic, self.health.silence_s())
        headers = self.stream.complaint(time.monotonic())
        return ' '.join(filter(None, (silent, headers, several)))

    def _nobody(self) -> str:
        topics = [self._node.resolve_topic_name(self._topics[t][0]) for t in self._transports()]
        if len(topics) == 1:
            return why_silent(self._node, topics[0], self.health.silence_s())
        return f'nobody publishes {" nor ".join(topics)}: check `ros2 topic list` and remap'

    def _on_image(self, message: AnyImage) -> None:
        self.health.arrived()
        arrived_s = time.monotonic()
        if self._skips and not self.rate.wants(arrived_s):
            self.health.dropped('not_needed')
            return
        self._came(message, arrived_s)

    def _on_lost(self, event: QoSMessageLostInfo) -> None:
        self.health.lost(event.total_count_change)
        lost, came = self.health.lately()
        self.failed(
            f'{lost} of the last {lost + came} images (in {RECENT_S:.0f} s) were lost on the way '
            f'here: {self._why_lost()}'
        )

    def _why_lost(self) -> str:
        if self._subscription is None or self._is_reliable(self._subscription):
            return 'they come faster than this process takes them: send fewer, or compressed ones'
        if value(self._node, 'reliability') != 'auto':
            return 'reliability is best_effort: set it to auto or reliable'
        return (
            'a publisher offers best effort: let it offer reliable, send compressed images, or '
            'give DDS a transport for large ones (docs/cameras.md)'
        )

    @staticmethod
    def _is_reliable(subscription: Subscription) -> bool:
        return bool(subscription.qos_profile.reliability == _RELIABLE)
