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

"""The client's end of the daemon's socket: acquire a lease, set a plan, step through it.

with DvfsClient() as clocks:
    clocks.acquire('perception')
    clocks.set_plan(plan)
    clocks.step(path, segment)      # microseconds, never waits, never raises
    point, energy_j, source = clocks.applied()
"""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

from e4_ros.energy.client import protocol
from e4_ros.energy.client.connection import Connection, DaemonError, LeasesInTheWay
from e4_ros.energy.client.status_page import Counters, PageReader
from e4_ros.energy.client.this_cpu import this_cpu
from e4_ros.energy.plan import MAX_PLAN_BYTES, FrequencyPlan, PlanError

__all__ = ['Applied', 'ClientState', 'DaemonError', 'DvfsClient', 'LeasesInTheWay']

_ASK_AGAIN_S = 0.1

HUNG_S = 2.0
"""Seconds without a look at the board after which a daemon hangs; with a lease it is 0.1 s."""

_CPU_EVERY = 16
"""Every so many steps one tells the daemon which CPU to keep off; asking takes microseconds."""


class ClientState(Enum):
    """Whether a client holds a lease.

    ``CLOSED``: it does not. ``HELD``: it does. ``LOST``: it did, until the daemon ended it or died.
    """

    CLOSED = 'closed'
    HELD = 'held'
    LOST = 'lost'


class Applied(NamedTuple):
    """The clocks and the joules at one moment.

    Attributes:
        point: domain → frequency in hertz.
        energy_j: joules since the daemon started; meant to be subtracted from a later reading.
        source: whether the joules are ``measured`` or ``modelled``; ``none`` without a meter, or
            while it is silent.
    """

    point: dict[str, int]
    energy_j: float
    source: str


class DvfsClient:
    """One client of the DVFS daemon; safe to use from several threads.

    Requests (`acquire`, `set_plan`, `status`, `release`) wait for the daemon, one at a time. `step`
    and `applied` never wait for a request: while `set_plan` replaces the plan, steps are not sent.

    Args:
        socket_path: path of the daemon's socket; by default ``$E4_SOCKET`` or the system's.
        timeout_s: longest time in seconds that a request may take.

    Attributes:
        state: whether a lease is held.
        lost_because: why the lease was lost; empty before that.
        board: name of the board; known from `acquire` on, like the next three.
        root: folder that holds the board's ``sys/``; anything but ``/`` is a simulated board.
        frequencies_hz: domain → ascending table of the frequencies in hertz that a plan may use.
        watchdog_s: seconds without a step after which the daemon restores the clocks.
        unsent: number of steps for which the socket had no room.
    """

    def __init__(self, socket_path: str | Path | None = None, timeout_s: float = 5.0) -> None:
        self.socket_path = str(socket_path or protocol.default_socket_path())
        self.state = ClientState.CLOSED
        self.board = ''
        self.root = '/'
        self.frequencies_hz: dict[str, tuple[int, ...]] = {}
        self.watchdog_s = float('inf')
        self.unsent = 0
        self.lost_because = ''
        self._timeout_s = timeout_s
        self._request_lock = threading.RLock()  # held while a request waits for its answer
        self._lock = threading.RLock()  # guards what follows; never held while anything waits
        self._connection: Connection | None = None
        self._page: PageReader | None = None
        self._steps: list[list[bytes | None]] = []
        self._send: Callable[[bytes], int] = len  # the connection's, while there are steps
        self._count = 0

    @property
    def domains(self) -> tuple[str, ...]:
        """Names of the board's domains."""
        return tuple(self.frequencies_hz)

    def acquire(
        self, name: str, exclusive: bool = False, wait_s: float = 0.0, cpus: int = 0
    ) -> None:
        """Connect and acquire a lease, again if an earlier one was lost.

        Leases share the clocks: each has the highest frequency that one of them wants.

        Args:
            name: name of the lease's holder, for people.
            exclusive: whether nobody else may hold a lease meanwhile, as measuring needs it.
            wait_s: longest time in seconds to wait for others that leave no room for this lease.
            cpus: how many CPUs are needed; the daemon may switch others off, as far as its
                operator allows. 0: all.

        Raises:
            LeasesInTheWay: others leave no room for this lease; the message says who.
            DaemonError: no daemon, no permission, or no lease is granted now.
        """
        until = time.monotonic() + wait_s
        while True:
            try:
                self._acquire(name, exclusive, cpus)
                return
            except LeasesInTheWay:
                if time.monotonic() >= until:
                    raise
                time.sleep(_ASK_AGAIN_S)

    def _acquire(self, name: str, exclusive: bool, cpus: int) -> None:
        with self._request_lock:
            if self.state is ClientState.HELD:
                raise DaemonError('this client holds a lease already')
            self.close()
            connection = Connection(self.socket_path, self._timeout_s)
            with self._lock:
                self._connection = connection
            fields = {'client': name, 'exclusive': 'yes' if exclusive else '', 'cpus': str(cpus)}
            try:
                answer = self._ask(protocol.pack_request(protocol.ACQUIRE, **fields))
            except DaemonError:
                with self._lock:
                    if self._connection is connection:
                        self.close()
                raise
            with self._lock:
                if self._connection is not connection:
                    raise DaemonError('the client was closed meanwhile')
                self.board, self.root = answer['board'], answer['root']
                self.watchdog_s = answer['watchdog_s']
                self.frequencies_hz = {n: tuple(hz) for n, hz in answer['domains'].items()}
                self.state = ClientState.HELD

    def set_plan(self, plan: FrequencyPlan) -> None:
        """Put a plan in force; from then on the arguments of `step` are indices into it.

        Raises:
            DaemonError: the daemon refuses the plan, whereupon the one before stays in force, or
                is gone.
            PlanError: the plan is too long to send.
        """
        text = plan.model_dump_json()
        if len(text) > MAX_PLAN_BYTES:
            raise PlanError(f'plan {plan.name!r} is longer than {MAX_PLAN_BYTES} bytes')
        with self._request_lock:
            with self._lock:  # a step's indices belong to one plan: none is sent meanwhile
                steps, self._steps = self._steps, []
            try:
                self._ask(bytes([protocol.SET_PLAN]) + text.encode())
                steps = _pack_steps(plan)
            finally:
                with self._lock:
                    if self._connection is not None:
                        self._steps, self._send = steps, self._connection.send

    def step(self, path: int, segment: int) -> bool:
        """Tell the daemon that a segment begins.

        Args:
            path: index of the exit in the plan's ``exits``.
            segment: index of the segment in the plan's ``segments``.

        Returns:
            Whether the step was sent. It is not where the plan has no point for the segment or is
            being replaced, where the daemon is gone (`state` is then ``LOST`` and `lost_because`
            says why), or where it lags so far behind that the socket is full (counted by `unsent`).
        """
        with self._lock:
            message = self._steps[path][segment] if self._steps else None
            if message is None:
                return False
            self._count += 1
            if self._count % _CPU_EVERY == 0:
                message = protocol.pack_step(path, segment, this_cpu())
            try:
                self._send(message)
                return True
            except BlockingIOError:
                self.unsent += 1
            except OSError:
                self._lose()
            return False

    def applied(self) -> Applied:
        """Read the clocks and the joules of now, without a system call.

        Without a lease: an empty point, NaN joules and the source ``none``.
        """
        with self._lock:
            if self._page is None:
                return Applied({}, float('nan'), 'none')
            energy_j, source = self._page.energy()
            point = dict(zip(self.frequencies_hz, self._page.clocks(), strict=True))
        return Applied(point, energy_j, source)

    def clients(self) -> int:
        """Number of leases now, whose joules are the same ones; 0 without a lease."""
        with self._lock:
            return 0 if self._page is None else self._page.clients

    def changed_ns(self) -> int:
        """When the clocks last changed, in ns of CLOCK_MONOTONIC; 0 without a lease."""
        with self._lock:
            return 0 if self._page is None else self._page.changed_ns

    @property
    def hangs(self) -> bool:
        """Whether the daemon has stopped moving, so that steps that are sent are not applied.

        It does where a driver never returns, or where somebody stopped the process. The lease is
        still held: the daemon may go on, and its service manager may end it.
        """
        with self._lock:
            if self._page is None:
                return False
            return time.monotonic_ns() - self._page.looked_ns > HUNG_S * 1e9

    def counters(self) -> Counters:
        """The daemon's counters of this lease's steps; zeros without a lease."""
        with self._lock:
            return Counters(0, 0, 0) if self._page is None else self._page.counters()

    def status(self) -> dict[str, Any]:
        """The daemon's board, leases, problems and domains; no lease is needed.

        Raises:
            DaemonError: no daemon, or no permission.
        """
        with self._request_lock:
            if self.state is ClientState.HELD:
                return self._ask(protocol.pack_request(protocol.STATUS))
        other = DvfsClient(self.socket_path, self._timeout_s)
        try:
            other._connection = Connection(self.socket_path, self._timeout_s)
            return other._ask(protocol.pack_request(protocol.STATUS))
        finally:
            other.close()

    def release(self) -> None:
        """Release the lease; when this returns the clocks are what others want, or restored.

        Nothing without a lease.

        Raises:
            DaemonError: the daemon could not restore every clock; the message says which.
        """
        with self._request_lock:
            if self.state is not ClientState.HELD:
                return
            with self._lock:  # a step behind the last request would reset the connection
                self._steps = []
            try:
                problems = self._ask(protocol.pack_request(protocol.RELEASE)).get('problems')
            except DaemonError as error:
                if error.errno is not None:
                    raise
                problems = None  # the daemon ended the lease first, as it does when it stops
            finally:
                self.close()
        if problems:
            raise DaemonError('not every clock was restored: ' + '; '.join(problems))

    def close(self) -> None:
        """Hang up, even while a request waits; the daemon then ends the lease by itself."""
        with self._lock:
            self.state = ClientState.CLOSED
            self._steps = []
            if self._page is not None:
                self._page.close()
                self._page = None
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def __enter__(self) -> DvfsClient:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self.release()
        finally:
            self.close()

    def _ask(self, message: bytes) -> dict[str, Any]:
        connection = self._connection
        if connection is None:
            raise DaemonError('there is no connection to a daemon; acquire the lease first')
        try:
            answer, page_fd = connection.ask(message)
        except DaemonError:  # another version's answer: the daemon is there all the same
            raise
        except OSError as error:
            with self._lock:
                if self._connection is not connection and self.state is ClientState.CLOSED:
                    raise DaemonError('the client was closed meanwhile') from error
                self._lose()
            raise DaemonError(error.errno, f'{self.lost_because} ({error.strerror})') from error
        if page_fd is not None:
            try:
                page = PageReader(page_fd, len(answer['domains']), answer['slot'])
            except ValueError as error:
                raise DaemonError(errno.EPROTO, str(error)) from None
            with self._lock:
                if self._connection is connection:
                    self._page = page
                else:
                    page.close()
        if not answer['ok']:
            kind = LeasesInTheWay if answer.get('others') else DaemonError
            raise kind(answer['error'])
        return answer

    def _lose(self) -> None:
        """The daemon is gone or ended the lease: nothing is sent or read any more."""
        if self._connection is None:
            return
        self.lost_because = self._connection.hang_up_reason() or 'the daemon is gone'
        self.close()
        self.state = ClientState.LOST


def _pack_steps(plan: FrequencyPlan) -> list[list[bytes | None]]:
    """The datagram of each step, by exit index and segment index; None without a point."""
    rows: list[list[bytes | None]] = []
    for index, path in enumerate(plan.paths.values()):
        row: list[bytes | None] = [None] * len(plan.segments)
        for segment in path.segments:
            row[segment] = protocol.pack_step(index, segment)
        rows.append(row)
    return rows
