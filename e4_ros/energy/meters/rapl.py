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

"""Energy counters of x86 processors (RAPL, through powercap).

A counter runs from 0 to `max_energy_range_uj` and starts again; it is readable by root only since
CVE-2020-8694. Sources: drivers/powercap; Documentation/power/powercap/powercap.rst.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from e4_ros.energy.domains.sysfs import KernelFile, read_int, read_text

# `intel-rapl-mmio:0` is the package once more, through other registers: not counted again.
_PLACES = ('sys/class/powercap/intel-rapl:*', 'sys/class/powercap/intel-rapl:*/intel-rapl:*:*')
_COUNTED = ('package', 'dram')
_J_PER_UJ = 1e-6


@dataclass(frozen=True, slots=True)
class EnergyZone:
    """One energy counter.

    Attributes:
        label: `package-0`, `core`, `dram`, ...; a second one of a name has its zone's number
            appended.
        joules: function that reads the counter in joules; raises `DomainError` if it cannot.
        range_j: joules after which the counter starts again at 0.
        counted: whether it belongs to the sum: packages, and memory, which lies outside them.
            Cores and graphics are parts of their package; `psys` contains everything but is often
            not connected.
    """

    label: str
    joules: Callable[[], float]
    range_j: float
    counted: bool


def find_zones(root: str | Path = '/') -> list[EnergyZone]:
    """The energy counters below `root`.

    Raises:
        NotPermitted: there are counters, but this user may not read them.
    """
    zones: dict[Path, EnergyZone] = {}
    labels: set[str] = set()
    for place in _PLACES:
        for folder in sorted(Path(root).glob(place)):
            if folder.resolve() in zones or not (folder / 'energy_uj').exists():
                continue
            name = read_text(folder / 'name')
            label = f'{name}-{folder.name.partition(":")[2]}' if name in labels else name
            labels.add(label)
            zones[folder.resolve()] = EnergyZone(
                label,
                _counter(folder / 'energy_uj'),
                (read_int(folder / 'max_energy_range_uj') + 1) * _J_PER_UJ,
                name.startswith(_COUNTED),
            )
    return list(zones.values())


def _counter(path: Path) -> Callable[[], float]:
    file = KernelFile(path, readonly=True)
    return lambda: file.read_int() * _J_PER_UJ
