"""Plays a bag's images, and the rest of it if asked, with the stamps they were recorded with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import rclpy
from rclpy.duration import Duration
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.time import Time
from rosbags.highlevel import AnyReader
from rosbags.interfaces import Connection
from rosgraph_msgs.msg import Clock

from e4_ros.bringup.node_parameters.replay import PARAMETERS
from e4_ros.evaluation.sources.pacing import Pace, Player
from e4_ros.nodes.interfaces import message_class, typestore
from e4_ros.nodes.lifecycle import run
from e4_ros.nodes.parameters import E4Node, value

_IMAGE_TYPES = {
    'sensor_msgs/msg/Image': 'image',
    'sensor_msgs/msg/CompressedImage': 'image/compressed',
}


class BagError(ValueError):
    """A bag that cannot be played; the text says what to do."""


class _Message(NamedTuple):
    topic: str
    time_ns: int
    data: bytes


class Replay(E4Node):
    """Publishes messages as they lie in the bag, without looking into them."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__('replay', **kwargs)
        self.declare_all(PARAMETERS)
        self.published = 0
        self._path = Path(value(self, 'bag')).expanduser()
        with open_bag(self._path) as reader:
            self._image_topic = choose_image_topic(reader, value(self, 'image_topic'))
            self._start_ns = reader.start_time
            self._publishers_of = self._advertise(reader.connections)
        self._clock_publisher = (
            self.create_publisher(Clock, '/clock', 10) if value(self, 'clock') else None
        )
        self._player = Player(
            self._messages,
            self._publish,
            Pace(speed=value(self, 'speed'), loop=value(self, 'loop')),
            self._someone_listens,
            self._finished,
        )
        self._player.start()

    def stop(self) -> None:
        """End the play and say how much was published."""
        self._player.stop()
        self.get_logger().info(f'published {self.published} messages of {self._path.name}')

    def _advertise(self, connections: list[Connection]) -> dict[str, Publisher]:
        publishers = {}
        for connection in connections:
            is_image = connection.topic == self._image_topic
            if not is_image and not value(self, 'all_topics'):
                continue
            if connection.topic in publishers or connection.topic == '/clock':
                continue
            try:
                kind = message_class(connection.msgtype)
            except LookupError as error:
                self.get_logger().warning(f'{connection.topic} is not played: {error}')
                continue
            publishers[connection.topic] = self.create_publisher(
                kind,
                _IMAGE_TYPES[connection.msgtype] if is_image else connection.topic,
                QoSProfile(depth=10),
                qos_overriding_options=QoSOverridingOptions.with_default_policies(),
            )
        return publishers

    def _messages(self) -> Iterator[tuple[float, _Message]]:
        with open_bag(self._path) as reader:
            wanted = [c for c in reader.connections if c.topic in self._publishers_of]
            for connection, time_ns, data in reader.messages(connections=wanted):
                due = (time_ns - self._start_ns) * 1e-9
                yield due, _Message(connection.topic, time_ns, bytes(data))

    def _someone_listens(self) -> bool:
        image = self._publishers_of[self._image_topic]
        return not value(self, 'wait_for_subscriber') or image.get_subscription_count() > 0

    def _publish(self, _due: float, message: _Message) -> None:
        if self._clock_publisher is not None:
            stamp = Time(nanoseconds=message.time_ns).to_msg()
            self._clock_publisher.publish(Clock(clock=stamp))
        self._publishers_of[message.topic].publish(message.data)
        self.published += 1

    def _finished(self, error: Exception | None) -> None:
        if error is not None:
            self.exit_status = 1
            self.get_logger().error(f'{self._path.name} ended with: {error}')
        if not value(self, 'exit_at_end'):
            self.get_logger().info('the bag is at its end')
            return
        self._publishers_of[self._image_topic].wait_for_all_acked(Duration(seconds=2))
        rclpy.try_shutdown()


@contextmanager
def open_bag(path: Path) -> Iterator[AnyReader]:
    """Open a ROS 2 bag for reading.

    Raises:
        BagError: there is no such bag, or it cannot be read.
    """
    if not path.exists() or path == Path():
        raise BagError(f'there is no bag {str(path)!r}: set the parameter `bag`')
    if path.suffix == '.bag':
        raise BagError(f'{path.name} is a ROS 1 bag: convert it with `rosbags-convert`')
    try:
        reader = AnyReader([path], default_typestore=typestore())
        reader.open()
    except Exception as error:  # what its parsers raise on broken bytes has no common type
        raise BagError(f'{path.name} cannot be read as a bag: {error}') from None
    try:
        yield reader
    finally:
        reader.close()


def choose_image_topic(reader: AnyReader, wanted: str) -> str:
    """Topic to play as the camera.

    Raises:
        BagError: no topic holds images, several do, or ``wanted`` does not.
    """
    topics = sorted({c.topic for c in reader.connections if c.msgtype in _IMAGE_TYPES})
    if wanted in topics:
        return wanted
    if not topics:
        there = ', '.join(sorted({c.topic for c in reader.connections})) or 'nothing'
        raise BagError(f'the bag has no topic with images; it has {there}')
    if wanted or len(topics) > 1:
        raise BagError(f'set image_topic to one of {", ".join(topics)}')
    return topics[0]


def main(args: list[str] | None = None) -> None:
    """Entry point of `ros2 run e4_ros replay`."""
    run(Replay, args)


if __name__ == '__main__':
    main()
