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

"""The topics of a bag that is played: which ones, and how they are offered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosbags.highlevel import AnyReader
from rosbags.interfaces import Connection, ConnectionExtRosbag2, QosDurability

from e4_ros.evaluation.sources import bag_reader

IMAGE_TYPES = {
    'sensor_msgs/msg/Image': 'image',
    'sensor_msgs/msg/CompressedImage': 'image/compressed',
}
"""Type of a camera's topic → name under which it is played."""
_DEPTH, _MOST_LATCHED = 10, 1000


class BagError(ValueError):
    """A bag that cannot be played; the text says what to do."""


@contextmanager
def open_bag(path: Path) -> Iterator[bag_reader.OpenBag]:
    """Open a ROS 2 bag, or what is left of one.

    Raises:
        BagError: there is no such bag, or it cannot be read.
    """
    if not path.exists() or path == Path():
        raise BagError(f'there is no bag {str(path)!r}: set the parameter `bag`')
    if bag_reader.bag_kind(path) == '.bag':
        raise BagError(f'{path.name} is a ROS 1 bag: convert it with `rosbags-convert`')
    if not bag_reader.is_bag(path):
        raise BagError(f'{path.name} cannot be read as a bag: it is no .mcap, no .db3, no folder')
    with bag_reader.open_bag(path) as opened:
        yield opened


def choose_image_topic(reader: AnyReader, wanted: str) -> str:
    """Topic to play as the camera.

    Raises:
        BagError: no topic holds images, several do, or ``wanted`` does not.
    """
    topics = sorted({c.topic for c in reader.connections if c.msgtype in IMAGE_TYPES})
    if wanted in topics:
        return wanted
    if not topics:
        there = ', '.join(sorted({c.topic for c in reader.connections})) or 'nothing'
        raise BagError(f'the bag has no topic with images; it has {there}')
    if wanted or len(topics) > 1:
        raise BagError(f'set image_topic to one of {", ".join(topics)}')
    return topics[0]


def choose_other_topics(reader: AnyReader, wanted: Iterable[str], every: bool) -> set[str]:
    """Topics to play besides the camera's.

    Raises:
        BagError: one that is ``wanted`` is not in the bag.
    """
    there = {connection.topic for connection in reader.connections} - {'/clock'}
    if every:
        return there
    names = {name if name.startswith('/') else f'/{name}' for name in wanted}
    if missing := sorted(names - there):
        raise BagError(
            f'the bag has no topic {", ".join(missing)}; it has {", ".join(sorted(there))}'
        )
    return names


def offers(connections: Iterable[Connection]) -> dict[str, QoSProfile]:
    """Topic → how it is offered.

    Reliable, which every subscription can have whatever was recorded; and latched where it was, or
    where that is not recorded and it is ``/tf_static``. What several publishers latched comes from
    one now, which has to keep all of it.
    """
    by_topic: dict[str, list[Connection]] = defaultdict(list)
    for connection in connections:
        by_topic[connection.topic].append(connection)
    profiles = {}
    for topic, group in by_topic.items():
        count = sum(connection.msgcount for connection in group)
        profile = QoSProfile(depth=_DEPTH, reliability=ReliabilityPolicy.RELIABLE)
        if _is_latched(topic, group):
            profile.durability = DurabilityPolicy.TRANSIENT_LOCAL
            profile.depth = min(max(count, _DEPTH), _MOST_LATCHED)
        profiles[topic] = profile
    return profiles


def _is_latched(topic: str, group: Iterable[Connection]) -> bool:
    recorded = [
        qos.durability
        for connection in group
        if isinstance(connection.ext, ConnectionExtRosbag2)
        for qos in connection.ext.offered_qos_profiles
    ]
    if not recorded:
        return topic.rpartition('/')[2] == 'tf_static'
    return QosDurability.TRANSIENT_LOCAL in recorded
