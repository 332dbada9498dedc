"""One client with the lease: its steps and requests, until the connection ends."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import struct
from collections.abc import Callable

from e4_ros.energy import protocol
from e4_ros.energy.helper import HelperCore
from e4_ros.energy.status_page import PageWriter
from e4_ros.energy.this_cpu import UNKNOWN_CPU, this_cpu

_log = logging.getLogger(__name__)

_MAX_DRAIN = 64  # newer steps looked at before one is applied, so that a flood starves nobody
_NEXT = socket.MSG_DONTWAIT | socket.MSG_TRUNC


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
        core: HelperCore,
        page: PageWriter,
        connection: socket.socket,
        answer: Callable[[bytes], tuple[bytes, bool]],
    ) -> None:
        self._core = core
        self._page = page
        self._connection = connection
        self._answer = answer

    def run(self, watchdog_s: float, priority: int) -> None:
        """Serve until the connection ends; without a message for `watchdog_s` the clocks rest.

        Raises:
            ClocksLost: the board refused; everything was given back.
            OSError: the connection broke.
        """
        _hurry(priority)
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
        receive, step, page = self._connection.recv_into, self._core.step, self._page
        while True:
            try:
                size = receive(buffer, 0, socket.MSG_TRUNC)
            except BlockingIOError:
                self._core.rest()
                continue
            overtaken = 0
            while size == 6 and buffer[0] == protocol.STEP:
                path, segment = buffer[1], buffer[2] | buffer[3] << 8
                cpu = buffer[4] | buffer[5] << 8
                size = -1
                if overtaken < _MAX_DRAIN:
                    try:  # noqa: SIM105 - a context manager costs more than the call
                        size = receive(buffer, 0, _NEXT)
                    except BlockingIOError:
                        pass
                if size == 6 and buffer[0] == protocol.STEP:
                    overtaken += 1
                    continue
                if overtaken:
                    page.count_skipped(overtaken)
                step(path, segment)
                if cpu == this_cpu():
                    _step_aside(cpus, cpu)
            if size == 0:
                return
            if size > 0:
                answer, goes_on = self._answer(bytes(buffer[:size]))
                self._connection.send(answer, socket.MSG_DONTWAIT)
                if not goes_on:
                    return


def _step_aside(cpus: set[int], cpu: int) -> None:
    """Leave the client's CPU, on which the next step would otherwise interrupt its computation.

    The kernel wakes a real-time thread where it last ran, whoever computes there now.
    """
    others = cpus - {cpu}
    if others and cpu != UNKNOWN_CPU:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, others)


def _hurry(priority: int) -> None:
    """Run this thread under SCHED_FIFO, where the system permits."""
    if priority <= 0:
        return
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(priority))
    except OSError as error:
        _log.info('steps run without real-time priority: %s', error)
