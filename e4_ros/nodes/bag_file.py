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

"""One MCAP file, written with `rosbags`."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from rosbags.rosbag2 import StoragePlugin, Writer

from e4_ros.nodes import interfaces


class BagFile:
    """Serialised messages to ``path``.

    `rosbags` writes a folder; it lies beside ``path`` with the ending ``.partial`` until
    :meth:`close` puts the file in its place.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._folder = path.with_name(path.name + '.partial')
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self._folder, ignore_errors=True)
        self._store = interfaces.typestore()
        self._writer = Writer(self._folder, version=9, storage_plugin=StoragePlugin.MCAP)
        self._writer.open()

    def open_topic(self, topic: str, type_name: str) -> Callable[[int, bytes], None]:
        """Add a topic.

        Returns:
            A function that stores one message: receive time in nanoseconds and CDR bytes.

        Raises:
            LookupError: the definition of ``type_name`` is not installed.
        """
        interfaces.register(self._store, type_name)
        connection = self._writer.add_connection(topic, type_name, typestore=self._store)
        return lambda stamp_ns, data: self._writer.write(connection, stamp_ns, data)

    def close(self) -> int:
        """Put the file in its place and return the number of messages in it."""
        count = sum(self._writer.counts.values())
        self._writer.close()
        (written,) = self._folder.glob('*.mcap')
        written.replace(self.path)
        shutil.rmtree(self._folder)
        return count
