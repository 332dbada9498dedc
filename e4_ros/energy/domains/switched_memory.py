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

"""A memory clock that a switch in debugfs takes from the bandwidth manager, under nvpmodel's cap.

One file takes the rate; another, at 1, puts it in force above what everybody else asks for, and
must be restored. Which files these are is the kernel's (`bpmp`, `tegra210`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from typing_extensions import override

from e4_ros.energy.domains.domain import limits_hz
from e4_ros.energy.domains.emc_table import (
    cap_file,
    capped_limits,
    capped_text,
    under_cap,
)
from e4_ros.energy.domains.file_domain import FileDomain
from e4_ros.energy.domains.pins import Guard, Pin, ValuePin
from e4_ros.energy.domains.restore import restore_text
from e4_ros.energy.domains.sysfs import KernelFiles, read_clock, read_text, relative
from e4_ros.energy.errors import DomainError, Snapshot


class SwitchedMemory(FileDomain):
    """The memory clock, pinned by a switch and a rate.

    Args:
        root: folder that holds ``sys/``.
        name: name of the domain.
        table: rates, in hertz, ascending.
        low: lowest rate that is allowed, in hertz.
        cap: highest rate that is allowed, in hertz.

    Attributes:
        folder: folder of the clock below the root.
        switch: file in it that holds the clock, at 1.
        rate: file in it that takes the rate, in hertz.
        now: file in it with the rate of the moment, in hertz.
    """

    folder: ClassVar[str]
    switch: ClassVar[str]
    rate: ClassVar[str]
    now: ClassVar[str]

    def __init__(self, root: Path, name: str, table: tuple[int, ...], low: int, cap: int) -> None:
        paths = [root / self.folder / file for file in (self.switch, self.rate)]
        for path in paths:
            read_clock(path)  # one that holds no number could not be restored
        self._guard: Guard | None = None
        super().__init__(root, name, table, limits_hz(table, low, cap), paths)

    @override
    def _open_pins(self) -> list[Pin]:
        switch, rate = (self._files.keep(path) for path in self._paths)
        if self.now != self.rate:
            # What the rate's file holds is not in force: the clock shall go on as it is.
            rate.write(b'%d\n' % self.current_hz())
        switch.write(b'1\n')
        cap = cap_file(self._root)
        self._guard = None if cap is None else Guard(self._files.keep(cap, readonly=True))
        return [ValuePin(rate, self._guard)]

    @override
    def _forget_pins(self) -> None:
        super()._forget_pins()
        self._guard = None

    @override
    def taken_over(self, saved: Snapshot) -> Snapshot:
        rate = relative(self._root / self.folder / self.rate, self._root)
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
        return read_clock(self._root / self.folder / self.now)

    @classmethod
    @override
    def restore_files(
        cls, root: Path, snapshot: Mapping[str, str], files: KernelFiles
    ) -> list[str]:
        # The rate first, while the switch still holds it; the switch is restored in any case. A
        # clock that was held neither then nor now is the bandwidth manager's and left alone.
        folder, problems = root / cls.folder, []
        rate, switch = (snapshot.get(relative(folder / n, root)) for n in (cls.rate, cls.switch))
        try:
            if switch == '0' == read_text(folder / cls.switch):
                return []
        except DomainError as error:
            return [str(error.strerror)]
        if rate is not None:
            problems += restore_text(files, folder / cls.rate, capped_text(rate, root))
        if switch is not None:
            problems += restore_text(files, folder / cls.switch, switch)
        return problems
