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

"""Taking CPUs offline: the files `cpu*/online`.

Source: Documentation/core-api/cpu_hotplug.rst. A CPU that must stay (often cpu0) has no such file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from e4_ros.energy.domains.sysfs import KernelFiles, read_int
from e4_ros.energy.errors import DomainError, Snapshot

TOP = 'sys'
CPUS = 'sys/devices/system/cpu'
FILES = ('online',)

_SWITCH = re.compile(rf'{CPUS}/cpu(\d+)/online')


def switch(cpu: int) -> str:
    """Path below the root of the file that takes a CPU on- and offline."""
    return f'{CPUS}/cpu{cpu}/online'


def cpu_of(name: str) -> int:
    """Number of the CPU whose switch a file is.

    Raises:
        DomainError: it is none.
    """
    found = _SWITCH.fullmatch(name)
    if found is None:
        raise DomainError(f'{name!r} is not the switch of a CPU')
    return int(found[1])


def is_online(root: Path, cpu: int) -> bool:
    """Whether a CPU runs; one without a switch does, if it exists."""
    path = root / switch(cpu)
    try:
        return bool(read_int(path)) if path.exists() else path.parent.exists()
    except DomainError:
        return False


class CpuSwitches:
    """What the recovery of saved state needs of this kind; see `Domain`."""

    @staticmethod
    def away_files(root: Path, snapshot: Mapping[str, str]) -> Snapshot:
        """Switches are always there."""
        return {}

    @staticmethod
    def restore_files(root: Path, snapshot: Mapping[str, str], files: KernelFiles) -> list[str]:
        """Bring the CPUs back that a snapshot calls online; one line for each that stays away."""
        problems = []
        for name, text in snapshot.items():
            cpu = cpu_of(name)
            if text.strip() != '1' or is_online(root, cpu):
                continue
            try:
                files.write(root / name, '1')
            except DomainError as error:
                problems.append(str(error))
        return problems
