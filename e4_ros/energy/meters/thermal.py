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

"""The board's temperatures, from the kernel's thermal zones, each with the limit of its own.

Sources: Documentation/driver-api/thermal/sysfs-api.rst (`temp` and trips are in millidegrees); the
zones are those of public listings of Jetsons, Raspberry Pis and PCs.
"""

from __future__ import annotations

import time
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

ZONES = 'sys/class/thermal/thermal_zone*'

_NOT_THE_CHIP = (
    'PMIC-Die', 'PLL-therm', '*-fan-est', '*_fan_est', 'iwlwifi*', 'INT3400*', 'acpitz',
)  # fmt: skip
"""Zones that say nothing about the chip: a power converter that always reads 100 °C (Jetson Nano,
TX2, Xavier), PLLs whose passive trip at 70 °C only refreshes the DRAM more often (`tegra-dram` in a
Nano's device tree), estimates for the fan, radios, and what firmware makes up."""

_TURBO = ('x86_pkg_temp', 'TCPU*', 'B0D4')
"""Package zones of x86: they touch 95 to 100 °C under normal turbo, and slow down by themselves."""

_BELIEVED_C = (-40.0, 150.0)
_BELIEVED_TRIP_C = (50.0, 150.0)  # colder ones are steps of fans and voltages, or switched off
_CONSTANT_S = 10.0


class ZoneReading(NamedTuple):
    """One thermal zone.

    Attributes:
        name: folder of the zone, as ``thermal_zone3``.
        kind: the zone's `type`.
        temperature_c: temperature in °C.
        limit_c: temperature in °C from which on the zone is too hot.
    """

    name: str
    kind: str
    temperature_c: float
    limit_c: float


class ThermalZones:
    """The zones that say how hot the chip is, with the limit of each; keeps what it has seen.

    A zone's limit is its own lowest passive or hot trip, where the kernel begins to slow the clocks
    down, and never more than `over_temperature_c`. Left out: zones of other parts, of an x86
    package, with absurd readings, and hot ones whose reading has never changed in ten seconds.

    Args:
        root: folder that holds ``sys/``.
        over_temperature_c: highest limit in °C; the only one of a zone without a trip of its own.
    """

    def __init__(self, root: str | Path = '/', over_temperature_c: float = 95.0) -> None:
        self._root = Path(root)
        self._over_c = over_temperature_c
        self._limits_c: dict[Path, tuple[str, float]] = {}
        self._first: dict[Path, tuple[float, float]] = {}  # reading, and when
        self._changed: set[Path] = set()

    def read(self) -> list[ZoneReading]:
        """The zones now; one that cannot be read (disabled sensors answer EAGAIN) is left out."""
        readings = []
        for zone in sorted(self._root.glob(ZONES)):
            kind, limit_c = self._limit(zone)
            celsius = _celsius(zone / 'temp')
            if celsius is None or not kind or not _within(celsius, _BELIEVED_C):
                continue
            if not self._constant(zone, celsius) or celsius < limit_c:
                readings.append(ZoneReading(zone.name, kind, celsius, limit_c))
        return readings

    def _limit(self, zone: Path) -> tuple[str, float]:
        """Type and limit of a zone; an empty type for one that does not count."""
        if zone not in self._limits_c:
            kind = _text(zone / 'type') or 'unknown'
            counts = not any(fnmatch(kind, pattern) for pattern in (*_NOT_THE_CHIP, *_TURBO))
            self._limits_c[zone] = (kind if counts else '', min(self._over_c, *_trips_c(zone)))
        return self._limits_c[zone]

    def _constant(self, zone: Path, celsius: float) -> bool:
        """Whether a zone has read the same since it was first seen, and for long enough."""
        now_s = time.monotonic()
        first_c, since_s = self._first.setdefault(zone, (celsius, now_s))
        if first_c != celsius:
            self._changed.add(zone)
        return zone not in self._changed and now_s - since_s >= _CONSTANT_S


def hottest_c(root: str | Path = '/') -> float | None:
    """Temperature in °C of the hottest zone that counts, or None where there is none."""
    return max((zone.temperature_c for zone in ThermalZones(root).read()), default=None)


def nearest_to_limit(root: str | Path = '/') -> ZoneReading | None:
    """The zone that is nearest to its limit, or the furthest above; None where there is none."""
    zones = ThermalZones(root).read()
    return max(zones, key=lambda zone: zone.temperature_c - zone.limit_c, default=None)


def _trips_c(zone: Path) -> list[float]:
    """Passive and hot trips that are believed, with infinity behind them."""
    trips_c = [float('inf')]
    for path in zone.glob('trip_point_*_type'):
        celsius = _celsius(path.with_name(path.name.replace('_type', '_temp')))
        if _text(path) in ('passive', 'hot') and celsius and _within(celsius, _BELIEVED_TRIP_C):
            trips_c.append(celsius)
    return trips_c


def _within(celsius: float, span: tuple[float, float]) -> bool:
    return span[0] <= celsius <= span[1]


def _celsius(path: Path) -> float | None:
    try:
        return int(path.read_text()) / 1000
    except (OSError, ValueError):
        return None


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, ValueError):
        return ''
