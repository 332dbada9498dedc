"""Who may change clocks: one lease at a time.

A lease is claimed on a connection and ends with it. Through ROS, where a caller has no connection
yet, it is reserved first: the token then shows on the socket that the caller is the same.
"""

from __future__ import annotations

import hmac
import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import NamedTuple

RESERVATION_S = 5.0
"""How long a token from :meth:`LeaseBook.reserve` waits for its connection."""


class LeaseError(ValueError):
    """The lease is another client's or nobody's; the message says whose."""


class Peer(NamedTuple):
    """The other end of a connection, as the kernel vouches for it (SO_PEERCRED)."""

    pid: int
    uid: int
    gid: int


@dataclass(eq=False)
class Lease:
    """The right to change clocks.

    Attributes:
        client: name of the holder, for people.
        token: secret that shows the right in a request that does not come over the connection.
        peer: process, user and group at the other end of the connection.
        reason: why the lease ended; empty while it is held.
        since_s: when the lease began, on the monotonic clock.
    """

    client: str
    token: str
    peer: Peer
    reason: str = ''
    since_s: float = field(default_factory=time.monotonic)

    def __str__(self) -> str:
        return f'{self.client} (pid {self.peer.pid}, uid {self.peer.uid})'


class LeaseBook:
    """Grants at most one lease; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lease: Lease | None = None
        self._reserved = ('', '', 0.0)  # token, client, until
        self._refusal = ''

    @property
    def holder(self) -> Lease | None:
        """The lease that is held, if any."""
        return self._lease

    def refuse(self, reason: str) -> None:
        """Grant no lease, for this reason; an empty reason ends that."""
        self._refusal = reason

    def reserve(self, client: str) -> str:
        """Keep the lease for whoever presents the returned token within `RESERVATION_S`.

        Raises:
            LeaseError: the lease is held or reserved, or none is granted now.
        """
        _check_name(client)
        with self._lock:
            self._must_be_free('')
            token = secrets.token_hex(16)
            self._reserved = (token, client, time.monotonic() + RESERVATION_S)
            return token

    def claim(self, client: str, peer: Peer, token: str = '') -> Lease:
        """Take the lease.

        Raises:
            LeaseError: the lease is held or reserved by another, or none is granted now.
        """
        _check_name(client)
        with self._lock:
            self._must_be_free(token)
            if token and not hmac.compare_digest(token.encode(), self._reserved[0].encode()):
                raise LeaseError('this token is unknown or too old; acquire again')
            self._lease = Lease(client, token or secrets.token_hex(16), peer)
            self._reserved = ('', '', 0.0)
            return self._lease

    def check(self, token: str) -> Lease:
        """Return the lease that is held, if the token is its token.

        Raises:
            LeaseError: no lease is held, or the token is another's.
        """
        lease = self._lease
        if lease is None:
            raise LeaseError('no lease is held; acquire one first')
        if not hmac.compare_digest(token.encode(), lease.token.encode()):
            raise LeaseError(f'the lease is held by {lease}')
        return lease

    def end(self, lease: Lease, reason: str) -> None:
        """End a lease; ending one twice changes nothing."""
        with self._lock:
            if self._lease is lease:
                lease.reason = reason
                self._lease = None

    def _must_be_free(self, token: str) -> None:
        if self._refusal:
            raise LeaseError(self._refusal)
        if self._lease is not None:
            raise LeaseError(f'the lease is held by {self._lease}; one client at a time')
        reserved, client, until = self._reserved
        if not reserved:
            return
        if time.monotonic() >= until:
            self._reserved = ('', '', 0.0)
        elif not (token and hmac.compare_digest(token.encode(), reserved.encode())):
            raise LeaseError(f'the lease is reserved for {client}; try again later')


def _check_name(client: str) -> None:
    if not (0 < len(client) <= 200 and client.isprintable()):
        raise LeaseError('a client needs a printable name of at most 200 characters')
