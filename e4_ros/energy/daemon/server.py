"""The daemon's socket: one thread accepts, one serves the client that holds the lease."""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import socket
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

from e4_ros.energy.client import protocol
from e4_ros.energy.client.status_page import PageWriter
from e4_ros.energy.daemon import access
from e4_ros.energy.daemon.activity import Activity
from e4_ros.energy.daemon.core import ClocksLost, DaemonCore
from e4_ros.energy.daemon.lease import Lease, LeaseBook, LeaseError
from e4_ros.energy.daemon.session import Session
from e4_ros.energy.plan import FrequencyPlan, PlanError

_log = logging.getLogger(__name__)

_HELLO_S = 2.0  # longest time from a connection to its first message
_MAX_WAITING = 32


class DaemonServer:
    """Lets one client at a time take the lease and drive the core.

    Args:
        core: daemon core that applies plans and steps.
        page: status page, handed to clients read-only.
        activity: told when a lease begins and ends.
        socket_path: path to listen at.
        group: name of the group whose members may connect; empty: only this user.
        watchdog_s: seconds without a message after which the clocks are restored.
        priority: SCHED_FIFO priority of the thread that applies steps, where permitted; 0: none.

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
    ) -> None:
        self.core = core
        self._leases = LeaseBook()
        self.socket_path = Path(socket_path)
        self._page = page
        self._activity = activity
        self._gid = access.gid_of(group)
        self._watchdog_s = watchdog_s
        self._priority = priority
        self._control = threading.RLock()
        self._connection: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._listener = access.listen(socket_path, self._gid)
        self._inode = self.socket_path.stat().st_ino
        self._wake, self._woken = socket.socketpair()
        self._acceptor = threading.Thread(target=self._accept, name='e4-accept', daemon=True)
        self._acceptor.start()

    # --- requests, from any thread ---

    @property
    def holder(self) -> Lease | None:
        """The lease that is held, if any."""
        return self._leases.holder

    def reserve(self, client: str) -> str:
        """Reserve the lease for a client that has no connection yet; return its token.

        Raises:
            LeaseError: the lease is held or reserved, or none is granted now.
        """
        return self._leases.reserve(client)

    def refuse_leases(self, reason: str) -> None:
        """Grant no lease from now on, for this reason; an empty reason ends that."""
        self._leases.refuse(reason)

    def set_plan(self, token: str, plan: FrequencyPlan) -> None:
        """Put a plan in force for the lease that the token belongs to.

        Raises:
            LeaseError: the token belongs to no lease that is held.
            PlanError, OSError: see :meth:`DaemonCore.set_plan`.
        """
        with self._control:
            lease = self._leases.check(token)
            self.core.set_plan(plan)
            _log.info('%s set plan %r', lease, plan.name)

    def end(self, lease: Lease, reason: str, hang_up: bool = True) -> None:
        """Restore the clocks, then end the lease, then hang up. A second call changes nothing."""
        with self._control:
            if self._leases.holder is not lease:
                return
            problems = self.core.end()
            self._leases.end(lease, reason)
            self._activity.end(lease)
            if problems:
                self._leases.refuse(self.core.refusal())
            _log.info('the lease of %s ended: %s', lease, reason)
            if hang_up and self._connection is not None:
                with contextlib.suppress(OSError):
                    self._connection.send(protocol.pack_refusal(reason), socket.MSG_DONTWAIT)
                    self._connection.shutdown(socket.SHUT_RDWR)

    def status(self) -> dict[str, Any]:
        """Board, lease, plan, problems and domains, as plain data."""
        lease, plan = self._leases.holder, self.core.plan
        return {
            'board': self.core.board,
            'root': str(self.core.root),
            'holder': '' if lease is None else str(lease),
            'plan': '' if plan is None else plan.name,
            'watchdog_s': self._watchdog_s,
            'problems': list(self.core.problems),
            'domains': {name: list(table) for name, table in self.core.frequencies_hz.items()},
        }

    def stop(self) -> None:
        """End the lease, close the socket and remove its file. May be called twice."""
        if self._wake.fileno() < 0:
            return
        self._wake.close()
        self._acceptor.join()
        if (lease := self._leases.holder) is not None:
            self.end(lease, 'the daemon stopped')
        if self._thread is not None:
            self._thread.join()
        with contextlib.suppress(FileNotFoundError):
            if os.lstat(self.socket_path).st_ino == self._inode:
                self.socket_path.unlink()

    # --- the accepting thread ---

    def _accept(self) -> None:
        with selectors.DefaultSelector() as selector, self._listener, self._woken:
            self._listener.setblocking(False)
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            waiting: dict[socket.socket, float] = {}
            while True:
                ready = [key.fileobj for key, _ in selector.select(0.5 if waiting else None)]
                if self._woken in ready:
                    break
                for connection in waiting.keys() & set(ready):
                    selector.unregister(connection)
                    del waiting[connection]
                    self._greet(connection)
                if self._listener in ready and (new := self._admit(len(waiting))) is not None:
                    waiting[new] = time.monotonic() + _HELLO_S
                    selector.register(new, selectors.EVENT_READ)
                for connection in [c for c, until in waiting.items() if time.monotonic() > until]:
                    selector.unregister(connection)
                    del waiting[connection]
                    connection.close()
            for connection in waiting:
                connection.close()

    def _admit(self, waiting: int) -> socket.socket | None:
        try:
            connection, _ = self._listener.accept()
        except OSError as error:
            _log.warning('a connection was lost: %s', error)
            return None
        if waiting < _MAX_WAITING and access.may_talk(connection, self._gid):
            return connection
        _log.warning('refused %s', access.peer_of(connection))
        connection.close()
        return None

    def _greet(self, connection: socket.socket) -> None:
        """Answer the first message of a connection; `ACQUIRE` begins a lease."""
        try:
            message = connection.recv(protocol.MAX_MESSAGE, socket.MSG_DONTWAIT)
            kind = message[0] if message else 0
            if kind == protocol.ACQUIRE:
                self._begin(connection, protocol.parse_request(message[1:]))
                return
            if kind == protocol.STATUS:
                connection.send(protocol.pack_answer(**self.status()), socket.MSG_DONTWAIT)
            elif message:
                connection.send(protocol.pack_refusal('acquire a lease first'), socket.MSG_DONTWAIT)
        except (LeaseError, protocol.ProtocolError) as error:
            with contextlib.suppress(OSError):
                connection.send(protocol.pack_refusal(error), socket.MSG_DONTWAIT)
        except OSError as error:
            _log.debug('a connection ended before its lease: %s', error)
        connection.close()

    def _begin(self, connection: socket.socket, request: dict[str, str]) -> None:
        client = request.get('client') or 'unnamed'
        lease = self._leases.claim(client, access.peer_of(connection), request.get('token', ''))
        self._activity.begin(lease)
        _log.info('the lease goes to %s', lease)
        if self._thread is not None:
            self._thread.join()
        self._connection = connection
        self._thread = threading.Thread(
            target=self._serve, args=(connection, lease), name='e4-steps', daemon=True
        )
        answer = protocol.pack_answer(token=lease.token, **self.status())
        # If this fails, the thread sees the end of the connection too, and ends the lease.
        with contextlib.suppress(OSError):
            socket.send_fds(connection, [answer], [self._page.fd])
        self._thread.start()

    # --- the thread that serves the lease ---

    def _serve(self, connection: socket.socket, lease: Lease) -> None:
        session = Session(self.core, self._page, connection, partial(self._answer, lease))
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
            self._connection = None
            connection.close()

    def _answer(self, lease: Lease, request: bytes) -> tuple[bytes, bool]:
        """The answer to a request of the lease's holder, and whether the connection stays open."""
        kind, goes_on = request[0], True
        try:
            if len(request) > protocol.MAX_MESSAGE:
                raise protocol.ProtocolError(f'more than {protocol.MAX_MESSAGE} bytes are too long')
            if kind == protocol.SET_PLAN:
                self.set_plan(lease.token, FrequencyPlan.from_json(request[1:]))
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
