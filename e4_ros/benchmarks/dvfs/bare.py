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

"""The least that this machine needs for a step: a bare process that receives and writes.

It has the plan's writes, keeps off the client's CPU as the daemon does, and has nothing else: no
lease, no newest step, no read-back, no lock, no other thread. What the daemon takes beyond that is
its own.
"""

from __future__ import annotations

import mmap
import os
import socket
import time
from pathlib import Path

from e4_ros.benchmarks.dvfs.latency import DOMAINS, Latencies, memory_tree
from e4_ros.energy.client.protocol import STEP_FORMAT, STEP_SIZE, pack_step
from e4_ros.energy.client.this_cpu import this_cpu
from e4_ros.energy.daemon.realtime import migrate_off_cpu, set_fifo_priority
from e4_ros.energy.domains.discovery import discover
from e4_ros.energy.errors import Write


def bare_steps(steps: int, gap_s: float = 0.002) -> Latencies:
    """Time steps between the lowest and the highest point of a plain board's domains.

    Raises:
        RuntimeError: the bare process ended.
    """
    client, server = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    shared = mmap.mmap(-1, mmap.PAGESIZE)
    with memory_tree() as root, client, server, memoryview(shared).cast('Q') as written_ns:
        process = os.fork()
        if process == 0:
            try:
                client.close()
                _receive(server, written_ns, root)
            finally:
                os._exit(0)
        server.close()
        try:
            return _send(client, written_ns, steps, gap_s)
        finally:
            client.close()
            os.waitpid(process, 0)


def _receive(server: socket.socket, written_ns: memoryview, root: Path) -> None:
    domains = [domain for domain in discover(root) if domain.name in DOMAINS]
    ways: tuple[list[Write], list[Write]] = ([], [])
    for domain in domains:
        low, high = domain.allowed_hz[0], domain.allowed_hz[-1]
        domain.open()
        domain.set_hz(high)
        ways[0].extend(domain.transition_writes(high, low))
        ways[1].extend(domain.transition_writes(low, high))
    set_fifo_priority(10)
    cpus = os.sched_getaffinity(0)
    while message := server.recv(STEP_SIZE):
        _, way, _, cpu = STEP_FORMAT.unpack(message)
        for descriptor, text in ways[way]:
            os.pwrite(descriptor, text, 0)
        written_ns[0] = time.monotonic_ns()
        if cpu == this_cpu():
            migrate_off_cpu(cpus - {cpu})


def _send(client: socket.socket, written_ns: memoryview, steps: int, gap_s: float) -> Latencies:
    client.setblocking(False)
    result = Latencies([], [])
    for index in range(steps):
        message = pack_step(index % 2, 0, this_cpu())
        before = time.monotonic_ns()
        client.send(message)
        after = time.monotonic_ns()
        time.sleep(gap_s)
        for _ in range(500):
            if written_ns[0] >= before:
                break
            time.sleep(gap_s)
        else:
            raise RuntimeError('the bare process does not write')
        result.client_us.append((after - before) / 1e3)
        result.write_us.append((written_ns[0] - before) / 1e3)
    return result
