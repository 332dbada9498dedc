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
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from e4_ros import extras
from e4_ros.offload.exchange import TLS, TlsFiles, check_endpoints

if TYPE_CHECKING:
    import zenoh

HELLO, ASK, ALIVE = 'hello', 'ask', 'alive'
"""Last words of the keys: ``NAME/hello``, ``NAME/ask/INCARNATION``, ``NAME/alive/INCARNATION``."""

_LEASE_MS = 2000
"""A side that was silent for so long is gone; each says something four times as often."""

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
        'mode': 'peer' if listen else 'client',
        'scouting/multicast/enabled': False,
        'scouting/gossip/enabled': False,
        'transport/shared_memory/enabled': False,
        'transport/link/protocols': ['tcp' if tls is None else 'tls'],
        'transport/link/tx/lease': _LEASE_MS,
        'transport/link/rx/max_message_size': _SPARE * most_bytes,
        'transport/unicast/open_timeout': _LEASE_MS,
        'listen/endpoints': list(listen),
        'listen/exit_on_failure': True,
        'listen/timeout_ms': 0,
        'connect/endpoints': list(connect),
        'connect/exit_on_failure': False,
        'connect/timeout_ms': 0,
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


def is_encrypted(endpoints: Sequence[str]) -> bool:
    """Whether these endpoints are those of TLS."""
    return all(endpoint.startswith(TLS) for endpoint in endpoints)


def _brief(error: Exception) -> str:
    """What Zenoh says, without the places in its own source."""
    said = str(error).split(' at /')[0]
    return said.split('. Caused by: ')[-1] if len(said) > 300 else said
