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

"""An edge server: takes requests from Zenoh, checks, orders and answers them."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from e4_ros import __version__
from e4_ros.offload import wire
from e4_ros.offload.codec import CODECS, CodecError
from e4_ros.offload.exchange import (
    ANSWERED,
    EXPIRED,
    REFUSED,
    TlsFiles,
    check_endpoints,
    check_name,
)
from e4_ros.offload.request import TAIL
from e4_ros.offload.server.metrics import Metrics
from e4_ros.offload.server.service import Service, in_source
from e4_ros.offload.server.unpacking import RefusedError, check_ask, work_of
from e4_ros.offload.server.waiting import EarliestFirst
from e4_ros.offload.zenoh_link import ALIVE, ASK, HELLO, open_session

_LONGEST_S = 60.0
"""However much time a robot says it has, its request waits no longer."""


@dataclass(frozen=True)
class ServerConfig:
    """How a server is reached.

    Attributes:
        listen: endpoints, ``tcp/host:port`` or ``tls/host:port``, all of one kind.
        name: the beginning of its keys; robots ask for it by this name.
        tls: files for ``tls/``; needed there, and refused elsewhere.
        most_bytes: largest request that is taken.
        most_waiting: requests that may wait.
        workers: threads that compute.
    """

    listen: tuple[str, ...]
    name: str = 'e4'
    tls: TlsFiles | None = None
    most_bytes: int = 8 << 20
    most_waiting: int = 64
    workers: int = 1

    def __post_init__(self) -> None:
        check_endpoints(self.listen, self.tls)
        check_name(self.name)
        if min(self.most_bytes, self.most_waiting, self.workers) < 1:
            raise ValueError('limits and numbers of threads of a server are 1 or more')


@dataclass
class _Job:
    query: Any
    ask: wire.Ask
    payload: bytes
    received_s: float

    @property
    def key(self) -> str:
        """Service, and cut for tails: what can be computed together."""
        return f'{self.ask.service}/{self.ask.cut}'


class EdgeServer:
    """Answers robots, the earliest deadline first; what is over is not computed.

    Args:
        services: services by name.
        config: how it is reached.
        now: time source in seconds; robots need not have the same.

    Attributes:
        incarnation: random name of this start.
        metrics: what it has done.
    """

    def __init__(
        self,
        services: Mapping[str, Service],
        config: ServerConfig,
        now: Callable[[], float] = time.monotonic,
    ):
        self.incarnation = secrets.token_hex(8)
        self.metrics = Metrics()
        self._services, self._config, self._now = dict(services), config, now
        self._catalogue = _catalogue(self._services, config.most_bytes).model_dump_json().encode()
        self._digest = sha256(self._catalogue).hexdigest()[:32]
        self._waiting: EarliestFirst[_Job] = EarliestFirst(config.most_waiting, now)
        self._workers: list[threading.Thread] = []
        self._session: Any = None

    @property
    def waiting(self) -> int:
        """Requests that wait now."""
        return len(self._waiting)

    def start(self) -> None:
        """Listen, and compute from now on.

        Raises:
            OSError: nobody can listen there.
            MissingExtraError: Zenoh is not installed.
        """
        config = self._config
        self._session = open_session(config.most_bytes, config.tls, listen=config.listen)
        for number in range(config.workers):
            worker = threading.Thread(target=self._work, name=f'edge-{number}', daemon=True)
            worker.start()
            self._workers.append(worker)
        ask = f'{config.name}/{ASK}/{self.incarnation}'
        self._ask_key, self._hello_key = ask, f'{config.name}/{HELLO}'
        self._kept = [
            self._session.declare_queryable(ask, self._on_ask),
            self._session.declare_queryable(self._hello_key, self._on_hello),
            self._session.liveliness().declare_token(f'{config.name}/{ALIVE}/{self.incarnation}'),
        ]

    def close(self, timeout_s: float = 5.0) -> None:
        """Refuse what waits, end what is computed, and be gone."""
        for job in self._waiting.close():
            self._reply(job, REFUSED, reason='the server is being stopped')
        for worker in self._workers:
            worker.join(timeout_s)
        if self._session is not None:
            self._session.close()
            self._session = None

    def __enter__(self) -> EdgeServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _on_hello(self, query: Any) -> None:
        """In a thread of Zenoh."""
        received_s = self._now()
        with query:
            try:
                asked = wire.opened(self._attachment(query), wire.HelloAsk)
                known = asked.known
            except wire.VersionError:
                known = ''  # the answer says which version this is
            except wire.WireError:
                self.metrics.count(REFUSED, reason='garbage')
                return
            fields = wire.HelloReply(
                incarnation=self.incarnation,
                digest=self._digest,
                received_s=received_s,
                replied_s=self._now(),
                queue=self.waiting,
                run_s=self.metrics.run_s(),
            )
            payload = b'' if known == self._digest else self._catalogue
            self._send(query, self._hello_key, wire.seal(fields), payload)

    def _on_ask(self, query: Any) -> None:
        """In a thread of Zenoh: check, and let it wait."""
        received_s = self._now()
        try:
            ask = wire.opened(self._attachment(query), wire.Ask)
        except wire.WireError as error:
            self.metrics.count(REFUSED, reason='garbage')
            nobody = wire.Ask(id=0, robot='', service='', form='', left_s=0, **_NOTHING)
            self._reply(_Job(query, nobody, b'', received_s), REFUSED, reason=str(error))
            return
        self.metrics.saw(ask.robot, ask.camera)
        size = len(query.payload or b'')
        job = _Job(query, ask, b'', received_s)
        try:
            check_ask(ask, size, self._services, self._config.most_bytes)
        except RefusedError as error:
            self.metrics.count(REFUSED, reason=error.kind)
            self._reply(job, REFUSED, reason=str(error))
            return
        job.payload = b'' if query.payload is None else query.payload.to_bytes()
        deadline_s = received_s + min(ask.left_s, _LONGEST_S)
        if ask.left_s <= 0:
            self._over(job)
        elif not self._waiting.put(job, job.key, deadline_s):
            self.metrics.count(REFUSED, size, 'busy')
            self._reply(job, REFUSED, reason=f'busy: {self.waiting} requests wait already')

    def _attachment(self, query: Any) -> bytes:
        given = query.attachment
        if given is None or len(given) > wire.MOST_FIELDS:
            raise wire.WireError('a message without fields, or with too many')
        return given.to_bytes()

    def _work(self) -> None:
        while (taken := self._waiting.take(self._largest)) is not None:
            batch, over = taken
            for job in over:
                self._over(job)
            if batch:
                self._compute(batch)

    def _largest(self, key: str) -> int:
        return self._services[key.split('/', 1)[0]].largest_batch

    def _over(self, job: _Job) -> None:
        self.metrics.count(EXPIRED, len(job.payload))
        self._reply(job, EXPIRED, reason='its deadline was over before it was computed')

    def _compute(self, batch: list[_Job]) -> None:
        began_s = self._now()
        service = self._services[batch[0].ask.service]
        jobs, works = [], []
        for job in batch:
            try:
                works.append(work_of(job.ask, job.payload, service, job.received_s))
                jobs.append(job)
            except CodecError as error:
                self.metrics.count(REFUSED, len(job.payload), 'damaged')
                self._reply(job, REFUSED, reason=str(error))
        if not works:
            return
        try:
            found = list(service.run(works))
            if len(found) != len(works):
                raise RuntimeError(f'{len(found)} answers to {len(works)} requests')
            run_s = self._now() - began_s
            said = [
                wire.pack_detections(in_source(each.above(job.ask.min_score), work))
                for job, work, each in zip(jobs, works, found, strict=True)
            ]
        except Exception as error:  # whatever a service raises, the server goes on
            for job in jobs:
                self.metrics.count(REFUSED, len(job.payload), f'failed: {type(error).__name__}')
                self._reply(job, REFUSED, reason=f'{service.name} failed: {error}'[:500])
            return
        for job, payload in zip(jobs, said, strict=True):
            key = job.ask.cut if service.name == TAIL else service.name
            self.metrics.took(key, began_s - job.received_s, run_s, len(works))
            self.metrics.count(ANSWERED, len(job.payload))
            self._reply(job, ANSWERED, payload, began_s - job.received_s, run_s)

    def _reply(
        self,
        job: _Job,
        status: str,
        payload: bytes = b'',
        queue_s: float = 0.0,
        run_s: float = 0.0,
        reason: str = '',
    ) -> None:
        fields = wire.Reply(
            id=job.ask.id,
            status=status,
            reason=reason[:2000],
            received_s=job.received_s,
            replied_s=self._now(),
            queue_s=queue_s,
            run_s=run_s,
            queue=self.waiting,
        )
        with job.query as query:
            self._send(query, self._ask_key, wire.seal(fields), payload)

    @staticmethod
    def _send(query: Any, key: str, fields: bytes, payload: bytes) -> None:
        import zenoh

        try:
            query.reply(key, payload, attachment=fields, express=True)
        except zenoh.ZError:
            return  # the robot is gone, or this server is about to be


_NOTHING: dict[str, Any] = {'frame_shape': (1, 1), 'min_score': 0}


def _catalogue(services: Mapping[str, Service], most_bytes: int) -> wire.Catalogue:
    entries = {
        name: wire.ServiceEntry(
            hash=service.hash,
            class_names=tuple(service.class_names),
            cuts={cut: dict(shapes) for cut, shapes in service.cuts.items()},
            about=service.about,
        )
        for name, service in services.items()
    }
    return wire.Catalogue(
        software=f'e4_ros {__version__}',
        services=entries,
        codecs=CODECS,
        most_bytes=most_bytes,
    )
