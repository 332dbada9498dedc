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

"""What a step costs the client, and how long until its clocks are written.

The daemon is `e4 dvfs serve`, a process of its own. The end of a write is the time that the daemon
puts on the status page (CLOCK_MONOTONIC, the same in every process), so waiting for it disturbs
nothing.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from e4_ros.benchmarks.dvfs.bench_plans import alternating_plan
from e4_ros.energy.client.client import DaemonError, DvfsClient
from e4_ros.energy.daemon.access import peer_of
from e4_ros.energy.domains.discovery import discover
from e4_ros.energy.virtual.board import write_tree

BOARD = 'jetson_orin_nano'
DOMAINS = ('cpu', 'gpu')  # what the planner plans for unless told otherwise
_TOO_LATE_S = 10.0


class Latencies(NamedTuple):
    """Microseconds of each step: until the call returned, and until the clocks were written."""

    client_us: list[float]
    write_us: list[float]


def percentiles(values: list[float]) -> dict[str, float]:
    """p50 and p99."""
    ordered = sorted(values)
    return {
        'p50': round(ordered[len(ordered) // 2], 1),
        'p99': round(ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))], 1),
    }


@contextlib.contextmanager
def serving(root: Path, folder: Path) -> Iterator[Path]:
    """Run `e4 dvfs serve` on a tree; yields its socket."""
    socket_path = folder / 'helper.sock'
    places = {'sysfs-root': root, 'state-dir': folder / 'state', 'socket-path': socket_path}
    words = ['serve', *(word for name, path in places.items() for word in (f'--{name}', path))]
    with (folder / 'helper.log').open('w+') as log:
        process = subprocess.Popen(
            [sys.executable, '-m', 'e4_ros.cli', 'dvfs', *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        assert process.stdout is not None
        try:
            if 'listening' not in process.stdout.readline():
                process.wait()
                log.seek(0)
                raise DaemonError(log.read().strip())
            yield socket_path
        finally:
            process.terminate()
            process.communicate(timeout=60)


@contextlib.contextmanager
def all_cores_inferring() -> Iterator[None]:
    """Keep every core busy with a detector of its own."""
    started = [
        subprocess.Popen(
            [sys.executable, '-m', 'e4_ros.benchmarks.dvfs.infer'],
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in os.sched_getaffinity(0)
    ]
    try:
        for process in started:
            assert process.stdout is not None
            if 'inferring' not in process.stdout.readline():
                raise RuntimeError('the inference that should keep a core busy has ended')
        yield
    finally:
        for process in started:
            process.kill()
            process.communicate()


@contextlib.contextmanager
def stepping(root: Path) -> Iterator[DvfsClient]:
    """A client whose two steps change CPU and GPU clocks, by a daemon of its own."""
    with (
        tempfile.TemporaryDirectory(prefix='e4') as name,
        serving(root, Path(name)) as path,
        DvfsClient(path) as client,
    ):
        client.acquire('bench')
        tables = {domain: client.frequencies_hz[domain] for domain in DOMAINS}
        client.set_plan(alternating_plan(client.board, tables))
        yield client


def plan_facts(client: DvfsClient, root: Path) -> dict[str, object]:
    """What a step of `stepping` writes."""
    domains = [domain for domain in discover(root) if domain.name in DOMAINS]
    writes = 0
    for domain in domains:
        domain.open()
        writes += len(domain.transition_writes(*domain.allowed_hz[:2]))
        domain.close()
    return {'board': client.board, 'domains': list(DOMAINS), 'writes': writes}


def scheduling(client: DvfsClient) -> str:
    """Under which scheduling class the daemon applies steps: ``SCHED_FIFO 10``, ``SCHED_OTHER``."""
    assert client._connection is not None
    daemon = peer_of(client._connection._socket).pid
    threads = [int(task.name) for task in Path(f'/proc/{daemon}/task').iterdir()]
    highest = max(os.sched_getparam(thread).sched_priority for thread in threads)
    return f'SCHED_FIFO {highest}' if highest > 1 else 'SCHED_OTHER'


@contextlib.contextmanager
def memory_tree() -> Iterator[Path]:
    """A plain board on a tmpfs."""
    memory = '/dev/shm' if Path('/dev/shm').is_dir() else None
    with tempfile.TemporaryDirectory(prefix='e4', dir=memory) as name:
        yield write_tree(BOARD, Path(name) / 'root')


def measure(
    client: DvfsClient,
    steps: int,
    gap_s: float = 0.002,
    send: Callable[[int, int], object] | None = None,
) -> Latencies:
    """Time steps to alternating segments, `gap_s` apart.

    Args:
        client: whose page tells when the clocks were written.
        steps: how many.
        gap_s: pause after each.
        send: says that a segment of a path begins, in another way than the client's own.
    """
    send = send or client.step
    result = Latencies([], [])
    for index in range(steps):
        before = time.monotonic_ns()
        send(0, index % 2)
        after = time.monotonic_ns()
        time.sleep(gap_s)
        deadline = time.monotonic() + _TOO_LATE_S
        while client.changed_ns() < before:
            if time.monotonic() > deadline:
                raise DaemonError(f'step {index} was not written within {_TOO_LATE_S:g} s')
            time.sleep(gap_s)
        result.client_us.append((after - before) / 1e3)
        result.write_us.append((client.changed_ns() - before) / 1e3)
    return result
