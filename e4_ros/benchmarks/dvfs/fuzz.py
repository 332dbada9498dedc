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

"""Random and hostile datagrams: from strangers without a lease, and from a holder gone mad.

Meanwhile another client's exclusive lease must stand, no clock may leave the table, and the daemon
must go on.
"""

from __future__ import annotations

import contextlib
import json
import random
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from e4_ros.benchmarks.dvfs.bench_plans import alternating_plan, random_plan
from e4_ros.benchmarks.dvfs.latency import memory_tree, serving
from e4_ros.energy.client import protocol
from e4_ros.energy.client.client import ClientState, DaemonError, DvfsClient
from e4_ros.energy.domains.discovery import discover
from e4_ros.energy.domains.domain import Domain

_LOOK_EVERY = 250
_PATIENCE_S = 30.0
_TEXTS = ('', 'x', '\0', 'ü' * 300, '../../etc', '1e999', '{"a":', '\x1b[2J', 'x' * 5000)


class FuzzResult(NamedTuple):
    """What was sent and what it did.

    Attributes:
        tried: datagrams.
        crashes: number of times that the daemon was gone.
        bad_writes: number of checks that found a clock neither in its table nor at its saved value.
        stolen: times a stranger got the lease, or its holder lost it.
    """

    tried: int
    crashes: int
    bad_writes: int
    stolen: int


def run_fuzz(tries: int, seed: int = 1, told: Callable[[int], None] = lambda n: None) -> FuzzResult:
    """Send `tries` datagrams to `e4 dvfs serve`, half from strangers, half from the holder.

    Args:
        tries: how many.
        seed: of everything random.
        told: called with the number sent since the last call.
    """
    rng = random.Random(seed)
    with (
        tempfile.TemporaryDirectory(prefix='e4') as name,
        memory_tree() as root,
        serving(root, Path(name)) as socket_path,
    ):
        watch = _Watch(root)
        strangers = _strangers(rng, tries // 2, socket_path, watch, told)
        holder = _mad_holder(rng, tries - tries // 2, socket_path, watch, told)
        watch.look()
        alive = _alive(socket_path)
    crashes = strangers[0] + holder[0] + (not alive)
    return FuzzResult(tries, crashes, watch.bad, strangers[1] + holder[1])


class _Watch:
    """Looks whether every file a lease may change holds an original or a value of the table."""

    def __init__(self, root: Path) -> None:
        self.bad = 0
        self._domains = discover(root)
        self._allowed = {d.name: _texts(d) for d in self._domains}

    def look(self) -> None:
        for domain in self._domains:
            if not set(domain.snapshot().values()) <= self._allowed[domain.name]:
                self.bad += 1


def _texts(domain: Domain) -> set[str]:
    numbers = {str(hz // unit) for hz in domain.allowed_hz for unit in (1, 1000)}
    lowest = domain.frequencies_hz[0]
    return {*numbers, *domain.snapshot().values(), '0', '1', str(lowest), str(lowest // 1000)}


def _strangers(
    rng: random.Random, tries: int, path: Path, watch: _Watch, told: Callable[[int], None]
) -> tuple[int, int]:
    """Connections without a lease beside an exclusive one; returns crashes and thefts."""
    crashes = stolen = 0
    with DvfsClient(path, _PATIENCE_S) as holder:
        holder.acquire('holder', exclusive=True)
        plan = alternating_plan(holder.board, holder.frequencies_hz)
        holder.set_plan(plan)
        for number in range(tries):
            message = _message(rng, holder.board, holder.frequencies_hz)
            try:
                stolen += _knock(path, message)
            except ConnectionRefusedError:
                crashes += 1
            if number % _LOOK_EVERY == _LOOK_EVERY - 1:
                holder.step(0, number % 2)
                watch.look()
                told(_LOOK_EVERY)
        stolen += holder.state is not ClientState.HELD
    return crashes, stolen


def _knock(path: Path, message: bytes) -> bool:
    """Say one thing on a connection of its own; whether it was answered with a lease."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stranger:
        stranger.settimeout(_PATIENCE_S)
        stranger.connect(str(path))
        try:
            stranger.send(message)
            answer = stranger.recv(65536)
        except (BrokenPipeError, ConnectionResetError):
            return False  # it hung up, as it may
    return bool(answer) and 'slot' in json.loads(answer)


def _mad_holder(
    rng: random.Random, tries: int, path: Path, watch: _Watch, told: Callable[[int], None]
) -> tuple[int, int]:
    """A client with the lease that sends anything; one that was thrown out comes again."""
    crashes = stolen = sent = 0
    while sent < tries:
        with DvfsClient(path, _PATIENCE_S) as client:
            try:
                client.acquire('mad')
                client.set_plan(random_plan(rng, client.board, client.frequencies_hz))
            except DaemonError:
                crashes += not _alive(path)
                sent += 1
                continue
            connection = client._connection
            assert connection is not None
            before = sent
            while sent < min(tries, before + _LOOK_EVERY):
                try:
                    connection.send(_message(rng, client.board, client.frequencies_hz))
                except BlockingIOError:
                    continue
                except OSError:
                    break  # it said something that ended its lease
                sent += 1
                with contextlib.suppress(OSError):
                    connection._socket.recv(65536)
            told(sent - before)
            client.close()  # the answers no longer fit the requests
        watch.look()
    return crashes, stolen


def _alive(path: Path) -> bool:
    try:
        DvfsClient(path, _PATIENCE_S).status()
    except DaemonError:
        return False
    return True


def _message(rng: random.Random, board: str, tables: dict[str, tuple[int, ...]]) -> bytes:
    """Noise, a step to anywhere, a request with nonsense, or a valid message that was damaged."""
    kind = rng.randrange(6)
    if kind == 0:
        return rng.randbytes(rng.choice((1, 2, 4, 6, 7, 64, 4096, 60_000)))
    if kind == 1:
        numbers = (rng.randrange(256), rng.randrange(65536), rng.randrange(65536))
        return protocol.STEP_FORMAT.pack(protocol.STEP, *numbers)
    if kind == 2:
        fields = {rng.choice(('client', 'exclusive', 'x')): rng.choice(_TEXTS) for _ in range(3)}
        return protocol.pack_request(rng.randrange(2, 8), **fields)
    if kind == 3:
        return bytes([rng.randrange(256)]) + rng.choice((b'{}', b'[]', b'null', b'[' * 9000, b'"'))
    plan = random_plan(rng, board, tables).model_dump(mode='json')
    if kind == 4:
        _spoil(rng, plan)
        return bytes([protocol.SET_PLAN]) + json.dumps(plan).encode()
    text = bytearray(bytes([protocol.SET_PLAN]) + json.dumps(plan).encode())
    for _ in range(rng.randint(1, 4)):
        text[rng.randrange(1, len(text))] = rng.randrange(256)
    return bytes(text)


def _spoil(rng: random.Random, plan: dict) -> None:
    """Put a value where it does not belong."""
    path = rng.choice(list(plan['paths'].values()))
    point = rng.choice(path['points'])
    domain = rng.choice(list(point))
    spoilers: tuple[Callable[[], object], ...] = (
        lambda: point.update({domain: rng.choice((0, -1, 1, 2**63, 2**200, True, '1', 1.5, None))}),
        lambda: point.update({rng.choice(('../x', 'dla', '', 'cpu/../gpu')): 1}),
        lambda: path.update(segments=[rng.choice((-1, 10**6, 2**70))]),
        lambda: path['points'].append(point),
        lambda: plan.update(board=rng.choice(_TEXTS)),
        lambda: plan.update(paths=rng.choice(({}, [], None, 'x'))),
        lambda: plan.update({rng.choice(_TEXTS): rng.choice(_TEXTS)}),
    )
    rng.choice(spoilers)()
