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

"""Whether a server is there, which one, and what it offers: the robot asks it every second."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from e4_ros.offload import wire
from e4_ros.offload.exchange import EdgeConfig
from e4_ros.offload.link import Exchange
from e4_ros.offload.tls_check import handshake_problem
from e4_ros.offload.zenoh_link import ALIVE, HELLO, Came, query

_LOOK_CLOSER_S = 2.0  # between two questions, from which on it is looked why nobody answers

_QUICK, _QUICK_S = 4, 0.05
"""A new server is asked so often, that far apart: the first answer may have waited for the
connection, and what is sent next should not be what the clocks are compared by."""

_DOUBT = 'a request was not answered; the server is being asked whether it is there'


@dataclass(frozen=True)
class Presence:
    """What is known of the server.

    Attributes:
        up: whether it has answered lately.
        incarnation: random name of its start; empty for none.
        catalogue: what it offers; None where it has not answered.
        digest: digest of that.
        queue: requests that waited there.
        run_s: seconds that its services take.
        exchange: the last question that it has answered.
        trouble: why nothing can be sent; empty where something can.
    """

    up: bool = False
    incarnation: str = ''
    catalogue: wire.Catalogue | None = None
    digest: str = ''
    queue: int = 0
    run_s: Mapping[str, float] = field(default_factory=dict)
    exchange: Exchange | None = None
    trouble: str = 'not connected yet'

    @property
    def software(self) -> str:
        """Name and version of the server's program; empty where it has not answered."""
        return '' if self.catalogue is None else self.catalogue.software

    def down(self, trouble: str) -> Presence:
        """The same server, silent."""
        return replace(self, up=False, trouble=trouble)


@dataclass(frozen=True)
class Appeared:
    """Zenoh says that a server is there now, or no longer."""

    incarnation: str
    there: bool


Event = Appeared | Came


class Greeter:
    """Asks a server whether it is there, every second; a silent one ever more rarely.

    Zenoh says at once when a server appears or leaves; then it is asked at once.

    Args:
        session: the Zenoh session.
        config: name of the server, and how often it is asked.
        robot: random name of the client.
        put: takes events, from threads of Zenoh; the client hands them to `heard`.

    Attributes:
        doubts: why nothing should be sent although the server has not been found silent; empty
            where there are none.
    """

    def __init__(
        self, session: Any, config: EdgeConfig, robot: str, put: Callable[[Event], None]
    ) -> None:
        self._session, self._config, self._robot, self._put = session, config, robot, put
        self._numbers = itertools.count(1)
        self._asked: tuple[int, float, int] | None = None  # number, when, bytes
        self._other: Presence | None = None  # what another server has said to that
        self._next_s, self._pause_s = time.monotonic(), config.backoff_s[0]
        self._doubted_s, self.doubts = -math.inf, ''
        self._known, self._quick = '', 0
        self._alive = session.liveliness().declare_subscriber(
            f'{config.name}/{ALIVE}/*', self._appeared, history=True
        )

    @property
    def due_s(self) -> float:
        """`time.monotonic` when `tick` has something to do."""
        if self._asked is None:
            return self._next_s
        return self._asked[1] + self._config.hello_timeout_s

    def doubt(self) -> None:
        """A request was lost: ask now, and let nothing be sent before something has come back.

        What is asked now goes behind all that has been sent, so an answer says that the way is
        free again; sending on would only lengthen what waits before a slow link.
        """
        self.doubts, self._doubted_s = _DOUBT, time.monotonic()
        if self._asked is None:
            self._next_s = self._doubted_s

    def tick(self, now_s: float, presence: Presence) -> Presence:
        """Ask if it is time; find the server silent if it has not answered in time."""
        if self._asked is not None:
            if now_s < self._asked[1] + self._config.hello_timeout_s:
                return presence
            presence = self._silent(presence, 'does not answer')
        if now_s >= self._next_s:
            self._ask(presence)
        return presence

    def heard(self, event: Event, presence: Presence) -> Presence:
        """What an event says of the server."""
        if isinstance(event, Appeared):
            if event.there and not presence.up:
                self._pause_s, self._asked = self._config.backoff_s[0], None
                self._next_s = event_s = time.monotonic()
                return self.tick(event_s, presence)
            if not event.there and event.incarnation == presence.incarnation:
                self._again()
                return presence.down('the server is gone')
            return presence
        if self._asked is None or event.number != self._asked[0]:
            return presence  # from a question that was given up
        if event.fields is None:
            if self._other is not None:
                return self._found(self._other)
            return self._silent(presence, event.trouble)
        said = self._read(event, presence)
        if said.up and presence.up and said.incarnation != presence.incarnation:
            self._other = said  # taken if the one that we know says nothing
            return presence
        return self._found(said)

    def _found(self, said: Presence) -> Presence:
        assert self._asked is not None, 'somebody was asked'
        asked_s, self._asked, self._other = self._asked[1], None, None
        if not said.up:  # somebody is there, but not one of ours
            self._pause_s = self._next_s = self._config.backoff_s[1]
            self._next_s += time.monotonic()
            return said
        self._pause_s = self._config.backoff_s[0]
        if said.incarnation != self._known:
            self._known, self._quick = said.incarnation, _QUICK
        pause_s = _QUICK_S if self._quick else self._config.quiet_s
        self._quick = max(0, self._quick - 1)
        self._next_s = time.monotonic() + pause_s
        if asked_s >= self._doubted_s:
            self.doubts = ''
        elif self.doubts:
            self._next_s = time.monotonic()
        return said

    def _silent(self, presence: Presence, what: str) -> Presence:
        self._asked, self._other = None, None
        self._again()
        where = ', '.join(self._config.endpoints)
        said = f'the server {self._config.name} at {where} {what}'
        why = self._why_silent()
        return presence.down(f'{said}: {why}' if why else said)

    def _again(self) -> None:
        """Ask again after a pause, which doubles each time."""
        self._next_s = time.monotonic() + self._pause_s
        self._pause_s = min(2 * self._pause_s, self._config.backoff_s[1])

    def _read(self, event: Came, presence: Presence) -> Presence:
        assert self._asked is not None
        assert event.fields is not None
        try:
            reply = wire.opened(event.fields, wire.HelloReply)
            catalogue = presence.catalogue if reply.digest == presence.digest else None
            if event.payload or catalogue is None:
                catalogue = wire.parsed(event.payload, wire.Catalogue)
        except wire.WireError as error:
            return Presence(trouble=f'the server cannot be used: {error}')
        _, sent_s, size = self._asked
        times = Exchange(sent_s, reply.received_s, reply.replied_s, event.arrived_s, size)
        if not times.plausible:
            return Presence(trouble='the server cannot be used: it names times that cannot be')
        return Presence(
            True,
            reply.incarnation,
            catalogue,
            reply.digest,
            reply.queue,
            reply.run_s,
            times,
            '',
        )

    def _appeared(self, sample: Any) -> None:
        """In a thread of Zenoh."""
        there = str(sample.kind).endswith('PUT')
        self._put(Appeared(str(sample.key_expr).rsplit('/', 1)[-1], there))

    def _ask(self, presence: Presence) -> None:
        number = next(self._numbers)
        settled = presence.up and not self._quick and not self.doubts
        ballast = bytes(self._config.probe_bytes if settled and number % 2 else 0)
        fields = wire.seal(wire.HelloAsk(robot=self._robot, known=presence.digest))
        self._asked = number, time.monotonic(), len(ballast)
        query(
            self._session,
            f'{self._config.name}/{HELLO}',
            fields,
            ballast,
            self._config.hello_timeout_s,
            wire.MOST_CATALOGUE,
            (HELLO, number),
            self._put,
        )

    def _why_silent(self) -> str:
        """What TLS makes of it, where a server that should be there has been silent for long."""
        if self._config.tls is None or self._pause_s < _LOOK_CLOSER_S:
            return ''
        return handshake_problem(self._config.endpoints[0], self._config.tls)
