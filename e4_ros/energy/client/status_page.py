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

"""A page of shared memory on which the daemon publishes clocks, joules and counters.

A client reads it without a system call. Every value is one aligned 8-byte word; values that belong
together are guarded by a sequence number that is odd during a change (a seqlock, as in the kernel's
``include/linux/seqlock.h``). The clients' mapping is read-only, and the daemon reads nothing back.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

MAX_DOMAINS = 16
MAX_LEASES = 16
"""Leases whose counters have room on the page."""

_MAGIC = 0xE4D5F50004
_SIZE = mmap.PAGESIZE
_TRIES = 1000  # a daemon killed in the middle of a change leaves the number odd for ever
_F_SEAL_FUTURE_WRITE = 0x10  # Linux 5.1; not in Python's fcntl

# Indices of the words.
_W_MAGIC, _W_STATE, _W_CLOCK_SEQ, _W_ENERGY_SEQ, _W_ENERGY, _W_SOURCE = range(6)
_W_CHANGED_NS, _W_LOOKED_NS, _W_CLIENTS = 6, 7, 8
_W_HZ = 16
_W_COUNTERS = 32  # three words for each lease, and three that nobody reads

_SOURCES = ('none', 'measured', 'modelled')


class DaemonState(IntEnum):
    """What the daemon is doing.

    ``IDLE``: no plan is in force. ``ACTIVE``: steps are applied. ``RESTING``: a plan is in force,
    and the clocks are restored until its next step. ``CLOSED``: the daemon has stopped.
    """

    IDLE = 0
    ACTIVE = 1
    RESTING = 2
    CLOSED = 3


class Counters(NamedTuple):
    """Steps of one lease, or of all since the daemon started."""

    applied: int
    skipped: int
    failed: int

    @property
    def received(self) -> int:
        """Number of all steps."""
        return self.applied + self.skipped + self.failed


class StepCounters:
    """The counters of one lease on the page, which only the daemon writes.

    Args:
        words: the page's words.
        slot: place of the counters on the page.
    """

    __slots__ = ('_applied', '_words', 'slot')

    def __init__(self, words: memoryview, slot: int) -> None:
        self.slot = slot
        self._words = words
        self._applied = _W_COUNTERS + 3 * slot

    def count_applied(self) -> None:
        """Count a step that changed what its lease wants."""
        self._words[self._applied] += 1

    def count_skipped(self) -> None:
        """Count a step that changed nothing, or that a newer one superseded."""
        self._words[self._applied + 1] += 1

    def count_failed(self) -> None:
        """Count a step that the kernel refused."""
        self._words[self._applied + 2] += 1

    def read(self) -> Counters:
        """The numbers so far."""
        return Counters(*self._words[self._applied : self._applied + 3])

    def begin(self) -> None:
        """Begin at zero."""
        for index in range(self._applied, self._applied + 3):
            self._words[index] = 0

    def end(self) -> None:
        """Count where nobody reads: the thread of a lease that ended may be late with a step."""
        self._applied = _W_COUNTERS + 3 * MAX_LEASES


class PageWriter:
    """The daemon's side.

    Clocks are written under the daemon's lock and energy by one thread, so each of the two
    sequence numbers has one writer at a time.
    """

    def __init__(self) -> None:
        descriptor = os.memfd_create('e4-status', os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(descriptor, _SIZE)
            self._map = mmap.mmap(descriptor, _SIZE)
            os.fchmod(descriptor, 0o400)
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
            # On an older kernel the mode and the read-only descriptor have to do.
            with contextlib.suppress(OSError):
                fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _F_SEAL_FUTURE_WRITE)
            self.fd = os.open(f'/proc/self/fd/{descriptor}', os.O_RDONLY | os.O_CLOEXEC)
        finally:
            os.close(descriptor)
        self.words = memoryview(self._map).cast('Q')
        self._doubles = memoryview(self._map).cast('B').cast('d')
        self.words[_W_MAGIC] = _MAGIC
        self._live: list[StepCounters] = []
        self._ended = Counters(0, 0, 0)

    def open_counters(self) -> StepCounters:
        """Counters for a lease that begins, at zero; for one caller at a time."""
        taken = {counters.slot for counters in self._live}
        slot = next(slot for slot in range(MAX_LEASES) if slot not in taken)
        counters = StepCounters(self.words, slot)
        counters.begin()
        self._live.append(counters)
        self.words[_W_CLIENTS] = len(self._live)
        return counters

    def close_counters(self, counters: StepCounters) -> None:
        """Keep the numbers of a lease that ended; its slot is another's from then on."""
        self._ended = _sum(self._ended, counters.read())
        self._live.remove(counters)
        self.words[_W_CLIENTS] = len(self._live)
        counters.end()

    def set_state(self, state: DaemonState) -> None:
        """Publish what the daemon is doing."""
        self.words[_W_STATE] = state

    def set_clocks(self, frequencies_hz: Sequence[int], changed_ns: int) -> None:
        """Publish the clocks.

        Args:
            frequencies_hz: one frequency for each domain, in the daemon's order.
            changed_ns: when they changed, in nanoseconds of CLOCK_MONOTONIC.
        """
        words = self.words
        words[_W_CLOCK_SEQ] += 1
        index = _W_HZ
        for hertz in frequencies_hz:
            words[index] = hertz
            index += 1
        words[_W_CHANGED_NS] = changed_ns
        words[_W_CLOCK_SEQ] += 1

    def set_looked(self, now_ns: int) -> None:
        """Publish that the daemon has just looked at the board, in ns of CLOCK_MONOTONIC."""
        self.words[_W_LOOKED_NS] = now_ns

    def set_energy(self, energy_j: float, source: str) -> None:
        """Publish the joules since the daemon started.

        Args:
            energy_j: joules since the daemon started.
            source: whether they are ``measured`` or ``modelled``; ``none`` without a meter.
        """
        self.words[_W_ENERGY_SEQ] += 1
        self._doubles[_W_ENERGY] = energy_j
        self.words[_W_SOURCE] = _SOURCES.index(source)
        self.words[_W_ENERGY_SEQ] += 1

    def counters(self) -> Counters:
        """Numbers of applied, skipped and failed steps of all leases since the daemon started."""
        return _sum(self._ended, *(counters.read() for counters in self._live))

    def close(self) -> None:
        """Unmap the page; clients keep their mapping."""
        self.words.release()
        self._doubles.release()
        self._map.close()
        os.close(self.fd)


class PageReader:
    """A client's side of a status page.

    Args:
        fd: descriptor that came with the answer to `ACQUIRE`; closed by the reader.
        domains: number of the board's domains.
        slot: place of the lease's counters.

    Raises:
        ValueError: the descriptor is not a status page, or of another version.
    """

    def __init__(self, fd: int, domains: int, slot: int) -> None:
        try:
            seals = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
            if not seals & fcntl.F_SEAL_SHRINK or os.fstat(fd).st_size < _SIZE:
                raise ValueError('the daemon sent something else than its status page')
            self._map = mmap.mmap(fd, _SIZE, prot=mmap.PROT_READ)
        finally:
            os.close(fd)
        self._words = memoryview(self._map).cast('Q')
        self._doubles = memoryview(self._map).cast('B').cast('d')
        self._hz = self._words[_W_HZ : _W_HZ + domains]
        if self._words[_W_MAGIC] != _MAGIC:
            raise ValueError(
                'the daemon is of another version, by its page; restart the older of the two'
            )
        self._steps = StepCounters(self._words, slot)

    def clocks(self) -> list[int]:
        """Applied frequency of each domain in hertz, in the daemon's order."""
        words, hertz = self._words, self._hz
        for _ in range(_TRIES):
            before = words[_W_CLOCK_SEQ]
            values = hertz.tolist()
            if not before & 1 and words[_W_CLOCK_SEQ] == before:
                break
        return values

    def energy(self) -> tuple[float, str]:
        """Joules since the daemon started, and ``measured``, ``modelled`` or ``none``."""
        words = self._words
        for _ in range(_TRIES):
            before = words[_W_ENERGY_SEQ]
            energy, source = self._doubles[_W_ENERGY], words[_W_SOURCE]
            if not before & 1 and words[_W_ENERGY_SEQ] == before:
                break
        return energy, _SOURCES[source]

    def counters(self) -> Counters:
        """Numbers of the lease's applied, skipped and failed steps."""
        return self._steps.read()

    @property
    def changed_ns(self) -> int:
        """When the clocks last changed, in nanoseconds of CLOCK_MONOTONIC."""
        return self._words[_W_CHANGED_NS]

    @property
    def clients(self) -> int:
        """Number of leases; the joules are of all of them together."""
        return self._words[_W_CLIENTS]

    @property
    def looked_ns(self) -> int:
        """When the daemon last looked at the board, in nanoseconds of CLOCK_MONOTONIC."""
        return self._words[_W_LOOKED_NS]

    @property
    def state(self) -> DaemonState:
        """What the daemon is doing."""
        return DaemonState(self._words[_W_STATE])

    def close(self) -> None:
        """Unmap the page."""
        for view in (self._hz, self._words, self._doubles):
            view.release()
        self._map.close()


def _sum(*several: Counters) -> Counters:
    return Counters(*(sum(numbers) for numbers in zip(*several, strict=True)))
