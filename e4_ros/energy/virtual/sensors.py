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

"""Power monitors of a virtual board: the files of an INA3221, an INA238 or RAPL.

An INA shows the mean power of its last conversion, in steps of its converter; RAPL counts joules
and wraps. Sources: drivers/hwmon/ina3221.c, ina238.c, drivers/powercap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from math import floor

from e4_ros.energy.boards import PowerMonitor, Rail
from e4_ros.energy.virtual.clocks import Attribute

_BUS_MV = 8
_SHUNT_MA = 8
"""An INA3221's steps: 8 mV on the bus, 40 µV on the shunt, which is 8 mA at Jetson's 5 mΩ."""
RAPL_RANGE_UJ = 262_143_328_850
_RAPL_HEADROOM_UJ = 5_000_000
"""Counters start this far below the wrap, so that every run of some seconds sees one."""


class VirtualRail:
    """One channel: its true energy, and the power that the monitor shows for it.

    Args:
        watts: function that returns the power of the rail now, in watts.
        refresh_s: seconds of one conversion.

    Attributes:
        energy_j: true energy of the rail since the start, in joules.
        shown_w: mean power of the last conversion, in watts.
    """

    def __init__(self, watts: Callable[[], float], refresh_s: float) -> None:
        self._watts = watts
        self._refresh_s = refresh_s
        self.energy_j = 0.0
        self._edge = -1
        self._edges_j = (0.0, 0.0)
        self.shown_w = 0.0

    def flow(self, start_s: float, end_s: float) -> None:
        """Add the energy of an interval in which the power is constant."""
        watts, before_j = self._watts(), self.energy_j
        self.energy_j += watts * (end_s - start_s)
        edge = floor(end_s / self._refresh_s)
        if self._edge < 0:
            self.shown_w = watts
        elif edge > self._edge:

            def at(time_s: float) -> float:
                return before_j + watts * (time_s - start_s)

            previous_s = (edge - 1) * self._refresh_s
            previous_j = at(previous_s) if edge - 1 > self._edge else self._edges_j[1]
            self._edges_j = (previous_j, at(edge * self._refresh_s))
            self.shown_w = (self._edges_j[1] - previous_j) / self._refresh_s
        if self._edge < 0:
            self._edges_j = (self.energy_j, self.energy_j)
        self._edge = edge


def monitor_attributes(
    monitor: PowerMonitor, channels: list[tuple[Rail, VirtualRail]]
) -> Iterator[tuple[str, Attribute]]:
    """Path below the root and attribute, of each file of one monitor."""
    if monitor.kind == 'rapl':
        yield from _rapl(monitor.path, channels)
        return
    chip = 'ina238' if monitor.kind == 'ina238_hwmon' else 'ina3221'
    device = monitor.path.split('/hwmon/')[0].split('/iio:')[0]
    yield f'{device}/name', Attribute(lambda: chip)
    if monitor.path != device:
        yield f'{monitor.path}/name', Attribute(lambda: chip)
    make = {'ina3221_hwmon': _hwmon, 'ina3221_iio': _iio, 'ina238_hwmon': _ina238}[monitor.kind]
    for rail, virtual in channels:
        for name, read in make(rail, virtual):
            yield f'{monitor.path}/{name}', Attribute(read)


_Reads = Iterator[tuple[str, Callable[[], object]]]


def _volts_mv(rail: Rail) -> int:
    return round(rail.volts * 1000 / _BUS_MV) * _BUS_MV


def _current_ma(rail: Rail, virtual: VirtualRail) -> int:
    return round(virtual.shown_w / rail.volts * 1000 / _SHUNT_MA) * _SHUNT_MA


def _hwmon(rail: Rail, virtual: VirtualRail) -> _Reads:
    k = rail.channel
    yield f'in{k}_label', lambda: rail.label
    yield f'in{k}_enable', lambda: 1
    yield f'in{k}_input', lambda: _volts_mv(rail)
    yield f'curr{k}_input', lambda: _current_ma(rail, virtual)


def _iio(rail: Rail, virtual: VirtualRail) -> _Reads:
    k = rail.channel
    yield f'rail_name_{k}', lambda: rail.label
    yield f'in_voltage{k}_input', lambda: _volts_mv(rail)
    yield f'in_current{k}_input', lambda: _current_ma(rail, virtual)
    yield f'in_power{k}_input', lambda: _volts_mv(rail) * _current_ma(rail, virtual) // 1000


def _ina238(rail: Rail, virtual: VirtualRail) -> _Reads:
    yield 'label', lambda: rail.label
    yield 'power1_input', lambda: round(virtual.shown_w * 1e6)


def _rapl(path: str, channels: list[tuple[Rail, VirtualRail]]) -> Iterator[tuple[str, Attribute]]:
    for rail, virtual in channels:
        # Channel 0 is the package, the others are zones inside it.
        zone = path if rail.channel == 0 else f'{path}/{path.rpartition("/")[2]}:{rail.channel - 1}'
        yield f'{zone}/name', Attribute(partial(str, rail.label))
        yield f'{zone}/energy_uj', Attribute(partial(_counter_uj, virtual), root_only=True)
        yield f'{zone}/max_energy_range_uj', Attribute(lambda: RAPL_RANGE_UJ)


def _counter_uj(virtual: VirtualRail) -> int:
    return (RAPL_RANGE_UJ - _RAPL_HEADROOM_UJ + int(virtual.energy_j * 1e6)) % RAPL_RANGE_UJ
