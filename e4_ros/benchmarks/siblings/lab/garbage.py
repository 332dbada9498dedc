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

"""A peer that sends garbage to a server, until its input ends: `python -m … HOST:PORT NAME`.

It speaks to the port as nobody should, promises more than it sends, and as a member of the network
asks what makes no sense.
"""

from __future__ import annotations

import contextlib
import json
import random
import select
import socket
import sys
import time

_PAUSE_S = 0.05
_LARGE = 16 << 20


def _shout(address: tuple[str, int], rng: random.Random) -> None:
    """Bytes that are no protocol; half of them begin with the promise of a large message."""
    with contextlib.suppress(OSError), socket.create_connection(address, 1.0) as peer:
        promise = b'\xff\xff\xff\x7f' if rng.random() < 0.5 else b''
        peer.sendall(promise + rng.randbytes(rng.choice((1, 64, 4096, 65536))))


def main(address: str, name: str) -> None:
    """Send garbage until our input ends."""
    import zenoh

    host, _, port = address.rpartition(':')
    rng = random.Random(7)
    config = zenoh.Config()
    config.insert_json5('mode', '"client"')
    config.insert_json5('connect/endpoints', json.dumps([f'tcp/{address}']))
    config.insert_json5('scouting/multicast/enabled', 'false')
    config.insert_json5('transport/shared_memory/enabled', 'false')
    sent, session = 0, None
    print(json.dumps({'event': 'begins'}), flush=True)
    while not select.select([sys.stdin], [], [], _PAUSE_S)[0]:
        _shout((host, int(port)), rng)
        with contextlib.suppress(zenoh.ZError):
            session = session or zenoh.open(config)
            size = _LARGE if rng.random() < 0.05 else rng.choice((0, 1, 100, 10_000))
            key = f'{name}/{rng.choice(("hello", "ask", "network", "tail", "**"))}'
            words = rng.randbytes(rng.choice((0, 3, 300)))
            session.get(key, payload=rng.randbytes(size), attachment=words, timeout=0.2)
            sent += 1
    with contextlib.suppress(zenoh.ZError):
        if session is not None:
            session.close()
    print(json.dumps({'event': 'ends', 'sent': sent, 'at_s': time.monotonic()}), flush=True)


if __name__ == '__main__':
    main(*sys.argv[1:])
