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

"""Plays a bag's images, and the rest of it if asked, with the stamps they were recorded with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import rclpy
from rclpy.duration import Duration
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.time import Time
from rosbags.highlevel import AnyReader
from rosgraph_msgs.msg import Clock
from std_srvs.srv import SetBool, Trigger

from e4_ros.bringup.node_parameters.replay import PARAMETERS
from e4_ros.evaluation.sources.pacing import Pace, Player
from e4_ros.nodes.bag_topics import (
    IMAGE_TYPES,
    BagError,
    choose_image_topic,
    choose_other_topics,
    offers,
    open_bag,
)
from e4_ros.nodes.interfaces import message_class
from e4_ros.nodes.lifecycle import run
from e4_ros.nodes.parameters import E4Node, value
from e4_ros.nodes.timers import steady_timer


class _Message(NamedTuple):
    topic: str
    time_ns: int
    data: bytes


class Replay(E4Node):
    """Publishes messages as they lie in the bag, without looking into them.

    Services: `~/pause` (std_srvs/SetBool) stands still and goes on; `~/step` (std_srvs/Trigger)
    plays up to and with the next image while it stands still.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__('replay', **kwargs)
        self.declare_all(PARAMETERS)
        self.published = 0
        self._path = Path(value(self, 'bag')).expanduser()
        with open_bag(self._path) as (reader, lost):
            for text in lost:
                self.get_logger().warning(text)
            self._image_topic = choose_image_topic(reader, value(self, 'image_topic'))
            self._begin_ns = reader.start_time + round(value(self, 'start_s') * 1e9)
            self._end_ns = self._end(reader)
            self._publishers_of = self._advertise(reader)
        self._clock_publisher = None
        self._clock_ns = 0
        self._player = Player(
            self._messages,
            self._publish,
            Pace(value(self, 'speed'), value(self, 'loop'), value(self, 'start_paused')),
            self._someone_listens,
            self._finished,
        )
        if value(self, 'clock'):
            self._clock_publisher = self.create_publisher(Clock, '/clock', 10)
            steady_timer(self, 1 / value(self, 'clock_hz'), self._tick)
        self.create_service(SetBool, '~/pause', self._pause)
        self.create_service(Trigger, '~/step', self._step)
        self._player.start()

    def stop(self) -> None:
        """End the play and say how much was published."""
        self._player.stop()
        self.get_logger().info(f'published {self.published} messages of {self._path.name}')

    def _end(self, reader: AnyReader) -> int:
        if self._begin_ns >= reader.end_time:
            length_s = (reader.end_time - reader.start_time) * 1e-9
            raise BagError(f'start_s is behind the end of the bag, which lasts {length_s:.1f} s')
        duration_s = value(self, 'duration_s')
        return self._begin_ns + round(duration_s * 1e9) if duration_s else reader.end_time

    def _advertise(self, reader: AnyReader) -> dict[str, Publisher]:
        others = choose_other_topics(reader, value(self, 'topics'), value(self, 'all_topics'))
        types = {connection.topic: connection.msgtype for connection in reader.connections}
        profiles = offers(reader.connections)
        publishers = {}
        for topic in sorted({self._image_topic, *others}):
            is_image = topic == self._image_topic
            try:
                kind = message_class(types[topic])
            except LookupError as error:
                self.get_logger().warning(f'{topic} is not played: {error}')
                continue
            publishers[topic] = self.create_publisher(
                kind,
                IMAGE_TYPES[types[topic]] if is_image else topic,
                profiles[topic],
                qos_overriding_options=QoSOverridingOptions.with_default_policies(),
            )
        return publishers

    def _messages(self) -> Iterator[tuple[float, _Message]]:
        with open_bag(self._path) as (reader, _):
            wanted = [c for c in reader.connections if c.topic in self._publishers_of]
            latched = [c for c in wanted if self._is_latched(c.topic)]
            # What was latched before holds at the beginning, too.
            if latched:
                for connection, time_ns, data in reader.messages(latched, stop=self._begin_ns):
                    yield 0.0, _Message(connection.topic, time_ns, bytes(data))
            for connection, time_ns, data in reader.messages(
                wanted, start=self._begin_ns, stop=self._end_ns
            ):
                due = (time_ns - self._begin_ns) * 1e-9
                yield due, _Message(connection.topic, time_ns, bytes(data))

    def _is_latched(self, topic: str) -> bool:
        profile = self._publishers_of[topic].qos_profile
        return bool(profile.durability == DurabilityPolicy.TRANSIENT_LOCAL)

    def _someone_listens(self) -> bool:
        image = self._publishers_of[self._image_topic]
        return not value(self, 'wait_for_subscriber') or image.get_subscription_count() > 0

    def _publish(self, _due: float, message: _Message) -> None:
        if message.topic == self._image_topic:  # nobody gets an image of the future
            self._tell_time(message.time_ns)
        self._publishers_of[message.topic].publish(message.data)
        self.published += 1

    def _tick(self) -> None:
        self._tell_time(self._begin_ns + round(self._player.time_s * 1e9))

    def _tell_time(self, time_ns: int) -> None:
        """Publish the bag's time; it goes back where a round begins anew, and not by rounding."""
        if self._clock_publisher is None:
            return
        if 0 < self._clock_ns - time_ns < 10**6:
            time_ns = self._clock_ns
        self._clock_ns = time_ns
        self._clock_publisher.publish(Clock(clock=Time(nanoseconds=time_ns).to_msg()))

    def _pause(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        if request.data:
            self._player.pause()
        else:
            self._player.resume()
        response.success = True
        return response

    def _step(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = self._player.is_paused
        if self._player.is_paused:
            self._player.step(lambda message: message.topic == self._image_topic)
        else:
            response.message = 'the bag is playing: call ~/pause with data true before'
        return response

    def _finished(self, error: Exception | None) -> None:
        if error is None and not self.published:
            error = BagError('it has no message between start_s and the end of duration_s')
        if error is not None:
            self.exit_status = 1
            self.get_logger().error(f'{self._path.name} ended with: {error}')
        if not value(self, 'exit_at_end'):
            self.get_logger().info('the bag is at its end')
            return
        self._publishers_of[self._image_topic].wait_for_all_acked(Duration(seconds=2))
        rclpy.try_shutdown()


def main(args: list[str] | None = None) -> None:
    """Entry point of `ros2 run e4_ros replay`."""
    run(Replay, args)


if __name__ == '__main__':
    main()
