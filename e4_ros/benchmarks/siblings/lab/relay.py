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

"""A TCP relay that is slow, loses and stops as a link does: `python -m … LISTEN TO`.

Both are ``host:port``; port 0 takes a free one. It prints where it listens as a line of JSON, and
takes lines of JSON from its input: ``rate_bps`` (0: unlimited), ``loss``, ``every``, ``delay_s``
and ``up``, each as in `LinkShape`; what a line does not name stays. It ends with its input.

TCP hides lost packets and makes pauses of them, so pauses are what is made here: as long as Linux
waits at least before it sends again where nothing follows a lost packet, and a way there and back
where more packets follow, which tell that one is missing.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sys
import time
from collections import deque
from dataclasses import dataclass, field

_PACKET = 1448
_CHUNK = 4 * _PACKET
_AT_ONCE_S = 0.001  # what is due so soon is sent now
_AGAIN_S = 0.2  # Linux' shortest time to send again
_TELLING = 3  # packets that follow and tell of a lost one
_BUFFER = 1 << 16


@dataclass
class _Link:
    rate_bps: float = 0.0
    loss: float = 0.0
    every: int = 0
    delay_s: float = 0.0
    up: bool = True
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, words: dict[str, float]) -> None:
        for name in ('rate_bps', 'loss', 'every', 'delay_s'):
            setattr(self, name, words.get(name, getattr(self, name)))
        self.up = bool(words.get('up', self.up))
        self.changed.set()
        self.changed = asyncio.Event()


class _Wire:
    """One direction; all connections share it."""

    def __init__(self, link: _Link, rng: random.Random) -> None:
        self._link, self._rng = link, rng
        self._free_s, self._packets = 0.0, 0
        self._turn = asyncio.Lock()

    async def passes(self, size: int) -> None:
        """Wait until so many bytes have been sent."""
        async with self._turn:
            await self.open()
            if self._link.rate_bps:
                now_s = time.monotonic()
                self._free_s = max(self._free_s, now_s) + size * 8 / self._link.rate_bps
                await _until(self._free_s)
            pause_s = self._pause(size)
            if pause_s:
                await asyncio.sleep(pause_s)
                await self.open()

    async def open(self) -> None:
        """Wait until the link is up."""
        while not self._link.up:
            await self._link.changed.wait()

    def _pause(self, size: int) -> float:
        packets = -(-size // _PACKET)
        pause_s = 0.0
        for index in range(packets):
            while self._lost():
                more = packets - index > _TELLING
                pause_s += 2 * self._link.delay_s + _AT_ONCE_S if more else _AGAIN_S
        return pause_s

    def _lost(self) -> bool:
        self._packets += 1
        in_turn = self._link.every and self._packets % self._link.every == 0
        return bool(in_turn) or self._rng.random() < self._link.loss


async def _until(moment_s: float) -> None:
    left_s = moment_s - time.monotonic()
    if left_s > _AT_ONCE_S:
        await asyncio.sleep(left_s)


async def _one_way(
    source: asyncio.StreamReader, sink: asyncio.StreamWriter, wire: _Wire, link: _Link
) -> None:
    """Pass on what comes, until it ends."""
    line: deque[tuple[float, bytes]] = deque()
    news, room = asyncio.Event(), asyncio.Event()

    async def hand_out() -> None:
        while True:
            while not line:
                news.clear()
                await news.wait()
            due_s, piece = line[0]
            await _until(due_s)
            await wire.open()
            line.popleft()
            room.set()
            if not piece:
                return
            sink.write(piece)
            await sink.drain()

    async def take_in() -> None:
        while True:
            piece = await source.read(_CHUNK)
            if piece:
                await wire.passes(len(piece))
            while sum(len(waiting) for _, waiting in line) > _BUFFER * 4:
                room.clear()
                await room.wait()
            line.append((time.monotonic() + link.delay_s, piece))
            news.set()
            if not piece:
                return

    await asyncio.gather(hand_out(), take_in())


async def _connected(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    to: tuple[str, int],
    link: _Link,
    wires: tuple[_Wire, _Wire],
) -> None:
    there = None
    try:
        await wires[0].open()
        back, there = await asyncio.open_connection(*to, limit=_BUFFER)
        both = [
            asyncio.ensure_future(_one_way(reader, there, wires[0], link)),
            asyncio.ensure_future(_one_way(back, writer, wires[1], link)),
        ]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)
    except OSError:
        pass  # nobody there, or gone: so is the connection
    finally:
        for end in (writer, there):
            if end is not None:
                with contextlib.suppress(OSError):
                    end.close()


async def main(listen: str, to: str) -> None:
    """Relay until our input ends."""
    link, rng = _Link(), random.Random(14)
    wires = _Wire(link, rng), _Wire(link, rng)
    target = _split(to)
    host, port = _split(listen)
    server = await asyncio.start_server(
        lambda reader, writer: _connected(reader, writer, target, link, wires),
        host,
        port,
        limit=_BUFFER,
    )
    at = server.sockets[0].getsockname()
    print(json.dumps({'event': 'listening', 'address': f'{at[0]}:{at[1]}'}), flush=True)
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(orders), sys.stdin
    )
    while line := await orders.readline():
        link.take(json.loads(line))


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(':')
    return host, int(port)


if __name__ == '__main__':
    asyncio.run(main(*sys.argv[1:]))
