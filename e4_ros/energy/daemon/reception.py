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

"""Connections before their first message: one thread accepts them and sees that none crowd out.

Each user may have a few that say nothing yet, and his requests may take a share of the daemon's
time; beyond that only his own wait or are turned away, and they are told why. A client that speaks
when it connects, as ours do, never waits for one that does not.
"""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from e4_ros.energy.client import protocol
from e4_ros.energy.daemon import access
from e4_ros.energy.daemon.lease import Peer

_log = logging.getLogger(__name__)

HELLO_S = 2.0
"""Longest time in seconds from a connection to its first message."""

MAX_WAITING = 8
"""Connections of one user that may wait for their first message, or for its turn."""

_MAX_WAITING_IN_ALL = 64
_SHARE = 0.2  # of one processor, for the requests of one user
_AHEAD_S = 1.0  # how long a user may have his share in advance


class Shares:
    """How much of a processor each user's requests take; for use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._used_until_s: dict[int, float] = {}

    def wait_s(self, uid: int) -> float:
        """Seconds until the next request of a user is due; 0 or less: it is."""
        return self._used_until_s.get(uid, 0.0) - _AHEAD_S - time.monotonic()

    @contextlib.contextmanager
    def charged_to(self, uid: int) -> Iterator[None]:
        """Charge what the ``with`` block computes to a user; waiting for locks costs nothing."""
        began = time.thread_time()
        try:
            yield
        finally:
            took = time.thread_time() - began
            with self._lock:
                used = max(self._used_until_s.get(uid, 0.0), time.monotonic())
                self._used_until_s[uid] = used + took / _SHARE


@dataclass
class _Waiting:
    peer: Peer
    until_s: float
    spoke: bool = False


class Reception:
    """Accepts connections in a thread of its own, and hands over those that have said something.

    Args:
        listener: listening socket, closed by :meth:`stop`.
        gid: number of the group whose members may talk besides root and this user; None: nobody.
        shares: what the requests of each user have taken.
        greet: called in the thread with a connection whose first message is there, and its peer.
    """

    def __init__(
        self,
        listener: socket.socket,
        gid: int | None,
        shares: Shares,
        greet: Callable[[socket.socket, Peer], None],
    ) -> None:
        self._listener = listener
        self._gid = gid
        self._shares = shares
        self._greet = greet
        self._waiting: dict[socket.socket, _Waiting] = {}  # the oldest first
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name='e4-accept', daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Accept nobody any more, and hang up on who has not been greeted. May be called twice."""
        self._wake.close()
        self._thread.join()

    def _run(self) -> None:
        with self._selector, self._listener, self._woken:
            self._listener.setblocking(False)
            self._selector.register(self._listener, selectors.EVENT_READ)
            self._selector.register(self._woken, selectors.EVENT_READ)
            while True:
                ready = [key.fileobj for key, _ in self._selector.select(self._patience_s())]
                if self._woken in ready:
                    break
                for connection in self._waiting.keys() & set(ready):
                    self._waiting[connection].spoke = True
                    self._selector.unregister(connection)
                if self._listener in ready:
                    self._accept()
                self._look_through()
            for connection in self._waiting:
                connection.close()

    def _patience_s(self) -> float | None:
        """How long nothing needs to be done unless somebody speaks."""
        waits = [
            self._shares.wait_s(one.peer.uid) if one.spoke else one.until_s - time.monotonic()
            for one in self._waiting.values()
        ]
        return max(0.0, min(waits)) if waits else None

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError as error:
            _log.warning('a connection was lost: %s', error)
            return
        peer = access.peer_of(connection)
        with self._shares.charged_to(peer.uid):
            if not access.may_talk(connection, self._gid):
                _turn_away(connection, f'user {peer.uid} is not in the group that may ask')
                return
            self._make_room(peer.uid)
            self._waiting[connection] = _Waiting(peer, time.monotonic() + HELLO_S)
            self._selector.register(connection, selectors.EVENT_READ)

    def _make_room(self, uid: int) -> None:
        """Turn away the oldest of a user who has too many; if all have, of him who has most."""
        count = Counter(one.peer.uid for one in self._waiting.values())
        if count[uid] < MAX_WAITING:
            if count.total() < _MAX_WAITING_IN_ALL:
                return
            uid = count.most_common(1)[0][0]
        oldest = next(c for c, one in self._waiting.items() if one.peer.uid == uid)
        self._leave(oldest)
        _turn_away(
            oldest,
            f'user {uid} has more than {MAX_WAITING} connections that wait; this was the oldest',
        )

    def _look_through(self) -> None:
        """Greet who spoke and is due; turn away who has said nothing for too long."""
        for connection, one in list(self._waiting.items()):
            if one.spoke and self._shares.wait_s(one.peer.uid) <= 0:
                self._leave(connection)
                with self._shares.charged_to(one.peer.uid):
                    self._greet_safely(connection, one.peer)
            elif not one.spoke and one.until_s < time.monotonic():
                self._leave(connection)
                _turn_away(connection, f'nothing was said for {HELLO_S:g} s')

    def _greet_safely(self, connection: socket.socket, peer: Peer) -> None:
        try:
            self._greet(connection, peer)
        except Exception:  # whatever one client has brought about, the next one is greeted
            _log.exception('a connection of user %d was given up', peer.uid)
            connection.close()

    def _leave(self, connection: socket.socket) -> None:
        if not self._waiting.pop(connection).spoke:
            self._selector.unregister(connection)


def _turn_away(connection: socket.socket, reason: str) -> None:
    """Hang up, and say why; who has unread messages would see a reset instead of the reason."""
    with contextlib.suppress(OSError):
        connection.recv(protocol.MAX_MESSAGE, socket.MSG_DONTWAIT)
    with contextlib.suppress(OSError):
        connection.send(protocol.pack_refusal(reason), socket.MSG_DONTWAIT)
    connection.close()
