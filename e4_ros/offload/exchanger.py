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

"""What the client's own thread does: pack, send, read, give up, see whether a server is there."""

from __future__ import annotations

import itertools
import logging
import queue
import secrets
import threading
import time
from dataclasses import dataclass, replace
from typing import Any

from e4_ros.offload import wire
from e4_ros.offload.codec import CodecError
from e4_ros.offload.exchange import (
    ANSWERED,
    EXPIRED,
    LOST,
    REFUSED,
    EdgeConfig,
    Offers,
    Request,
)
from e4_ros.offload.greeting import Appeared, Greeter, Presence
from e4_ros.offload.ledger import Ledger
from e4_ros.offload.link import Exchange, LinkEstimator
from e4_ros.offload.match import Match
from e4_ros.offload.packing import Packed, packed
from e4_ros.offload.request import FEATURES, LinkState, Offload, ServerState
from e4_ros.offload.zenoh_link import ASK, Came, open_session, query

_log = logging.getLogger(__name__)

_TICK_S = 0.25


@dataclass
class _Sent:
    """A request on its way."""

    request: Request
    message: Packed
    encode_s: float
    sent_s: float
    incarnation: str

    @property
    def size(self) -> int:
        return len(self.message.payload)


class Exchanger:
    """Runs in a thread of its own; its attributes are replaced as a whole and read by others.

    Args:
        config: where the server is.
        offers: what the robot itself runs.

    Attributes:
        ledger: requests and answers.
        match: which of the server's services fit.
        presence: what is known of the server.
        server: what controllers are told of it.
        trouble: why nothing can be sent; empty where something can.
    """

    def __init__(self, config: EdgeConfig, offers: Offers):
        self.ledger, self.match = Ledger(), Match(offers)
        self.presence, self.server = Presence(), ServerState()
        self.trouble = 'the client was not started'
        self._config = config
        self._robot = secrets.token_hex(8)
        self._inbox: queue.SimpleQueue[Request | Came | Appeared | None] = queue.SimpleQueue()
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()  # over the estimator
        self._estimator = LinkEstimator()
        self._sent: dict[int, _Sent] = {}

    def put(self, request: Request) -> None:
        """Hand over a request."""
        self._inbox.put(request)

    def stop(self) -> None:
        """Let the thread end."""
        self._inbox.put(None)

    def link(self) -> LinkState:
        """What is known of the way to the server."""
        with self._lock:
            return self._estimator.state(time.monotonic())

    def run(self) -> None:
        """Work until stopped."""
        session: Any = None
        why = 'the client is closed'
        try:
            config = self._config
            session = open_session(config.most_bytes, config.tls, connect=config.endpoints)
            self._work(session, Greeter(session, config, self._robot, self._inbox.put))
        except Exception as error:  # a robot goes on without its server
            why = f'the client has stopped: {error}'
            _log.exception('the client of the edge server has stopped')
        finally:
            self.trouble, self.server = why, ServerState()
            with self._lock:
                self._estimator.set_up(False, time.monotonic())
            for number in list(self._sent):
                self._lost(number, why)
            self._refuse_waiting(why)
            if session is not None:
                session.close()

    def _refuse_waiting(self, why: str) -> None:
        while True:
            try:
                event = self._inbox.get_nowait()
            except queue.Empty:
                return
            if isinstance(event, Request):
                self.ledger.end(event, REFUSED, reason=why)

    def _work(self, session: Any, greeter: Greeter) -> None:
        while True:
            self._look_after(greeter)
            try:
                event = self._inbox.get(timeout=self._pause_s(greeter))
            except queue.Empty:
                continue
            if event is None:
                return
            if isinstance(event, Request):
                self._send(session, event)
            elif isinstance(event, Came) and event.what == ASK:
                if not self._came(event):
                    greeter.doubt()
            else:
                self._take_over(greeter.heard(event, self.presence), greeter)

    def _pause_s(self, greeter: Greeter) -> float:
        now_s = time.monotonic()
        ends = [self._gives_up_s(sent) for sent in self._sent.values()]
        return max(0.0, min([greeter.due_s, now_s + _TICK_S, *ends]) - now_s)

    def _gives_up_s(self, sent: _Sent) -> float:
        return max(sent.request.deadline_s, sent.sent_s) + self._config.patience_s

    def _look_after(self, greeter: Greeter) -> None:
        """Give up what was silent for too long; ask who is there when it is time."""
        now_s = time.monotonic()
        for number, sent in list(self._sent.items()):
            if now_s >= self._gives_up_s(sent):
                self._lost(number, 'no answer came')
                greeter.doubt()
        self._take_over(greeter.tick(now_s, self.presence), greeter)

    def _take_over(self, found: Presence, greeter: Greeter) -> None:
        """Take over what was learnt about the server: other services, another start, silence."""
        before, self.presence = self.presence, found
        if found.catalogue is not before.catalogue:
            match = Match(self.match.offers)
            match.take(found.catalogue)
            self.match = match
        with self._lock:
            if found.incarnation != before.incarnation:
                self._estimator.new_server()
            if found.exchange is not None and found.exchange is not before.exchange:
                self._estimator.came_back(found.exchange, request=False)
            self._estimator.set_up(found.up, time.monotonic())
        if not found.up or found.incarnation != before.incarnation:
            self.server = ServerState()
            for number, sent in list(self._sent.items()):
                if not found.up or found.incarnation != sent.incarnation:
                    self._lost(number, 'the server is gone')
        if found.up and found is not before:
            run_s = {**self.server.run_s, **found.run_s}
            self.server = ServerState(
                self.match.hashes, self.match.cuts, found.queue, self.server.wait_s, run_s
            )
        self.trouble = found.trouble or greeter.doubts

    def _send(self, session: Any, request: Request) -> None:
        began_s = time.monotonic()
        reason, message = self.trouble, None
        if not reason:
            try:
                message = packed(request)
            except (CodecError, ValueError) as error:
                reason = str(error)
        limit = min(self.match.most_bytes, self._config.most_bytes)
        if message is not None and len(message.payload) > limit:
            reason = f'it has {len(message.payload)} bytes, and {limit} may be sent'
        if reason or message is None:
            self.ledger.end(request, REFUSED, reason=reason)
            return
        sent_s = time.monotonic()
        left_s = request.deadline_s - sent_s
        if left_s <= 0:
            why = 'its deadline was over before it was sent'
            self.ledger.end(request, EXPIRED, reason=why)
            return
        number, incarnation = next(self._numbers), self.presence.incarnation
        self._sent[number] = _Sent(request, message, sent_s - began_s, sent_s, incarnation)
        fields = wire.seal(message.ask(number, self._robot, left_s))
        self.ledger.sent(len(message.payload) + len(fields))
        query(
            session,
            f'{self._config.name}/{ASK}/{incarnation}',
            fields,
            message.payload,
            left_s + self._config.patience_s + _TICK_S,  # who gives up first is this thread
            self._config.most_bytes,
            (ASK, number),
            self._inbox.put,
        )

    def _came(self, came: Came) -> bool:
        """Take what came for a request; false where it is nothing, and will stay so."""
        sent = self._sent.get(came.number)
        if sent is None:
            return True  # it was given up, or this is the end of what has come already
        if came.fields is None:
            self._lost(came.number, f'the server {came.trouble}')
            return False
        del self._sent[came.number]
        offload = sent.request.offload
        try:
            reply = wire.opened(came.fields, wire.Reply)
            if reply.id not in (came.number, 0):
                raise wire.WireError(f'an answer to request {reply.id} came for {came.number}')
            times = Exchange(
                sent.sent_s, reply.received_s, reply.replied_s, came.arrived_s, sent.size
            )
            if not times.plausible or min(reply.queue_s, reply.run_s) < 0:
                raise wire.WireError('times that cannot be')
            answered = reply.status == ANSWERED
            found = self.match.answer(came.payload, offload.service) if answered else None
        except wire.WireError as error:
            why = f'the server sent garbage: {error}'
            self.ledger.end(sent.request, REFUSED, sent_bytes=sent.size, reason=why)
            return True
        with self._lock:
            self._estimator.came_back(times, request=True)
            legs = self._estimator.legs(times, sent.encode_s, reply.queue_s, reply.run_s)
        self._note_load(offload, reply)
        end = reply.status, found, legs, sent.size, came.arrived_s, reply.reason
        self.ledger.end(sent.request, *end)
        return True

    def _note_load(self, offload: Offload, reply: wire.Reply) -> None:
        if reply.status != ANSWERED or not self.server.services:
            return
        key = offload.cut if offload.form == FEATURES else offload.service
        run_s = {**self.server.run_s, key: reply.run_s}
        self.server = replace(self.server, queue=reply.queue, wait_s=reply.queue_s, run_s=run_s)

    def _lost(self, number: int, reason: str) -> None:
        """A request that was sent ends without an answer."""
        sent, now_s = self._sent.pop(number), time.monotonic()
        with self._lock:
            self._estimator.lost(sent.size, now_s - sent.sent_s, now_s)
        self.ledger.end(sent.request, LOST, sent_bytes=sent.size, reason=reason)
