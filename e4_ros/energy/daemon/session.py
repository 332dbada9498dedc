"""One client with the lease: its steps and requests, until the connection ends."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import termios
from array import array
from collections.abc import Callable
from fcntl import ioctl

from e4_ros.energy.client import protocol
from e4_ros.energy.client.status_page import PageWriter
from e4_ros.energy.client.this_cpu import UNKNOWN_CPU, this_cpu
from e4_ros.energy.daemon.core import DaemonCore
from e4_ros.energy.daemon.realtime import migrate_off_cpu, set_fifo_priority

_MAX_OVERTAKEN = 64  # steps in a row, after which one is applied, so that a flood starves nobody
_LOOK = socket.MSG_DONTWAIT | socket.MSG_TRUNC | socket.MSG_PEEK


class Session:
    """Serves one connection in the calling thread.

    Args:
        core: applies the steps.
        page: counts those that newer ones overtook.
        connection: of the lease.
        answer: answers a request, and says whether the connection goes on.
    """

    def __init__(
        self,
        core: DaemonCore,
        page: PageWriter,
        connection: socket.socket,
        answer: Callable[[bytes], tuple[bytes, bool]],
    ) -> None:
        self._core = core
        self._page = page
        self._connection = connection
        self._answer = answer
        self._patience = _MAX_OVERTAKEN

    def run(self, watchdog_s: float, priority: int) -> None:
        """Serve until the connection ends; without a message for `watchdog_s` the clocks rest.

        Raises:
            ClocksLost: the board refused; everything was given back.
            OSError: the connection broke.
        """
        set_fifo_priority(priority)
        self._connection.setblocking(True)
        # The kernel's own timeout costs no extra system call per step, as Python's would.
        seconds, rest = divmod(watchdog_s, 1)
        timeout = struct.pack('ll', int(seconds), int(rest * 1e6))
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeout)
        self._drive()

    def _drive(self) -> None:
        """Apply steps, the newest first, until the connection ends. The fast path is this loop."""
        buffer = bytearray(protocol.MAX_MESSAGE + 1)
        cpus = os.sched_getaffinity(0)
        receive, step = self._connection.recv_into, self._core.step
        descriptor, waiting = self._connection.fileno(), array('i', [0])
        while True:
            try:
                size = receive(buffer, 0, socket.MSG_TRUNC)
            except BlockingIOError:
                self._core.rest()
                continue
            if size == protocol.STEP_SIZE and buffer[0] == protocol.STEP:
                path, segment = buffer[1], buffer[2] | buffer[3] << 8
                cpu = buffer[4] | buffer[5] << 8
                if waiting[0] and self._overtaken():
                    continue
                step(path, segment)
                if cpu != UNKNOWN_CPU and cpu == this_cpu():
                    # Here the next step would interrupt the client's own computation.
                    migrate_off_cpu(cpus - {cpu})
            elif size == 0:
                return
            else:
                answer, goes_on = self._answer(bytes(buffer[:size]))
                self._connection.send(answer, socket.MSG_DONTWAIT)
                if not goes_on:
                    return
            # Whether newer steps wait is asked after each message: before a step the answer would
            # cost it time, and a step that was waited for has none behind it.
            ioctl(descriptor, termios.FIONREAD, waiting)

    def _overtaken(self) -> bool:
        """Whether the next message is a newer step, so that the one at hand need not be applied."""
        head = bytearray(protocol.STEP_SIZE)
        with contextlib.suppress(OSError):  # then the next receive says so
            size = self._connection.recv_into(head, 0, _LOOK)
            if size == protocol.STEP_SIZE and head[0] == protocol.STEP and self._patience:
                self._patience -= 1
                self._page.count_skipped()
                return True
        self._patience = _MAX_OVERTAKEN
        return False
