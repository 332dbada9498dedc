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

"""CPUs that are offline while leases need fewer, within what the operator allows.

Which they are is saved before the first is switched off. One that somebody else switches on in the
meantime is theirs; one that a power mode switches off, too, stays off.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

from e4_ros.energy.daemon.undo_record import Entry
from e4_ros.energy.domains.cpu_switches import CPUS, CpuSwitches, is_online, switch
from e4_ros.energy.domains.sysfs import KernelFiles
from e4_ros.energy.errors import DomainError
from e4_ros.energy.power_mode import SeenMode

_log = logging.getLogger(__name__)

ALL = 0
"""So many CPUs are needed by who has not said."""


class ParkedCpus:
    """The CPUs of one board that may go offline; not safe to use from several threads.

    Args:
        root: file system root that holds ``sys/``.
        spare: numbers of the CPUs that may be switched off; those without a switch stay.

    Attributes:
        cpus: numbers of those that are off for leases, ascending.
        problems: what could not be switched on again, one line for each.
    """

    kind = 'cpus'

    def __init__(self, root: Path, spare: Iterable[int] = ()) -> None:
        self._root = root
        self._spare = sorted({cpu for cpu in spare if (root / switch(cpu)).exists()})
        self.cpus: list[int] = []
        self._theirs: set[int] = set()  # switched by others; left alone until nobody parks
        self.problems: list[str] = []

    def wanted(self, needed: int) -> list[int]:
        """Which CPUs should be off, the last ones first, if so many are needed; `ALL`: none."""
        if needed == ALL or not self._spare:
            self._theirs.clear()
            return []
        can_go = [
            cpu
            for cpu in self._spare
            if cpu in self.cpus or (cpu not in self._theirs and is_online(self._root, cpu))
        ]
        surplus = max(len(self._online()) + len(self.cpus) - needed, 0)
        return can_go[len(can_go) - min(surplus, len(can_go)) :]

    def entries(self, more: Sequence[int] = ()) -> tuple[Entry, ...]:
        """What the undo log must hold while these CPUs, and more, are off."""
        snapshot = {switch(cpu): '1' for cpu in sorted({*self.cpus, *more})}
        return (Entry(self.kind, self.kind, snapshot),) if snapshot else ()

    def park(self, cpus: Sequence[int]) -> None:
        """Switch CPUs off; the undo log holds them already. One that refuses stays on."""
        for cpu in cpus:
            try:
                self._write(cpu, '0')
            except DomainError as error:
                _log.warning('CPU %d stays online: %s', cpu, error)
            else:
                self.cpus = sorted({*self.cpus, cpu})

    def bring_back(self, cpus: Sequence[int]) -> None:
        """Switch CPUs on again; those that refuse are `problems`, and can be tried once more."""
        files = KernelFiles()
        self.problems = []
        for cpu in cpus:
            wrong = CpuSwitches.restore_files(self._root, {switch(cpu): '1'}, files)
            self.problems += wrong
            if not wrong and cpu in self.cpus:
                self.cpus.remove(cpu)

    def follow(self, mode: SeenMode | None) -> bool:
        """Let go of what others have switched since.

        Args:
            mode: the power mode that was set just now; None: none was.

        Returns:
            Whether that was anything.
        """
        off_by_mode = {cpu for cpu, on in mode.cpus.items() if not on} if mode else set()
        theirs = {c for c in self.cpus if c in off_by_mode or is_online(self._root, c)}
        self._theirs |= theirs
        self.cpus = [cpu for cpu in self.cpus if cpu not in theirs]
        return bool(theirs)

    def _online(self) -> list[int]:
        folders = (self._root / CPUS).glob('cpu[0-9]*')
        numbers = (folder.name.removeprefix('cpu') for folder in folders)
        return [int(n) for n in numbers if n.isdigit() and is_online(self._root, int(n))]

    def _write(self, cpu: int, text: str) -> None:
        KernelFiles().write(self._root / switch(cpu), text)


def parse_cpus(text: str) -> tuple[int, ...]:
    """CPUs of a list such as ``4-7`` or ``2,3``; none of an empty one.

    Raises:
        ValueError: it is no such list.
    """
    found: set[int] = set()
    for part in filter(None, (part.strip() for part in text.split(','))):
        first, dash, last = part.partition('-')
        last = last if dash else first
        if not first.isdigit() or not last.isdigit() or int(last) > 4095:
            raise ValueError(f'{text!r} is no list of CPUs such as 4-7 or 2,3')
        found |= set(range(int(first), int(last) + 1))
    return tuple(sorted(found))
