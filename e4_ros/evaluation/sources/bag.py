"""Image topics of ROS 2 bags (sqlite3, mcap) and ROS 1 bags, read by rosbags: no ROS needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.highlevel import AnyReader
from rosbags.interfaces import Connection
from rosbags.typesys import Stores, get_typestore

from e4_ros.evaluation.sources.base import Source, SourceError
from e4_ros.perception.images import DEFAULT_MAX_PIXELS, BitDepth, ImageError, to_rgb

_IMAGE_TYPES = ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage')
_FILES = {'.mcap', '.db3', '.bag'}
# rosbags lets what its parsers and sqlite3 raise on broken bytes pass: struct.error, IndexError,
# AssertionError, UnicodeDecodeError, sqlite3.Error … A broken bag must end in a sentence.
_BROKEN = Exception


def is_bag(path: Path) -> bool:
    """Whether ``path`` looks like a bag: a bag file, or a folder that holds one."""
    if path.is_dir():
        return (path / 'metadata.yaml').is_file() or bool(_bag_files(path))
    return path.suffix in _FILES


class BagSource(Source):
    """One image topic of a bag, stamped by the messages' headers."""

    def __init__(self, path: Path, topic: str | None = None) -> None:
        super().__init__()
        self._paths = [path] if path.is_file() else _paths(path)
        self._bag = path.resolve().name
        self.name = self._bag
        with self._open() as reader:
            self.topic = self._choose(reader, topic)
            connections = self._connections(reader)
            self.frame_count = sum(connection.msgcount for connection in connections) or None
            if self.frame_count and reader.duration > 1:
                self.fps = self.frame_count / (reader.duration * 1e-9)
            for _, message in self._messages(reader):
                with suppress(ImageError):
                    self.size = to_rgb(message).shape[:2]
                    break
        self.name = f'{self._bag} {self.topic}'

    def _frames(self) -> Iterator[tuple[float, np.ndarray]]:
        depth = BitDepth()
        with self._open() as reader:
            for time_ns, message in self._messages(reader):
                try:
                    frame = to_rgb(message, DEFAULT_MAX_PIXELS, depth)
                    yield _stamp_s(message.header.stamp, time_ns), frame
                except ImageError as error:
                    self._drop(f'image at {time_ns * 1e-9:.3f} s: {error}')

    def _messages(self, reader: AnyReader) -> Iterator[tuple[int, Any]]:
        messages = reader.messages(connections=self._connections(reader))
        while True:
            try:
                connection, time_ns, data = next(messages)
            except StopIteration:
                return
            except _BROKEN as error:
                self._report(f'reading stopped: {error}')
                return
            try:
                message = reader.deserialize(data, connection.msgtype)
            except _BROKEN as error:
                self._drop(f'message at {time_ns * 1e-9:.3f} s is broken: {error}')
                continue
            yield time_ns, message

    @contextmanager
    def _open(self) -> Iterator[AnyReader]:
        try:
            reader = AnyReader(self._paths, default_typestore=get_typestore(Stores.LATEST))
            reader.open()
        except _BROKEN as error:
            raise SourceError(
                f'the bag {self._bag} cannot be read ({error}). If its recording was cut off, '
                '`ros2 bag reindex` makes a missing metadata.yaml and `mcap recover` repairs a '
                'truncated .mcap'
            ) from None
        try:
            yield reader
        finally:
            reader.close()

    def _connections(self, reader: AnyReader) -> list[Connection]:
        return [
            connection
            for connection in reader.connections
            if connection.topic == self.topic and connection.msgtype in _IMAGE_TYPES
        ]

    def _choose(self, reader: AnyReader, topic: str | None) -> str:
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
            )
        wanted = f'no image topic {topic!r}' if topic else f'{len(found)} image topics'
        raise SourceError(
            f'the bag {self._bag} has {wanted}; choose one with the option topic: '
            f'{", ".join(found)}'
        )


def _bag_files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.suffix in _FILES)


def _paths(folder: Path) -> list[Path]:
    return [folder] if (folder / 'metadata.yaml').is_file() else _bag_files(folder)


def _stamp_s(stamp: Any, received_ns: int) -> float:
    """Stamp of the header in seconds; the time of recording where the camera left it empty."""
    return (stamp.sec + stamp.nanosec * 1e-9) or received_ns * 1e-9
