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

"""The protocol between daemon and client on a Unix SOCK_SEQPACKET socket.

Each message is one datagram whose first byte says what it is. A step is six bytes and gets no
answer; a request carries JSON and gets one datagram of JSON back: ``{"ok": true, ...}`` or
``{"ok": false, "error": "..."}``. The answer to `ACQUIRE` brings the descriptor of the status page.
"""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import Any

from e4_ros.energy.client.this_cpu import UNKNOWN_CPU
from e4_ros.energy.plan import MAX_PLAN_BYTES

STEP = 1
ACQUIRE = 2
SET_PLAN = 3
RELEASE = 4
STATUS = 5

STEP_FORMAT = struct.Struct('<BBHH')  # STEP, path index, segment index, the sender's CPU or unknown
STEP_SIZE = STEP_FORMAT.size
MAX_MESSAGE = MAX_PLAN_BYTES + 1

SOCKET_VARIABLE = 'E4_SOCKET'
_SYSTEM = Path('/run/e4')
_SOCKET = 'helper.sock'
_LONGEST_PATH = 107  # sockaddr_un.sun_path without its end


_FACTS = {
    'board': str, 'root': str, 'leases': list, 'watchdog_s': (int, float), 'problems': list,
    'domains': dict,
}  # fmt: skip
_LEASE_FACTS = {'client', 'pid', 'exclusive', 'plan'}
_ANSWERS: dict[int, dict[str, Any]] = {
    ACQUIRE: {'slot': int, **_FACTS},
    SET_PLAN: {},
    RELEASE: {},
    STATUS: _FACTS,
}
"""What the answer to each request holds at least, where it is granted."""


class ProtocolError(ValueError):
    """A message that is not of this protocol."""


def runtime_dir() -> Path:
    """Default folder of the socket and the undo log.

    ``/run/e4`` for root, and for everybody once the shipped unit has made it; else a folder of the
    user's own, which the daemon checks before it uses it.
    """
    uid = os.geteuid()
    if uid == 0 or os.access(_SYSTEM, os.W_OK) or os.access(_SYSTEM / _SOCKET, os.F_OK):
        return _SYSTEM
    return Path(os.environ.get('XDG_RUNTIME_DIR') or f'/tmp/e4-{uid}') / 'e4'


def known_socket_paths() -> list[Path]:
    """Where daemons listen that nobody told where: the system's, and those of users at hand."""
    return [_SYSTEM / _SOCKET, *sorted(Path('/run/user').glob(f'*/e4/{_SOCKET}'))]


def default_socket_path() -> Path:
    """``$E4_SOCKET``, or ``helper.sock`` in :func:`runtime_dir`."""
    return Path(os.environ.get(SOCKET_VARIABLE) or runtime_dir() / _SOCKET)


def check_socket_path(path: str | Path) -> str:
    """Return the path as text; raise ValueError where the kernel would cut it."""
    text = str(path)
    if not 0 < len(os.fsencode(text)) <= _LONGEST_PATH:
        raise ValueError(
            f'socket path {text!r} has {len(os.fsencode(text))} bytes, and the kernel takes '
            f'1 to {_LONGEST_PATH}; choose a shorter folder'
        )
    return text


def pack_step(path: int, segment: int, cpu: int = UNKNOWN_CPU) -> bytes:
    """The datagram of a step.

    Args:
        path: index of the exit in the plan's ``exits``.
        segment: index of the segment in the plan's ``segments``.
        cpu: number of the sender's CPU, or `UNKNOWN_CPU`.
    """
    return STEP_FORMAT.pack(STEP, path, segment, cpu)


def pack_request(kind: int, **fields: str) -> bytes:
    """The datagram of a request: its kind (`ACQUIRE`, ...) and its fields as JSON."""
    return bytes([kind]) + json.dumps(fields).encode()


def parse_request(body: bytes) -> dict[str, str]:
    """Fields of a request, from its datagram without the first byte.

    Raises:
        ProtocolError: the body is not a JSON object of short texts.
    """
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        raise ProtocolError('a request is a byte and a JSON object') from None
    if not isinstance(fields, dict) or not all(
        isinstance(value, str) and len(value) <= 200 for value in fields.values()
    ):
        raise ProtocolError('a request is a JSON object of texts of at most 200 characters')
    return fields


def pack_answer(**fields: Any) -> bytes:
    """The datagram of an answer that grants a request, with its fields as JSON."""
    return json.dumps({'ok': True, **fields}).encode()


def pack_refusal(error: object, others: bool = False) -> bytes:
    """The datagram of an answer that refuses a request, with the reason.

    Args:
        error: the reason, in words.
        others: whether it would be granted if others had no lease, so that waiting helps.
    """
    return json.dumps({'ok': False, 'error': str(error)[:2000], 'others': others}).encode()


def parse_answer(kind: int, data: bytes) -> dict[str, Any]:
    """Fields of an answer.

    Args:
        kind: kind of the request that is answered.
        data: the answer's datagram.

    Raises:
        ProtocolError: the answer lacks what a daemon of this version says.
    """
    try:
        answer = json.loads(data)
        expected = _ANSWERS[kind] if answer['ok'] else {'error': str}
        whole = all(isinstance(answer[name], types) for name, types in expected.items())
        if 'leases' in expected:
            whole = whole and all(lease.keys() >= _LEASE_FACTS for lease in answer['leases'])
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        whole = False
    if not whole:
        raise ProtocolError('the daemon is of another version; restart the older of the two')
    return dict(answer)
