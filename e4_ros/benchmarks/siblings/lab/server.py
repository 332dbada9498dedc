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

"""The edge server of the laboratory: `e4 edge-server`, to be killed and swapped."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from e4_ros.benchmarks.siblings.lab.places import Running
from e4_ros.benchmarks.siblings.lab.rooms import Room

SHIFTED = (
    'import runpy, sys, time; now = time.time; time.time = lambda: now() + 3600; '
    'sys.argv = sys.argv[1:]; runpy.run_module("e4_ros.cli", run_name="__main__", alter_sys=False)'
)
"""Runs `e4` on a machine whose wall clock is an hour ahead."""


class Server:
    """The server, or nobody while it is dead.

    Args:
        room: where it runs.
        port: where it listens.
        options: further options of `e4 edge-server`.
        kind: ``tcp`` or ``tls``.
    """

    def __init__(self, room: Room, port: int, options: Sequence[str] = (), kind: str = 'tcp'):
        self._room, self._port, self._kind = room, port, kind
        self._options = list(options)
        self._running: Running | None = None

    @property
    def pid(self) -> int:
        """Of the process; 0 while there is none."""
        return self._running.pid if self._running else 0

    @property
    def endpoint(self) -> str:
        """Where the robot finds it."""
        return f'{self._kind}/{self._room.address(self._port)}'

    @property
    def listens(self) -> bool:
        """Whether it runs and robots can reach it."""
        running = self._running
        return running is not None and running.status is None and running.has_said('ready')

    def start(self, options: Sequence[str] | None = None, shifted: bool = False) -> None:
        """Start it; it needs a while until it answers.

        Args:
            options: options of `e4 edge-server`; those of the constructor, if left out.
            shifted: whether its wall clock is an hour ahead.
        """
        command = [sys.executable, '-m', 'e4_ros.cli']
        if shifted:
            command = [sys.executable, '-c', SHIFTED, 'e4']
        listen = f'{self._kind}/{self._room.listen(self._port)}'
        words = self._options if options is None else list(options)
        words = ['--listen', listen, '--json-status', '--threads', '1', *words]
        self._running = Running(self._room.server, [*command, 'edge-server', *words])

    def wait_until_it_listens(self) -> None:
        """Wait until robots can reach it.

        Raises:
            StartError: it ended before.
        """
        if self._running is not None:
            self._running.wait_for('ready')

    def kill(self) -> None:
        """Kill it, as a crash does."""
        if self._running is not None:
            self._running.kill()
            self._running.end()
        self._running = None

    def end(self) -> None:
        """End it in order."""
        if self._running is not None:
            self._running.end()
        self._running = None

    def words(self) -> str:
        """What it said last."""
        return '' if self._running is None else self._running.words()
