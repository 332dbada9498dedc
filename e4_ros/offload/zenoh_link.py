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

"""A Zenoh session set up for an edge server or its robots: what is on, and what is off."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from e4_ros import extras
from e4_ros.offload import wire
from e4_ros.offload.exchange import TlsFiles, check_endpoints
from e4_ros.offload.tls_check import context

if TYPE_CHECKING:
    import zenoh

HELLO, ASK, ALIVE = 'hello', 'ask', 'alive'
"""Last words of the keys: ``NAME/hello``, ``NAME/ask/INCARNATION``, ``NAME/alive/INCARNATION``."""

_LEASE_MS = 2000
"""A side that was silent for so long is gone; each says something four times as often."""

_BATCH = 8 << 10
"""Bytes that Zenoh hands on as one: at 50 kbit/s they take 1.3 s, less than a lease."""

_RETRY_MS = (500, 2000)
"""Between two attempts to connect, first and longest."""

_SPARE = 4
"""Zenoh itself throws away what is larger than this times the limit; below that we can say why."""


def open_session(
    most_bytes: int,
    tls: TlsFiles | None,
    listen: Sequence[str] = (),
    connect: Sequence[str] = (),
) -> zenoh.Session:
    """A session of a server (which listens) or of a robot (which does not).

    It finds nobody by itself, shares no memory with anybody (that would walk around the network),
    and speaks one protocol: plain TCP, or TLS where both sides show a certificate.

    Args:
        most_bytes: largest payload that the other side may send.
        tls: files for TLS, None for plain TCP.
        listen: endpoints to listen at.
        connect: endpoints to connect to; who is not there yet is tried again and again.

    Raises:
        ValueError: endpoints and files do not go together.
        MissingExtraError: Zenoh is not installed.
        OSError: nobody can listen there, or a file is no certificate or key.
    """
    check_endpoints([*listen, *connect], tls)
    extras.require('edge', 'an edge server, and a robot that asks one,')
    if tls is not None:
        context(tls, server=bool(listen))  # says more than Zenoh would where a file is wrong
    import zenoh

    zenoh.init_log_from_env_or('off')  # what matters comes back as an error, or as silence
    config = zenoh.Config()
    for key, value in _settings(most_bytes, tls, listen, connect).items():
        config.insert_json5(key, json.dumps(value))
    try:
        return zenoh.open(config)
    except zenoh.ZError as error:
        where = ', '.join([*listen, *connect])
        raise OSError(f'the edge transport cannot be opened at {where}: {_brief(error)}') from None


def _settings(
    most_bytes: int, tls: TlsFiles | None, listen: Sequence[str], connect: Sequence[str]
) -> dict[str, Any]:
    settings: dict[str, Any] = {
        'mode': 'peer',  # a client gives up where nobody is there at the start
        'scouting/multicast/enabled': False,
        'scouting/gossip/enabled': False,
        'transport/shared_memory/enabled': False,
        'transport/link/protocols': ['tcp' if tls is None else 'tls'],
        'transport/link/tx/lease': _LEASE_MS,
        'transport/link/tx/batch_size': _BATCH,
        'transport/link/rx/max_message_size': _SPARE * most_bytes,
        'transport/unicast/open_timeout': _LEASE_MS,
        'listen/endpoints': list(listen),
        'listen/exit_on_failure': True,
        'listen/timeout_ms': 0,
        'connect/endpoints': list(connect),
        'connect/exit_on_failure': False,
        'connect/timeout_ms': -1,  # for ever, in the background
        'connect/retry': {
            'period_init_ms': _RETRY_MS[0],
            'period_max_ms': _RETRY_MS[1],
            'period_increase_factor': 2,
        },
    }
    if tls is not None:
        files = {
            'root_ca_certificate': tls.ca,
            'listen_certificate': tls.certificate,
            'listen_private_key': tls.key,
            'connect_certificate': tls.certificate,
            'connect_private_key': tls.key,
        }
        settings |= {f'transport/link/tls/{key}': str(file) for key, file in files.items()}
        settings |= {
            'transport/link/tls/enable_mtls': True,
            'transport/link/tls/verify_name_on_connect': True,
            'transport/link/tls/close_link_on_expiration': True,
        }
    return settings


@dataclass(frozen=True)
class Came:
    """Something came back for a question, or nothing (more) will.

    Attributes:
        what: last word of the key that was asked, or the one before it: `HELLO`, `ASK`.
        number: number of the question.
        arrived_s: `time.monotonic` when it came.
        fields: the attachment; None where nothing more will come.
        payload: the payload.
        trouble: why nothing came.
    """

    what: str
    number: int
    arrived_s: float
    fields: bytes | None = None
    payload: bytes = b''
    trouble: str = ''


def query(
    session: zenoh.Session,
    key: str,
    fields: bytes,
    payload: bytes,
    timeout_s: float,
    most_bytes: int,
    question: tuple[str, int],
    put: Callable[[Came], None],
) -> None:
    """Ask, and have threads of Zenoh hand over what comes back; it ends with a `Came` of nothing.

    Args:
        session: the session.
        key: key of what is asked.
        fields: the attachment.
        payload: the payload.
        timeout_s: seconds after which nothing more is waited for.
        most_bytes: largest payload of a reply; of a larger one nothing is read.
        question: what is asked, and its number, which come back.
        put: takes what comes.
    """
    import zenoh

    def came(reply: Any) -> None:
        arrived_s, sample = time.monotonic(), reply.ok
        if sample is None:
            return  # the transport gives it up; the end will follow
        given = sample.attachment
        if given is None or len(given) > wire.MOST_FIELDS or len(sample.payload) > most_bytes:
            put(Came(*question, arrived_s, b''))  # which is garbage
            return
        put(Came(*question, arrived_s, given.to_bytes(), sample.payload.to_bytes()))

    def done() -> None:
        put(Came(*question, time.monotonic(), trouble='does not answer'))

    try:
        session.get(
            key,
            zenoh.handlers.Callback(came, done, indirect=False),
            payload=payload,
            attachment=fields,
            timeout=timeout_s,
            target=zenoh.QueryTarget.ALL,
            consolidation=zenoh.ConsolidationMode.NONE,
            express=True,
        )
    except zenoh.ZError:
        done()


def _brief(error: Exception) -> str:
    """What Zenoh says, without the places in its own source."""
    said = str(error).split(' at /')[0]
    return said.split('. Caused by: ')[-1] if len(said) > 300 else said
