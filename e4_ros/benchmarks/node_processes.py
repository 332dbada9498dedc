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

"""Nodes and cameras as processes of their own, for benchmarks that look at perception from outside.

They find each other in a ROS domain that nobody else has (`private_environment`), so that what
else runs on the machine is neither seen nor disturbed.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from e4_ros.bringup.supervisor import private_environment

RATE_HZ = 15.0
_PATIENCE_S = 120.0
_CLOCK_TICKS = os.sysconf('SC_CLK_TCK')


class StartError(OSError):
    """Something did not start; the text says what, and ends with its last words."""


@contextlib.contextmanager
def ros_domain() -> Iterator[dict[str, str]]:
    """An environment whose ROS domain is free, and is kept as long as the block lasts."""
    environment, lock = private_environment()
    with lock:
        yield environment


class NodeProcess(subprocess.Popen[bytes]):
    """A node's process.

    Attributes:
        began_s: when it began, in seconds of CLOCK_MONOTONIC.
        said: all of its output, once it has ended.
    """

    def __init__(self, command: Sequence[str], env: Mapping[str, str], log: IO[bytes]) -> None:
        self._log = log
        self.began_s, self.said = time.monotonic(), ''
        super().__init__(command, env=env, stdout=log, stderr=subprocess.STDOUT)

    def words(self) -> str:
        """The end of its output so far."""
        return self._output()[-2000:]

    def end(self) -> None:
        """Stop it as by Ctrl-C."""
        self.send_signal(signal.SIGINT)
        try:
            self.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()
            self.wait()
        self.said = self._output()

    def _output(self) -> str:
        self._log.seek(0)
        return self._log.read().decode(errors='replace')


@contextlib.contextmanager
def node(name: str, env: Mapping[str, str], parameters: Sequence[str]) -> Iterator[NodeProcess]:
    """Run one of our nodes; it is stopped as by Ctrl-C at the end.

    Args:
        name: what `ros2 run e4_ros` calls it.
        env: environment of the process.
        parameters: each as ``name:=value``.
    """
    words = [word for parameter in parameters for word in ('-p', parameter)]
    command = [sys.executable, '-m', 'e4_ros.nodes', name, '--ros-args', *words]
    with tempfile.TemporaryFile() as log:
        process = NodeProcess(command, env, log)
        try:
            yield process
        finally:
            process.end()


class Camera:
    """A camera that publishes one picture at a steady rate, and says what it sees of perception.

    Attributes:
        pid: of its process.
        sent: images that it had published while somebody listened; known once it has ended.
        cycles: how often it had perception deactivated and activated again; known then, too.
    """

    def __init__(self, env: Mapping[str, str], words: Sequence[str]) -> None:
        self.sent = self.cycles = 0
        self._process = subprocess.Popen(
            [sys.executable, '-m', 'e4_ros.nodes.bench_camera', *words],
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.pid = self._process.pid

    def wait_for(self, event: str, watched: NodeProcess | None = None) -> float:
        """When the camera saw ``event``, in seconds of CLOCK_MONOTONIC.

        Raises:
            StartError: it ended, or the process that is watched did, or it took too long.
        """
        return await_event(self._process, event, watched)

    def end(self) -> None:
        """Stop publishing, and learn how many images were sent."""
        out, _ = self._process.communicate(timeout=20)  # closes its input, which ends it
        told = [json.loads(line) for line in out.splitlines() if line.startswith(b'{')]
        for last in (each for each in told if each['event'] == 'sent'):
            self.sent, self.cycles = last['count'], last['cycles']


@contextlib.contextmanager
def camera(
    env: Mapping[str, str],
    size: tuple[int, int] = (640, 480),
    rate_hz: float = RATE_HZ,
    name: str = '',
    offered: str = 'reliable',
    transport: str = 'raw',
    cycle_s: float = 0.0,
) -> Iterator[Camera]:
    """Run a camera.

    Args:
        env: environment of the process.
        size: width and height of the images, pixels.
        rate_hz: images a second.
        name: of one of several cameras; empty for the only one.
        offered: QoS of its publisher: ``reliable`` or ``best_effort``.
        transport: ``raw`` or ``compressed``.
        cycle_s: seconds after which it has perception deactivated and activated; 0: never.
    """
    given: dict[str, Any] = {'width': size[0], 'height': size[1], 'rate': rate_hz, 'name': name}
    given |= {'reliability': offered, 'transport': transport, 'cycle': cycle_s}
    running = Camera(env, [f'--{key}={value}' for key, value in given.items()])
    try:
        running.wait_for('ready')
        yield running
    finally:
        running.end()


def await_event(
    source: subprocess.Popen[bytes], event: str, watched: NodeProcess | None = None
) -> float:
    """When a process said ``event``; it prints a line of JSON for each.

    Raises:
        StartError: it ended, or the process that is watched did, or it took too long.
    """
    assert source.stdout is not None
    os.set_blocking(source.stdout.fileno(), False)
    until_s, line = time.monotonic() + _PATIENCE_S, b''
    while time.monotonic() < until_s:
        line += source.stdout.readline() or b''  # a pipe may hand out half a line
        if line.endswith(b'\n'):
            said, line = json.loads(line), b''
            if said['event'] == event:
                return float(said['at_s'])
            continue
        if watched is not None and watched.poll() is not None:
            raise StartError(f'perception ended with {watched.returncode}: {watched.words()}')
        if source.poll() is not None:
            raise StartError(f'the camera ended with {source.returncode}')
        time.sleep(0.002)
    last = '' if watched is None else f': {watched.words()}'
    raise StartError(f'no {event.replace("_", " ")} within {_PATIENCE_S:.0f} s{last}')


def peak_mb(pid: int) -> float:
    """Peak resident memory of a process, megabytes of 10⁶ bytes."""
    return _status_mb(pid, 'VmHWM:')


def resident_mb(pid: int) -> float:
    """Resident memory of a process now, megabytes of 10⁶ bytes."""
    return _status_mb(pid, 'VmRSS:')


def cpu_s(pid: int) -> float:
    """Seconds of processor time that a process has taken so far."""
    fields = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / _CLOCK_TICKS


def _status_mb(pid: int, field: str) -> float:
    for line in Path(f'/proc/{pid}/status').read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024 / 1e6
    raise StartError(f'the kernel does not tell {field} of a process')
