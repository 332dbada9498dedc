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

"""The robot's side: it asks an edge server and never waits for it."""

from __future__ import annotations

import itertools
import logging
import queue
import secrets
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from e4_ros import extras
from e4_ros.offload import wire
from e4_ros.offload.codec import CodecError
from e4_ros.offload.exchange import (
    ANSWERED,
    EXPIRED,
    LOST,
    REFUSED,
    Answer,
    EdgeConfig,
    Offers,
    Request,
)
from e4_ros.offload.greeting import Greeter, Presence
from e4_ros.offload.link import Exchange, LinkEstimator
from e4_ros.offload.match import Match
from e4_ros.offload.packing import Packed, packed
from e4_ros.offload.request import FEATURES, LinkState, Offload, ServerState
from e4_ros.offload.zenoh_link import ASK, open_session

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


@dataclass(frozen=True)
class _Came:
    """What a thread of Zenoh hands over: something came back, or nothing will."""

    number: int
    arrived_s: float
    fields: bytes | None = None
    payload: bytes = b''
    trouble: str = ''


class EdgeClient:
    """Sends frames or features to an edge server and keeps what comes back.

    Packing, sending and reading happen in a thread of its own; what is called from outside returns
    at once and does not raise whatever the network does. Each camera has one request on its way.

    Args:
        config: where the server is.
        offers: what the robot itself runs.
    """

    def __init__(self, config: EdgeConfig, offers: Offers):
        self._config, self._match = config, Match(offers)
        self._robot = secrets.token_hex(8)
        self._inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()  # over what other threads read: the next four
        self._busy: dict[str, float] = {}
        self._answers: dict[str, list[Answer]] = defaultdict(list)
        self._counts: Counter[str] = Counter()
        self._estimator = LinkEstimator()
        self._server = ServerState()
        self._presence = Presence()
        self._sent: dict[int, _Sent] = {}
        self._thread: threading.Thread | None = None
        self._session: Any = None
        self._greeter: Greeter | None = None
        self._trouble = 'the client was not started'

    def start(self) -> None:
        """Connect, in the client's own thread, and again whenever that is needed.

        Raises:
            MissingExtraError: Zenoh is not installed.
        """
        extras.require('edge', 'a robot that asks an edge server')
        self._trouble = 'not connected yet'
        self._thread = threading.Thread(target=self._run, name='edge-client', daemon=True)
        self._thread.start()

    def close(self, timeout_s: float = 2.0) -> None:
        """Forget what is on its way, and be gone; what has come can still be taken."""
        if self._thread is not None:
            self._inbox.put(None)
            self._thread.join(timeout_s)
            self._thread = None
        self._trouble = 'the client is closed'

    def __enter__(self) -> EdgeClient:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def link(self) -> LinkState:
        """What is known of the way to the server."""
        with self._lock:
            return self._estimator.state(time.monotonic())

    @property
    def server(self) -> ServerState:
        """What the server offers, and how busy it is; nothing while it does not answer."""
        return self._server

    @property
    def counts(self) -> Mapping[str, int]:
        """Requests `sent`, `answered`, of those `late`, `expired`, `refused`, `lost`; `bytes`."""
        names = ('sent', ANSWERED, 'late', EXPIRED, REFUSED, LOST, 'bytes')
        with self._lock:
            return {name: self._counts[name] for name in names}

    def refusal(self, offload: Offload, camera: str = '') -> str:
        """Why this cannot be sent now, in a sentence; empty where it can."""
        if self._trouble:
            return self._trouble
        if reason := self._match.refusal(offload):
            return reason
        if camera in self._busy:
            return 'the request before is still on its way'
        return ''

    def send(self, request: Request) -> bool:
        """Hand over a request, to be packed and sent by the client's thread.

        Returns:
            Whether it was taken; `refusal` says why not. What was taken has an `Answer` to come.
        """
        if self.refusal(request.offload, request.camera):
            return False
        if request.tensors is not None:
            tensors = {name: np.array(each) for name, each in request.tensors.items()}
            request = replace(request, tensors=tensors)
        with self._lock:
            if request.camera in self._busy:
                return False
            self._busy[request.camera] = request.stamp_s
        self._inbox.put(request)
        return True

    def take(self, camera: str = '') -> list[Answer]:
        """What has come for a camera since the last call, in that order, late ones too."""
        with self._lock:
            return self._answers.pop(camera, [])

    def facts(self) -> dict[str, str]:
        """What a person wants to know of the server and the way there."""
        link, presence = self.link, self._presence
        facts = {
            'endpoints': ', '.join(self._config.endpoints),
            'state': self._trouble or 'connected',
            'software': presence.software,
            'incarnation': presence.incarnation,
            'services': ', '.join(self._match.usable) or 'none',
            'rate_mbps': f'{link.rate_bps[1] / 1e6:.2f}',
            'round_trip_ms': f'{link.round_trip_s * 1e3:.2f}',
            'loss': f'{link.loss:.2f}',
        }
        facts |= {f'not {name}': reason for name, reason in self._match.refused.items()}
        return facts | {name: str(count) for name, count in self.counts.items()}

    # From here on all is done by the client's own thread.

    def _run(self) -> None:
        try:
            config = self._config
            self._session = open_session(config.most_bytes, config.tls, connect=config.endpoints)
            self._greeter = Greeter(self._session, config, self._robot, self._inbox.put)
            self._greet_until_closed(self._greeter)
        except Exception as error:  # a robot goes on without its server
            self._trouble = f'the client has stopped: {error}'
            _log.exception('the client of the edge server has stopped')
        finally:
            self._server = ServerState()
            for number in list(self._sent):
                self._ended(number, LOST, 'the client is closed')
            if self._session is not None:
                self._session.close()

    def _greet_until_closed(self, greeter: Greeter) -> None:
        while True:
            self._look_after(greeter)
            try:
                event = self._inbox.get(timeout=self._pause_s(greeter))
            except queue.Empty:
                continue
            if event is None:
                return
            if isinstance(event, Request):
                self._send(event)
            elif isinstance(event, _Came):
                self._came(event)
            else:
                self._presence_changed(greeter.heard(event, self._presence), greeter)

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
                self._ended(number, LOST, 'no answer came')
                greeter.doubt()
        self._presence_changed(greeter.tick(now_s, self._presence), greeter)

    def _presence_changed(self, found: Presence, greeter: Greeter) -> None:
        """Take over what was learnt about the server: other services, another start, silence."""
        before, self._presence = self._presence, found
        if found.catalogue is not before.catalogue:
            self._match.take(found.catalogue)
        with self._lock:
            if found.incarnation != before.incarnation:
                self._estimator.new_server()
            if found.exchange is not None and found.exchange is not before.exchange:
                self._estimator.came_back(found.exchange, request=False)
            self._estimator.set_up(found.up, time.monotonic())
        self._trouble = found.trouble or greeter.doubts
        if not found.up:
            self._server = ServerState()
            for number, sent in list(self._sent.items()):
                if found.incarnation != sent.incarnation:
                    self._ended(number, LOST, 'the server is gone')
        elif found is not before:
            last = self._server
            self._server = ServerState(
                self._match.hashes,
                self._match.cuts,
                found.queue,
                last.wait_s,
                {**last.run_s, **found.run_s},
            )

    def _send(self, request: Request) -> None:
        began_s = time.monotonic()
        reason, message = self._trouble, None
        if not reason:
            try:
                message = packed(request)
                limit = self._match.most_bytes
                if len(message.payload) > limit:
                    reason = f'{len(message.payload)} bytes, the server takes {limit}'
            except CodecError as error:
                reason = str(error)
        if reason or message is None:
            self._finished(request, REFUSED, reason=reason)
            return
        sent_s = time.monotonic()
        left_s = request.deadline_s - sent_s
        if left_s <= 0:
            self._finished(request, EXPIRED, reason='its deadline was over before it was sent')
            return
        number, incarnation = next(self._numbers), self._presence.incarnation
        self._sent[number] = _Sent(request, message, sent_s - began_s, sent_s, incarnation)
        fields = wire.seal(message.ask(number, self._robot, left_s))
        with self._lock:
            self._counts['sent'] += 1
            self._counts['bytes'] += len(message.payload) + len(fields)
        self._get(number, incarnation, fields, message.payload, left_s)

    def _get(
        self, number: int, incarnation: str, fields: bytes, payload: bytes, left_s: float
    ) -> None:
        import zenoh

        most = self._config.most_bytes

        def came(reply: Any) -> None:  # in a thread of Zenoh
            arrived_s = time.monotonic()
            sample = reply.ok
            if sample is None:
                self._inbox.put(_Came(number, arrived_s, trouble='the transport gave it up'))
                return
            given = sample.attachment
            if given is None or len(given) > wire.MOST_FIELDS or len(sample.payload) > most:
                self._inbox.put(_Came(number, arrived_s, trouble='a reply that is too large'))
                return
            read = given.to_bytes(), sample.payload.to_bytes()
            self._inbox.put(_Came(number, arrived_s, *read))

        def done() -> None:  # the last thing that Zenoh says of it, whether something came or not
            self._inbox.put(_Came(number, time.monotonic(), trouble='nobody has answered'))

        try:
            self._session.get(
                f'{self._config.name}/{ASK}/{incarnation}',
                zenoh.handlers.Callback(came, done, indirect=False),
                payload=payload,
                attachment=fields,
                timeout=left_s + self._config.patience_s,
                consolidation=zenoh.ConsolidationMode.NONE,
                express=True,
            )
        except zenoh.ZError as error:
            self._ended(number, LOST, f'it could not be sent: {error}')

    def _came(self, came: _Came) -> None:
        sent = self._sent.get(came.number)
        if sent is None:
            return  # it was given up, or this is the end of what has come already
        if came.fields is None:
            self._ended(came.number, LOST, came.trouble)
            if self._greeter is not None:
                self._greeter.doubt()
            return
        try:
            reply = wire.opened(came.fields, wire.Reply)
            if reply.id not in (came.number, 0):
                raise wire.WireError(f'an answer to request {reply.id} came for {came.number}')
            found = None
            if reply.status == ANSWERED:
                found = self._match.answer(came.payload, sent.request.offload.service)
        except wire.WireError as error:
            self._ended(came.number, REFUSED, f'the server sent garbage: {error}')
            return
        size = len(sent.message.payload)
        times = Exchange(sent.sent_s, reply.received_s, reply.replied_s, came.arrived_s, size)
        with self._lock:
            self._estimator.came_back(times, request=True)
            legs = self._estimator.legs(times, sent.encode_s, reply.queue_s, reply.run_s)
        self._note_load(sent.request.offload, reply)
        del self._sent[came.number]
        self._finished(sent.request, reply.status, found, legs, size, came.arrived_s, reply.reason)

    def _note_load(self, offload: Offload, reply: wire.Reply) -> None:
        if reply.status != ANSWERED or not self._server.services:
            return
        key = offload.cut if offload.form == FEATURES else offload.service
        run_s = {**self._server.run_s, key: reply.run_s}
        self._server = replace(self._server, queue=reply.queue, wait_s=reply.queue_s, run_s=run_s)

    def _ended(self, number: int, status: str, reason: str) -> None:
        """A request that was sent ends without an answer."""
        sent, now_s = self._sent.pop(number), time.monotonic()
        size = len(sent.message.payload)
        if status == LOST:
            with self._lock:
                self._estimator.lost(size, now_s - sent.sent_s, now_s)
        self._finished(sent.request, status, sent_bytes=size, reason=reason)

    def _finished(
        self,
        request: Request,
        status: str,
        found: Any = None,
        legs_s: Mapping[str, float] | None = None,
        sent_bytes: int = 0,
        arrived_s: float | None = None,
        reason: str = '',
    ) -> None:
        at_s = time.monotonic() if arrived_s is None else arrived_s
        late = at_s > request.deadline_s
        answer = Answer(
            request.stamp_s,
            status,
            found,
            late,
            legs_s or {},
            sent_bytes,
            request.offload.service,
            at_s,
            reason,
            request.camera,
        )
        with self._lock:
            self._counts[status] += 1
            self._counts['late'] += status == ANSWERED and late
            self._busy.pop(request.camera, None)
            self._answers[request.camera].append(answer)
