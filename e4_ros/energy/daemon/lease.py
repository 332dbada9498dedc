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

"""Who may change clocks: several clients at a time, or one alone.

A lease is claimed on a connection and ends with it. Leases share the clocks, each domain at the
highest frequency that one of them wants; an exclusive lease, as measuring needs it, shares with
nobody.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from e4_ros.energy.client.status_page import MAX_LEASES, StepCounters

if TYPE_CHECKING:
    from e4_ros.energy.daemon.compiled_plan import Target
    from e4_ros.energy.plan import FrequencyPlan


MAX_OF_ONE_USER = MAX_LEASES - 4
"""Leases that one user may hold, so that he does not keep all others out."""


class LeaseError(ValueError):
    """No lease is granted; the message says why."""


class LeaseHeld(LeaseError):  # noqa: N818
    """No lease is granted as long as others hold theirs; the message says who they are."""


class Peer(NamedTuple):
    """The other end of a connection, as the kernel vouches for it (SO_PEERCRED)."""

    pid: int
    uid: int
    gid: int


@dataclass(eq=False)
class Lease:
    """The right to change clocks, and what its holder wants of them.

    What follows ``since_s`` is the core's and changes under its lock.

    Attributes:
        client: name of the holder, for people.
        peer: process, user and group at the other end of the connection.
        exclusive: whether nobody else may hold a lease meanwhile.
        cpus: how many CPUs it needs; 0: all.
        reason: why the lease ended; empty while it is held.
        since_s: when the lease began, on the monotonic clock.
        plan: the plan in force; None before there is one.
        table: targets of the plan by exit index and segment index.
        awake: whether clocks are acquired for it: from its plan or step on, until it rests.
        target: what its last step wants; None before the first, and while it rests.
        rests_since_s: when it last began to rest, or when it began, on the monotonic clock.
        failures: steps in a row that failed and were rolled back.
        steps: counters of its steps on the status page.
    """

    client: str
    peer: Peer
    exclusive: bool = False
    cpus: int = 0
    reason: str = ''
    since_s: float = field(default_factory=time.monotonic)
    plan: FrequencyPlan | None = None
    table: list[list[Target | None]] = field(default_factory=list)
    awake: bool = False
    target: Target | None = None
    rests_since_s: float = field(default_factory=time.monotonic)
    failures: int = 0
    steps: StepCounters = field(init=False)

    def rest(self) -> None:
        """Want nothing until the next step."""
        self.awake, self.target = False, None
        self.rests_since_s = time.monotonic()

    def is_idle(self, idle_s: float) -> bool:
        """Whether its holder, which may have been stopped, has wanted nothing for so long."""
        return not self.awake and time.monotonic() - self.rests_since_s >= idle_s

    def __str__(self) -> str:
        return f'{self.client} (pid {self.peer.pid}, uid {self.peer.uid})'


class LeaseBook:
    """Says who may hold a lease; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: tuple[Lease, ...] = ()
        self._refusal = ''

    @property
    def held(self) -> tuple[Lease, ...]:
        """The leases that are held, the oldest first."""
        return self._held

    def refuse(self, reason: str) -> None:
        """Grant no lease, for this reason; an empty reason ends that."""
        self._refusal = reason

    def check(self, client: str, exclusive: bool = False) -> None:
        """Raise what :meth:`claim` would raise now."""
        if not (0 < len(client) <= 200 and client.isprintable()):
            raise LeaseError('a client needs a printable name of at most 200 characters')
        if self._refusal:
            raise LeaseError(self._refusal)
        held = self._held
        if held and held[0].exclusive:
            raise LeaseHeld(f'{held[0]} needs the clocks alone; try again when it has ended')
        if exclusive and held:
            raise LeaseHeld(
                f'{client} needs the clocks alone, and {_names(held)} '
                f'hold{"s" if len(held) == 1 else ""} a lease; end that first, or wait for it'
            )
        if len(held) >= MAX_LEASES:
            raise LeaseHeld(f'{MAX_LEASES} clients hold a lease, and no more can: {_names(held)}')

    def claim(self, client: str, peer: Peer, exclusive: bool = False, cpus: int = 0) -> Lease:
        """Take a lease; the last arguments are its attributes.

        Raises:
            LeaseHeld: what others hold leaves no room for it.
            LeaseError: the name is none, or no lease is granted now.
        """
        with self._lock:
            self.check(client, exclusive)
            if _count(self._held, peer.uid) >= MAX_OF_ONE_USER:
                raise LeaseHeld(
                    f'user {peer.uid} holds {MAX_OF_ONE_USER} leases, and the others are for other '
                    f'users: {_names(self._held)}'
                )
            lease = Lease(client, peer, exclusive, cpus)
            self._held = (*self._held, lease)
            return lease

    def in_the_way(
        self, exclusive: bool, idle_s: float, uid: int | None = None
    ) -> tuple[Lease, ...]:
        """Idle leases whose end would make room for another one; none where that is not enough.

        Args:
            exclusive: whether the other one would be exclusive.
            idle_s: seconds without a step after which a lease is idle.
            uid: user of the other one; None: not known.
        """
        held = self._held
        idle = tuple(lease for lease in held if lease.is_idle(idle_s))
        if exclusive or any(lease.exclusive for lease in held):
            return idle if len(idle) == len(held) else ()
        if _count(held, uid) >= MAX_OF_ONE_USER:
            idle = tuple(lease for lease in idle if lease.peer.uid == uid)
        return idle[:1]

    def end(self, lease: Lease, reason: str) -> None:
        """End a lease; ending one twice changes nothing."""
        with self._lock:
            if lease in self._held:
                lease.reason = reason
                self._held = tuple(other for other in self._held if other is not lease)


def _count(leases: tuple[Lease, ...], uid: int | None) -> int:
    return sum(lease.peer.uid == uid for lease in leases)


def _names(leases: tuple[Lease, ...]) -> str:
    return ', '.join(map(str, leases))
