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

"""A Ray cluster as a place where tasks run."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import tempfile
import time
from contextlib import suppress
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from e4_ros import extras
from e4_ros.evaluation.spread.ray_relay import relay
from e4_ros.evaluation.spread.workers import Event, Task, WorkersGoneError

_UP_S = 240.0  # a cluster may take to start or answer, on a busy machine
_DOWN_S = 30.0
_LONGEST_SOCKET = 107  # bytes of a Unix socket's path
_SOCKET_TAIL = 60  # of them that Ray adds to its folder


class RayWorkers:
    """Tasks on a Ray cluster, each on one core.

    Args:
        address: ``auto`` for the cluster that this machine belongs to, or else one of this machine
            alone, which ends with this object; ``local`` for the latter; or ``HOST:PORT``.
        count: How many tasks run at a time; None for one per core of the cluster.
        gpus: GPUs that each task needs.

    Attributes:
        place: Where it is, in words.
        address: Its head, HOST:PORT.

    Raises:
        MissingExtraError: Ray is not installed.
        WorkersGoneError: there is no such cluster.
    """

    def __init__(self, address: str = 'auto', count: int | None = None, gpus: float = 0) -> None:
        extras.require('cluster', '`--on ray`')
        if address.startswith('ray://'):
            raise ValueError(
                f'--address {address}: give the head’s own HOST:PORT (6379, not the client port '
                '10001), from a machine of the cluster'
            )
        self._count, self._cores = count, count or 1
        self._temp = Path(tempfile.mkdtemp(prefix='e4-ray-', dir=_short_folder()))
        self._log = self._temp / 'ray.log'
        spawn = multiprocessing.get_context('spawn')
        self._pipe, theirs = spawn.Pipe()
        cpus = count or len(os.sched_getaffinity(0))
        arguments = theirs, address, cpus, gpus, str(self._temp), str(self._log)
        self._process = spawn.Process(target=relay, args=arguments, name='ray relay', daemon=True)
        try:
            self._process.start()
            theirs.close()
            self.place, self.address = self._wait_for('up', address)
            self._cores = self._wait_for('cores', address)
        except BaseException:
            self.close()
            raise

    def limit(self) -> int:
        """Cores of the cluster, which may grow, or fewer if fewer were asked for."""
        return min(self._count or self._cores, max(self._cores, 1))

    def share(self, name: str, value: Any) -> None:
        """Put a value into the cluster's object store."""
        self._send('share', name, value)

    def begin(self, task: Task) -> None:
        """Submit a task."""
        self._send('begin', task)

    def events(self, timeout_s: float) -> list[Event]:
        """What the cluster said."""
        found: list[Event] = []
        while wait([self._pipe], 0 if found else timeout_s):
            kind, *values = self._receive()
            if kind == 'cores':
                self._cores = values[0]
                break
            found.append(Event(*values))
        return found

    def close(self) -> None:
        """End what runs, and a local cluster with it."""
        with suppress(OSError):  # it has ended
            self._pipe.send(('stop',))
        self._process.join(_DOWN_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._pipe.close()
        shutil.rmtree(self._temp, ignore_errors=True)

    def _send(self, *message: Any) -> None:
        try:
            self._pipe.send(message)
        except OSError:
            raise self._gone() from None

    def _receive(self) -> tuple[Any, ...]:
        try:
            message = self._pipe.recv()
        except (EOFError, OSError):
            raise self._gone() from None
        if message[0] == 'gone':
            raise self._gone(message[1])
        return message

    def _wait_for(self, kind: str, address: str) -> Any:
        until = time.monotonic() + _UP_S
        while time.monotonic() < until:
            if wait([self._pipe], 1.0):
                found, value = self._receive()
                if found == kind:
                    return value
        raise WorkersGoneError(f'Ray ({address}) did not answer within {_UP_S:.0f} s')

    def _gone(self, why: str = '') -> WorkersGoneError:
        return WorkersGoneError(f'the Ray cluster is gone: {why or self._last_words()}')

    def _last_words(self) -> str:
        """What Ray wrote last."""
        self._process.join(_DOWN_S)
        try:
            lines = self._log.read_text(errors='replace').splitlines()
        except OSError:
            lines = []
        if any('Failed to connect to GCS' in line for line in lines):
            return 'its head does not answer any more'
        return lines[-1].strip() if lines else 'the process that talks to it was killed'


def _short_folder() -> str | None:
    """The folder for temporary files, unless sockets in it would have names that are too long."""
    return None if len(tempfile.gettempdir()) + _SOCKET_TAIL < _LONGEST_SOCKET else '/tmp'
