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

"""Image topics of ROS 2 bags (sqlite3, mcap) and ROS 1 bags, read by rosbags: no ROS needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
from rosbags.highlevel import AnyReader
from rosbags.interfaces import Connection

from e4_ros.evaluation.sources.bag_reader import BROKEN, open_bag
from e4_ros.evaluation.sources.base import Source, SourceError
from e4_ros.evaluation.sources.video_packets import PACKET_TYPES, PacketDecoder, codec_of
from e4_ros.perception.images import DEFAULT_MAX_PIXELS, BitDepth, ImageError, to_rgb

_IMAGE_TYPES = ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage', *PACKET_TYPES)
_LOOK = 50
"""So many messages tell the frame rate, and whether their stamps can be."""
_APART = 30
"""So many times faster or slower than the recorder's clock stamps may run (recorded anew)."""
_FASTEST_S = 1e-4
"""Between two frames of the fastest cameras."""


class BagSource(Source):
    """One image topic of a bag, stamped by the messages' headers."""

    def __init__(self, path: Path, topic: str | None = None) -> None:
        super().__init__()
        self._path = path
        self._bag = path.resolve().name
        self.name = self._bag
        with open_bag(path) as (reader, lost):
            self.topic = self._choose(reader, topic, lost)
            connections = self._connections(reader)
            self.frame_count = sum(connection.msgcount for connection in connections) or None
            stamps, times = [], []
            for time_ns, message in islice(self._messages(reader), _LOOK):
                stamps.append(_stamp_s(message, time_ns))
                times.append(time_ns * 1e-9)
                if self.size is None:
                    self.size = _size(message)
            self._by_recording = not _fit(stamps, times)
            self.fps = _rate(times if self._by_recording else stamps)
        self.name = f'{self._bag} {self.topic}'

    def _frames(self) -> Iterator[tuple[float, np.ndarray]]:
        depth, decoders = BitDepth(), dict[str, PacketDecoder]()
        with open_bag(self._path) as (reader, lost):
            for text in lost:
                self._report(text)
            if self._by_recording:
                self._report(
                    "the headers' stamps do not advance as the recording does: times of recording "
                    'are used'
                )
            for time_ns, message in self._messages(reader):
                stamp_s = time_ns * 1e-9 if self._by_recording else _stamp_s(message, time_ns)
                try:
                    if codec := codec_of(message):
                        decoder = decoders.setdefault(codec, PacketDecoder(codec))
                        yield from decoder.decode(message.data, stamp_s)
                    else:
                        yield stamp_s, to_rgb(message, DEFAULT_MAX_PIXELS, depth)
                except (ImageError, av.FFmpegError) as error:
                    self._drop(f'image at {time_ns * 1e-9:.3f} s: {error}')
        for codec, decoder in decoders.items():
            yield from decoder.rest()
            if decoder.waiting:
                self.dropped += decoder.waiting
                self._report(f'{decoder.waiting} packets of {codec} gave no picture')

    def _messages(self, reader: AnyReader) -> Iterator[tuple[int, Any]]:
        messages = reader.messages(connections=self._connections(reader))
        while True:
            try:
                connection, time_ns, data = next(messages)
            except StopIteration:
                return
            except BROKEN as error:
                self._report(f'reading stopped: {error}')
                return
            try:
                message = reader.deserialize(data, connection.msgtype)
            except BROKEN as error:
                self._drop(f'message at {time_ns * 1e-9:.3f} s is broken: {error}')
                continue
            yield time_ns, message

    def _connections(self, reader: AnyReader) -> list[Connection]:
        return [
            connection
            for connection in reader.connections
            if connection.topic == self.topic and connection.msgtype in _IMAGE_TYPES
        ]

    def _choose(self, reader: AnyReader, topic: str | None, lost: list[str]) -> str:
        found = sorted({c.topic for c in reader.connections if c.msgtype in _IMAGE_TYPES})
        if topic is None and len(found) == 1:
            return found[0]
        if topic in found:
            return str(topic)
        if not found:
            others = sorted({f'{c.topic} ({c.msgtype})' for c in reader.connections})
            raise SourceError(
                f'the bag {self._bag} has no topic of {" or ".join(_IMAGE_TYPES)}; '
                f'it has {", ".join(others) or "no topics at all"}'
                + ''.join(f'. {text}' for text in lost)
            )
        wanted = f'no image topic {topic!r}' if topic else f'{len(found)} image topics'
        raise SourceError(
            f'the bag {self._bag} has {wanted}; choose one with --image-topic: {", ".join(found)}'
        )


def _stamp_s(message: Any, received_ns: int) -> float:
    """Stamp of the header in seconds; the time of recording where the camera left it empty."""
    stamp = message.header.stamp if hasattr(message, 'header') else message.timestamp
    return (stamp.sec + stamp.nanosec * 1e-9) or received_ns * 1e-9


def _size(message: Any) -> tuple[int, int] | None:
    if codec_of(message):
        return (message.height, message.width) if hasattr(message, 'height') else None
    with suppress(ImageError):
        height, width, _ = to_rgb(message).shape
        return height, width
    return None


def _fit(stamps: Sequence[float], times: Sequence[float]) -> bool:
    """Whether stamps advance about as the clock of the recorder does.

    Some cameras send one stamp for ever, or count in another unit than seconds. Some tools write
    bags whose times of recording are none: they advance faster than any camera films, or not.
    """
    if len(times) < 3 or times[-1] - times[0] < _FASTEST_S * len(times):
        return True
    return 1 / _APART < (stamps[-1] - stamps[0]) / (times[-1] - times[0]) < _APART


def _rate(stamps: Sequence[float]) -> float | None:
    """Frames a second by the median step: a camera need not have sent all the time."""
    step = float(np.median(np.diff(stamps))) if len(stamps) > 1 else 0.0
    return 1 / step if step > 0 else None
