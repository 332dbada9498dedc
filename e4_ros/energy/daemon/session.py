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

"""One client with a lease: its steps and requests, until the connection ends."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import termios
import time
from array import array
from collections.abc import Callable
from fcntl import ioctl
from functools import partial

from e4_ros.energy.client import protocol
from e4_ros.energy.client.this_cpu import UNKNOWN_CPU, this_cpu
from e4_ros.energy.daemon.core import DaemonCore
from e4_ros.energy.daemon.lease import Lease
from e4_ros.energy.daemon.realtime import migrate_off_cpu, set_fifo_priority

_MAX_SUPERSEDED = 64  # skipped steps in a row, after which one is applied whatever comes behind
_PEEK = socket.MSG_DONTWAIT | socket.MSG_TRUNC | socket.MSG_PEEK


class Session:
    """Serves one connection in the calling thread.

    Args:
        core: daemon core that applies the steps.
        lease: whose steps they are; its skipped steps include those that newer ones superseded.
        connection: the connected socket of the client that holds the lease.
        answer: function from a request's bytes to its answer and whether the connection stays open.
    """

    def __init__(
        self,
        core: DaemonCore,
        lease: Lease,
        connection: socket.socket,
        answer: Callable[[bytes], tuple[bytes, bool]],
    ) -> None:
        self._core = core
        self._lease = lease
        self._connection = connection
        self._answer = answer
        self._patience = _MAX_SUPERSEDED

    def run(self, watchdog_s: float, priority: int) -> None:
        """Serve until the connection ends.

        Args:
            watchdog_s: seconds without a step after which the lease rests. Requests put that off
                once at most.
            priority: SCHED_FIFO priority of the calling thread, where permitted; 0: none.

        Raises:
            ClocksLost: the board refused; what the lease had was restored.
            OSError: the connection broke.
        """
        set_fifo_priority(priority)
        self._connection.setblocking(True)
        # The kernel's own timeout costs no extra system call per step, as Python's would.
        seconds, rest = divmod(watchdog_s, 1)
        timeout = struct.pack('ll', int(seconds), int(rest * 1e6))
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeout)
        self._drive(watchdog_s)

    def _drive(self, watchdog_s: float) -> None:
        """Apply steps, the newest first, until the connection ends. The fast path is this loop."""
        buffer = bytearray(protocol.MAX_MESSAGE + 1)
        cpus = os.sched_getaffinity(0)
        receive, step = self._connection.recv_into, partial(self._core.step, self._lease)
        descriptor, waiting = self._connection.fileno(), array('i', [0])
        asked_s = 0.0  # when the first request after a step came; 0 before there is one
        while True:
            try:
                size = receive(buffer, 0, socket.MSG_TRUNC)
            except BlockingIOError:
                self._core.rest(self._lease)
                continue
            if size == protocol.STEP_SIZE and buffer[0] == protocol.STEP:
                asked_s = 0.0
                path, segment = buffer[1], buffer[2] | buffer[3] << 8
                cpu = buffer[4] | buffer[5] << 8
                if waiting[0] and self._superseded():
                    continue
                step(path, segment)
                if cpu != UNKNOWN_CPU and cpu == this_cpu():
                    # On this CPU the next step would interrupt the client's own computation.
                    migrate_off_cpu(cpus - {cpu})
            elif size == 0:
                return
            else:
                answer, goes_on = self._answer(bytes(buffer[:size]))
                self._connection.send(answer, socket.MSG_DONTWAIT)
                if not goes_on:
                    return
                now_s = time.monotonic()
                asked_s = asked_s or now_s
                if now_s - asked_s > watchdog_s:
                    self._core.rest(self._lease)
            # Asked after each message, not before: it would delay the step, and a step that was
            # waited for has no newer one behind it.
            ioctl(descriptor, termios.FIONREAD, waiting)

    def _superseded(self) -> bool:
        """Whether the next message is a newer step, so that this one need not be applied."""
        head = bytearray(protocol.STEP_SIZE)
        with contextlib.suppress(OSError):  # then the next receive says so
            size = self._connection.recv_into(head, 0, _PEEK)
            if size == protocol.STEP_SIZE and head[0] == protocol.STEP and self._patience:
                self._patience -= 1
                self._lease.steps.count_skipped()
                return True
        self._patience = _MAX_SUPERSEDED
        return False
