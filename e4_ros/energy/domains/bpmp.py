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

"""The memory clock of a Jetson (EMC), through the debugfs of its boot and power processor (BPMP).

`mrq_rate_locked` = 1 takes the clock from the bandwidth manager, `rate` sets it (the BPMP rounds),
and the lock must be restored. The files belong to root.
Source: nvpmodel and jetson_clocks, which write the same files; see also jetson-stats 7.2.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from typing_extensions import override

from e4_ros.energy.domains.domain import limits_hz
from e4_ros.energy.domains.emc_table import (
    cap_file,
    cap_hz,
    capped_limits,
    capped_text,
    likely_hz,
    listed_hz,
    under_cap,
)
from e4_ros.energy.domains.file_domain import FileDomain
from e4_ros.energy.domains.pins import Guard, Pin, ValuePin
from e4_ros.energy.domains.restore import restore_text
from e4_ros.energy.domains.sysfs import KernelFiles, read_clock, read_text, relative
from e4_ros.energy.errors import DomainError, Snapshot

TOP = 'sys'
EMC = 'sys/kernel/debug/bpmp/debug/clk/emc'
RATE, LOCK = 'rate', 'mrq_rate_locked'
FILES = (LOCK, RATE)

# Where kernels list the rates, with the unit in hertz: mainline, JetPack 4.
_TABLES = (
    ('sys/kernel/debug/emc/available_rates', 1),
    ('sys/kernel/debug/bpmp/debug/emc/possible_rates', 1000),
)


def find(root: Path) -> Iterator[EmcDomain]:
    """The EMC domain below `root`, if there is one that this user can see."""
    if os.access(root / EMC / RATE, os.F_OK):
        yield EmcDomain(root, 'emc')


class EmcDomain(FileDomain):
    """The memory clock, pinned by lock and rate."""

    kind = 'bpmp'

    def __init__(self, root: Path, name: str) -> None:
        folder = root / EMC
        low, high = (read_clock(folder / end) for end in ('min_rate', 'max_rate'))
        for file in FILES:
            read_clock(folder / file)  # one that holds no number could not be restored
        cap = min(high, cap_hz(root, high))
        listed = next(filter(None, (listed_hz(root / p, unit) for p, unit in _TABLES)), ())
        table = listed or likely_hz(root, low, high, (cap, read_clock(folder / RATE)))
        limits = limits_hz(table, low, cap)
        self._guard: Guard | None = None
        super().__init__(root, name, table, limits, (folder / file for file in FILES))

    @override
    def _open_pins(self) -> list[Pin]:
        lock, rate = (self._files.keep(path) for path in self._paths)
        lock.write(b'1\n')
        cap = cap_file(self._root)
        self._guard = None if cap is None else Guard(self._files.keep(cap, readonly=True))
        return [ValuePin(rate, self._guard)]

    @override
    def _forget_pins(self) -> None:
        super()._forget_pins()
        self._guard = None

    @override
    def taken_over(self, saved: Snapshot) -> Snapshot:
        rate = relative(self._root / EMC / RATE, self._root)
        return under_cap(saved, rate, self.frequencies_hz, self.machine_limits(saved)[1])

    @override
    def machine_limits(self, saved: Mapping[str, str]) -> tuple[int, int]:
        if self._guard is not None and self._guard.look():
            self.revision += 1
        try:
            return capped_limits(self.frequencies_hz, self._root)
        except DomainError:
            return self.limits_hz

    @override
    def current_hz(self) -> int:
        return read_clock(self._root / EMC / RATE)

    @staticmethod
    @override
    def restore_files(root: Path, snapshot: Mapping[str, str], files: KernelFiles) -> list[str]:
        # The rate first, while the lock still holds it; the lock is restored in any case. A clock
        # that was locked neither then nor now is the bandwidth manager's and left alone.
        folder, problems = root / EMC, []
        rate, lock = (snapshot.get(relative(folder / name, root)) for name in (RATE, LOCK))
        try:
            if lock == '0' == read_text(folder / LOCK):
                return []
        except DomainError as error:
            return [str(error.strerror)]
        if rate is not None:
            problems += restore_text(files, folder / RATE, capped_text(rate, root))
        if lock is not None:
            problems += restore_text(files, folder / LOCK, lock)
        return problems
