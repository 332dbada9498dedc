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

"""The memory clock of a Jetson Nano (Tegra210), through debugfs of NVIDIA's 4.9 kernel.

`clk_update_rate` of the clock `override.emc` takes a rate, and `clk_state` = 1 puts it in force
above what everybody else asks for; 0 gives the clock back. The files belong to root.
Source: jetson_clocks, which writes the same files in this order.
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
OVERRIDE = 'sys/kernel/debug/clk/override.emc'
RATE, STATE, NOW = 'clk_update_rate', 'clk_state', 'clk_rate'
FILES = (STATE, RATE)

_ENDS = tuple(f'sys/kernel/debug/tegra_bwmgr/emc_{end}_rate' for end in ('min', 'max'))
_RATES = 'sys/kernel/debug/clk/emc/clk_possible_rates'
_KHZ = 1000


def find(root: Path) -> Iterator[Tegra210EmcDomain]:
    """The EMC domain below `root`, if there is one that this user can see."""
    if os.access(root / OVERRIDE / RATE, os.F_OK):
        yield Tegra210EmcDomain(root, 'emc')


class Tegra210EmcDomain(FileDomain):
    """The memory clock, pinned by its override."""

    kind = 'tegra210'

    def __init__(self, root: Path, name: str) -> None:
        folder = root / OVERRIDE
        low, high = (read_clock(root / end) for end in _ENDS)
        for file in FILES:
            read_clock(folder / file)  # one that holds no number could not be restored
        cap = min(high, cap_hz(root, high))
        listed = [hz for hz in listed_hz(root / _RATES, _KHZ) if low <= hz <= high]
        table = tuple(listed) or likely_hz(root, low, high, (cap, read_clock(folder / NOW)))
        limits = limits_hz(table, low, cap)
        self._guard: Guard | None = None
        super().__init__(root, name, table, limits, (folder / file for file in FILES))

    @override
    def _open_pins(self) -> list[Pin]:
        state, rate = (self._files.keep(path) for path in self._paths)
        # The clock goes on as it is until the first step; jetson_clocks may hold it already.
        rate.write(b'%d\n' % self.current_hz())
        state.write(b'1\n')
        cap = cap_file(self._root)
        self._guard = None if cap is None else Guard(self._files.keep(cap, readonly=True))
        return [ValuePin(rate, self._guard)]

    @override
    def _forget_pins(self) -> None:
        super()._forget_pins()
        self._guard = None

    @override
    def taken_over(self, saved: Snapshot) -> Snapshot:
        rate = relative(self._root / OVERRIDE / RATE, self._root)
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
        return read_clock(self._root / OVERRIDE / NOW)

    @staticmethod
    @override
    def restore_files(root: Path, snapshot: Mapping[str, str], files: KernelFiles) -> list[str]:
        # The rate first, while the override still holds the clock. An override that was off neither
        # then nor now holds anything.
        folder, problems = root / OVERRIDE, []
        rate, state = (snapshot.get(relative(folder / name, root)) for name in (RATE, STATE))
        try:
            if state == '0' == read_text(folder / STATE):
                return []
        except DomainError as error:
            return [str(error.strerror)]
        if rate is not None:
            problems += restore_text(files, folder / RATE, capped_text(rate, root))
        if state is not None:
            problems += restore_text(files, folder / STATE, state)
        return problems
