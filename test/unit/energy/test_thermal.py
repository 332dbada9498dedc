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

from __future__ import annotations

import pytest

from e4_ros.energy.meters import thermal
from e4_ros.energy.meters.thermal import ThermalZones, hottest_c


@pytest.fixture
def zone(tmp_path):
    """Write a zone of a listing: its type, reading and trips in millidegrees."""

    def write(number, kind, text, **trips):
        folder = tmp_path / f'sys/class/thermal/thermal_zone{number}'
        folder.mkdir(parents=True, exist_ok=True)
        (folder / 'type').write_text(f'{kind}\n')
        (folder / 'temp').write_text(f'{text}\n')
        for index, (trip, millidegrees) in enumerate(trips.items()):
            (folder / f'trip_point_{index}_type').write_text(f'{trip.rstrip("_")}\n')
            (folder / f'trip_point_{index}_temp').write_text(f'{millidegrees}\n')
        return folder

    return write


def kinds_and_limits(root, over_c=95.0):
    return {zone.kind: zone.limit_c for zone in ThermalZones(root, over_c).read()}


def test_a_nano_is_as_hot_as_its_chip(tmp_path, zone):
    for number, (kind, text) in enumerate(
        [
            ('AO-therm', 41500),
            ('CPU-therm', 34000),
            ('PMIC-Die', 100000),
            ('thermal-fan-est', 99000),
        ]
    ):
        zone(number, kind, text)
    assert hottest_c(tmp_path) == 41.5
    assert kinds_and_limits(tmp_path) == {'AO-therm': 95, 'CPU-therm': 95}


def test_zones_of_other_parts_and_of_an_x86_package_do_not_count(tmp_path, zone):
    for number, kind in enumerate(
        ['iwlwifi_1', 'INT3400 Thermal', 'acpitz', 'x86_pkg_temp', 'TCPU', 'thermal_fan_est']
    ):
        zone(number, kind, 99000)
    assert hottest_c(tmp_path) is None


def test_lowest_passive_or_hot_trip_is_the_limit(tmp_path, zone):
    zone(0, 'cpu-thermal', 50000, active=55000, hot=93000, passive=88000, critical=104500)
    zone(1, 'tj-thermal', 50000, passive=99000, critical=70000)
    assert kinds_and_limits(tmp_path) == {'cpu-thermal': 88, 'tj-thermal': 95}
    assert kinds_and_limits(tmp_path, 80) == {'cpu-thermal': 80, 'tj-thermal': 80}


@pytest.mark.parametrize('millidegrees', ['0', '-274000', '15000', '2147483647', 'none', ''])
def test_trips_that_mean_nothing_leave_the_general_limit(tmp_path, zone, millidegrees):
    zone(0, 'GPU-therm', 50000, passive=millidegrees, passive_=90000, hot=millidegrees)
    assert kinds_and_limits(tmp_path) == {'GPU-therm': 90}


@pytest.mark.parametrize('text', ['-256000', '2147483647', 'garbage', '', '-40001'])
def test_absurd_readings_are_passed_over(tmp_path, zone, text):
    zone(0, 'Tboard', text)
    zone(1, 'CPU-therm', 40000)
    assert kinds_and_limits(tmp_path) == {'CPU-therm': 95}


def test_a_hot_reading_counts_until_it_proves_constant(tmp_path, zone, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(thermal.time, 'monotonic', lambda: now[0])
    zone(0, 'Stuck', 100000)
    heating = zone(1, 'CPU-therm', 40000)
    zones = ThermalZones(tmp_path)
    assert [z.kind for z in zones.read()] == ['Stuck', 'CPU-therm']
    (heating / 'temp').write_text('97000\n')
    for now[0] in (5.0, 9.9):
        assert [z.kind for z in zones.read()] == ['Stuck', 'CPU-therm']
    for now[0] in (10.0, 60.0):
        assert [z.kind for z in zones.read()] == ['CPU-therm']
    zone(0, 'Stuck', 99000)
    assert [z.kind for z in zones.read()] == ['Stuck', 'CPU-therm']


def test_a_zone_without_a_type_counts(tmp_path, zone):
    (zone(0, 'any', 97000) / 'type').unlink()
    assert kinds_and_limits(tmp_path) == {'unknown': 95}
