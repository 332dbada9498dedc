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

"""The daemon's requests: leases begin and end, and each has a thread that serves its client."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from e4_ros.energy.client import protocol
from e4_ros.energy.client.status_page import PageWriter
from e4_ros.energy.daemon import access
from e4_ros.energy.daemon.activity import Activity
from e4_ros.energy.daemon.core import ClocksLost, DaemonCore
from e4_ros.energy.daemon.lease import Lease, LeaseBook, LeaseError, LeaseHeld, Peer
from e4_ros.energy.daemon.reception import Reception, Shares
from e4_ros.energy.daemon.session import Session
from e4_ros.energy.plan import FrequencyPlan, PlanError

_log = logging.getLogger(__name__)

_MOST_CPUS = 4096


class _Served(NamedTuple):
    connection: socket.socket
    thread: threading.Thread


class DaemonServer:
    """Lets clients take leases and drive the core.

    Args:
        core: daemon core that applies plans and steps.
        page: status page, handed to clients read-only.
        activity: told when a lease begins and ends.
        socket_path: path to listen at.
        group: name of the group whose members may connect; empty: only this user.
        watchdog_s: seconds without a step after which a lease rests.
        priority: SCHED_FIFO priority of the threads that apply steps, where permitted; 0: none.
        idle_lease_s: seconds without a step after which a lease ends if another client has no room.

    Raises:
        SocketPathError, ValueError: the socket cannot be made.
    """

    def __init__(
        self,
        core: DaemonCore,
        page: PageWriter,
        activity: Activity,
        socket_path: str | Path,
        group: str = '',
        watchdog_s: float = 2.0,
        priority: int = 10,
        idle_lease_s: float = 30.0,
    ) -> None:
        self.core = core
        self._leases = LeaseBook()
        self.socket_path = Path(socket_path)
        self._page = page
        self._activity = activity
        gid = access.gid_of(group)
        self._watchdog_s = watchdog_s
        self._idle_lease_s = idle_lease_s
        self._priority = priority
        self._control = threading.RLock()
        self._served: dict[Lease, _Served] = {}
        listener = access.listen(socket_path, gid)
        self._inode = self.socket_path.stat().st_ino
        self._shares = Shares()
        self._reception = Reception(listener, gid, self._shares, self._greet)

    # --- requests, from any thread ---

    @property
    def leases(self) -> tuple[Lease, ...]:
        """The leases that are held, the oldest first."""
        return self._leases.held

    def check(self, client: str) -> None:
        """Raise LeaseError where a client of this name would get no lease now."""
        try:
            self._leases.check(client)
        except LeaseHeld:
            if not self._leases.in_the_way(False, self._idle_lease_s):
                raise

    def refuse_leases(self, reason: str) -> None:
        """Grant no lease from now on, for this reason; an empty reason ends that."""
        self._leases.refuse(reason)

    def end(self, lease: Lease, reason: str, hang_up: bool = True) -> None:
        """Take a lease's clocks, then end it, then hang up. A second call changes nothing."""
        with self._control:
            if lease in self._leases.held:
                self._end([lease], reason, hang_up)

    def end_all(self, reason: str) -> None:
        """End every lease; every clock is restored then."""
        with self._control:
            self._end(self._leases.held, reason)

    def _end(self, leases: Sequence[Lease], reason: str, hang_up: bool = True) -> None:
        if self.core.end(*leases):
            self._leases.refuse(self.core.refusal())
        for lease in leases:
            self._leases.end(lease, reason)
            self._activity.end(lease)
            _log.info('the lease of %s ended: %s', lease, reason)
            if hang_up:
                with contextlib.suppress(OSError):
                    connection = self._served[lease].connection
                    connection.send(protocol.pack_refusal(reason), socket.MSG_DONTWAIT)
                    connection.shutdown(socket.SHUT_RDWR)

    def status(self) -> dict[str, Any]:
        """Board, root of its files, leases, problems and domains, as plain data."""
        return {
            'board': self.core.board,
            'root': str(self.core.root),
            # One that has been claimed, and not begun, has no counters yet.
            'leases': [_facts(lease) for lease in self._leases.held if lease in self._served],
            'watchdog_s': self._watchdog_s,
            'problems': list(self.core.problems),
            'domains': {name: list(table) for name, table in self.core.frequencies_hz.items()},
        }

    def stop(self) -> None:
        """End the leases, close the socket and remove its file. May be called twice."""
        self._reception.stop()
        self.end_all('the daemon stopped')
        for served in list(self._served.values()):
            served.thread.join()
        with contextlib.suppress(FileNotFoundError):
            if os.lstat(self.socket_path).st_ino == self._inode:
                self.socket_path.unlink()

    # --- the thread that accepts ---

    def _greet(self, connection: socket.socket, peer: Peer) -> None:
        """Answer the first message of a connection; `ACQUIRE` begins a lease."""
        try:
            message = connection.recv(protocol.MAX_MESSAGE, socket.MSG_DONTWAIT)
            kind = message[0] if message else 0
            if kind == protocol.ACQUIRE:
                self._begin(connection, peer, protocol.parse_request(message[1:]))
                return
            if kind == protocol.STATUS:
                connection.send(protocol.pack_answer(**self.status()), socket.MSG_DONTWAIT)
            elif message:
                connection.send(protocol.pack_refusal('acquire a lease first'), socket.MSG_DONTWAIT)
        except (LeaseError, protocol.ProtocolError) as error:
            refusal = protocol.pack_refusal(error, others=isinstance(error, LeaseHeld))
            with contextlib.suppress(OSError):
                connection.send(refusal, socket.MSG_DONTWAIT)
        except OSError as error:
            _log.debug('a connection ended before its lease: %s', error)
        connection.close()

    def _begin(self, connection: socket.socket, peer: Peer, request: dict[str, str]) -> None:
        client = request.get('client') or 'unnamed'
        with self._control:
            exclusive, cpus = bool(request.get('exclusive')), _cpus(request)
            try:
                lease = self._leases.claim(client, peer, exclusive, cpus)
            except LeaseHeld:
                idle_s = self._idle_lease_s
                idle = self._leases.in_the_way(exclusive, idle_s, peer.uid)
                self._end(idle, f'no step came for {idle_s:g} s, and {client} waited for its place')
                lease = self._leases.claim(client, peer, exclusive, cpus)
            self.core.begin(lease)
            self._activity.begin(lease)
            thread = threading.Thread(
                target=self._serve, args=(connection, lease), name='e4-steps', daemon=True
            )
            self._served[lease] = _Served(connection, thread)
        _log.info('%s has %s lease', lease, 'an exclusive' if exclusive else 'a')
        answer = protocol.pack_answer(slot=lease.steps.slot, **self.status())
        # If this fails, the thread sees the end of the connection too, and ends the lease.
        with contextlib.suppress(OSError):
            socket.send_fds(connection, [answer], [self._page.fd])
        thread.start()

    # --- the threads that serve the leases ---

    def _serve(self, connection: socket.socket, lease: Lease) -> None:
        session = Session(self.core, lease, connection, partial(self._answer, lease))
        reason = 'the client left'
        try:
            session.run(self._watchdog_s, self._priority)
        except ClocksLost as error:
            _log.error('%s', error)
            reason = str(error)
        except OSError as error:
            reason = f'the connection broke: {error}'
        finally:
            self.end(lease, reason)
            with self._control:
                del self._served[lease]
            connection.close()

    def _set_plan(self, lease: Lease, plan: FrequencyPlan) -> None:
        with self._control:
            if lease.reason:
                raise LeaseError(lease.reason)
            self.core.set_plan(lease, plan)
            _log.info('%s set plan %r', lease, plan.name)

    def _answer(self, lease: Lease, request: bytes) -> tuple[bytes, bool]:
        """The answer to a request of the lease's holder, and whether the connection stays open."""
        time.sleep(max(0.0, self._shares.wait_s(lease.peer.uid)))
        with self._shares.charged_to(lease.peer.uid):
            return self._answer_now(lease, request)

    def _answer_now(self, lease: Lease, request: bytes) -> tuple[bytes, bool]:
        kind, goes_on = request[0], True
        try:
            if len(request) > protocol.MAX_MESSAGE:
                raise protocol.ProtocolError(f'more than {protocol.MAX_MESSAGE} bytes are too long')
            if kind == protocol.SET_PLAN:
                self._set_plan(lease, FrequencyPlan.from_json(request[1:]))
                answer = protocol.pack_answer()
            elif kind == protocol.RELEASE:
                # Freed before it is answered, so that the client may acquire again at once.
                self.end(lease, 'it was released', hang_up=False)
                answer, goes_on = protocol.pack_answer(problems=self.core.problems), False
            elif kind == protocol.STATUS:
                answer = protocol.pack_answer(**self.status())
            else:
                raise protocol.ProtocolError(f'no request begins with {kind} here')
        except (LeaseError, PlanError, protocol.ProtocolError, OSError) as error:
            answer = protocol.pack_refusal(error)
        return answer, goes_on


def _cpus(request: dict[str, str]) -> int:
    text = request.get('cpus') or '0'
    if not text.isdecimal() or int(text) > _MOST_CPUS:
        raise protocol.ProtocolError(f'{text!r} is no number of CPUs')
    return int(text)


def _facts(lease: Lease) -> dict[str, Any]:
    return {
        'client': lease.client,
        'pid': lease.peer.pid,
        'uid': lease.peer.uid,
        'exclusive': lease.exclusive,
        'plan': '' if lease.plan is None else lease.plan.name,
        'awake': lease.awake,
        'steps': sum(lease.steps.read()),
    }
