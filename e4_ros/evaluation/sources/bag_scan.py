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

"""Bag files without an index: their records are read in the order in which they were written.

A recorder writes its index at the end, so a robot that lost power left none, and rosbag2's storage
preset ``fastwrite`` writes none at all. `ScannedFile` looks like one of rosbags' readers, which
need an index.
"""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from rosbags.interfaces import Connection, MessageDefinition
from rosbags.interfaces import ConnectionExtRosbag1 as Ext1
from rosbags.interfaces import ConnectionExtRosbag2 as Ext2


class CutError(Exception):
    """The file ends inside a record, or what follows is none."""


class Topic(NamedTuple):
    """A topic as a file announces it, without counts."""

    name: str
    msgtype: str
    definition: MessageDefinition
    ext: Ext1 | Ext2


class ScannedFile(ABC):
    """A bag file that is read from its beginning to where it ends or breaks.

    Used as a context manager; what it says holds inside alone. The whole file is read once when it
    is opened, and again for the messages.

    Attributes:
        connections: Topics with the numbers of their messages, as rosbags' readers have them.
        start_time, end_time: Nanoseconds of the first message and behind the last.
        lost: What could not be read, as a sentence; empty where all was.
        damaged: Chunks that were left out in the last reading.
        left_out: What else was not understood, each as a sentence.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.connections: list[Connection] = []
        self.start_time, self.end_time = 2**63 - 1, 0
        self.lost = ''
        self._topics: dict[int, Topic] = {}
        self.damaged = 0
        self.left_out: set[str] = set()

    def __enter__(self) -> ScannedFile:
        if self.connections:
            return self
        counts: Counter[int] = Counter()
        for topic, time_ns, _ in self._until_cut():
            counts[topic] += 1
            self.start_time = min(self.start_time, time_ns)
            self.end_time = max(self.end_time, time_ns + 1)
        self.connections = [
            Connection(number, *topic[:3], '', counts[number], topic.ext, self)
            for number, topic in self._topics.items()
        ]
        return self

    def __exit__(self, *_: object) -> None:  # noqa: B027 - files are open while they are read alone
        pass

    def messages(
        self,
        connections: Collection[Connection] = (),
        start: int | None = None,
        stop: int | None = None,
    ) -> Iterator[tuple[Connection, int, bytes]]:
        """Connection, time in nanoseconds and bytes of each message, in the file's order.

        Args:
            connections: only messages of these; empty for all.
            start: only messages from then on.
            stop: only messages before.
        """
        wanted = {connection.id: connection for connection in connections or self.connections}
        for topic, time_ns, data in self._until_cut():
            if start is not None and time_ns < start:
                continue
            if topic in wanted and (stop is None or time_ns < stop):
                yield wanted[topic], time_ns, data

    def _until_cut(self) -> Iterator[tuple[int, int, bytes]]:
        self.damaged = 0
        reasons = []
        with self.path.open('rb') as file:
            try:
                yield from self._records(file)
            except CutError as cut:
                reasons.append(f'is cut off and read up to there ({cut})')
            except (struct.error, KeyError, IndexError, ValueError) as error:
                reasons.append(f'is damaged and read up to there ({error!r})')
        if self.damaged:
            reasons.append(f'{self.damaged} of its chunks are damaged and left out')
        said = [f'{self.path.name} {"; ".join(reasons)}'] if reasons else []
        self.lost = '; '.join([*said, *sorted(self.left_out)])

    @abstractmethod
    def _records(self, file: BinaryIO) -> Iterator[tuple[int, int, bytes]]:
        """Key in `_topics`, time in nanoseconds and bytes of each message.

        Raises:
            CutError: nothing more can be read.
        """
