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

from e4_ros.energy.domains.cooling import Cooling, cooling_devices, heat_state
from e4_ros.energy.meters.slowdowns import gated_tpcs, slowdowns

HWMON = 'sys/class/hwmon/hwmon3'


@pytest.fixture
def write(tmp_path):
    def write(path, text):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f'{text}\n')

    return write


@pytest.fixture
def cooling(write):
    def cooling(number, kind, state, most):
        folder = f'sys/class/thermal/cooling_device{number}'
        for name, text in {'type': kind, 'cur_state': state, 'max_state': most}.items():
            write(f'{folder}/{name}', text)

    return cooling


def test_a_board_at_ease_has_none(tmp_path, write, cooling):
    cooling(0, 'pwm-fan', 3, 4)
    cooling(1, 'LCD', 80, 100)
    cooling(2, 'cpufreq-cpu0', 0, 12)
    cooling(3, 'intel_powerclamp', -1, 50)
    write(f'{HWMON}/oc3_event_cnt', 0)
    write(f'{HWMON}/oc3_throt_en', 1)
    write(f'{HWMON}/curr1_crit_alarm', 0)
    assert slowdowns(tmp_path) == []
    assert heat_state(tmp_path) == 0
    assert gated_tpcs(tmp_path) is None
    assert len(cooling_devices(tmp_path)) == 4


def test_cooling_devices_that_hold_clocks_down_are_named(tmp_path, cooling):
    cooling(0, 'cpufreq-cpu0', 2, 12)
    cooling(1, 'devfreq-17000000.gpu', 5, 10)
    cooling(2, 'pwm-fan', 4, 4)
    assert heat_state(tmp_path) == 7
    assert slowdowns(tmp_path) == [
        'cpufreq-cpu0 cools (2 of 12)',
        'devfreq-17000000.gpu cools (5 of 10)',
    ]


def test_a_cooling_device_that_says_nothing_is_passed_over(tmp_path, write, cooling):
    cooling(0, 'gpu-balanced', 'none', 3)
    write('sys/class/thermal/cooling_device1/type', 'cpu-balanced')
    cooling(2, 'cpu-balanced', 1, 3)
    assert cooling_devices(tmp_path) == [Cooling('cpu-balanced', 1, 3)]


def test_over_current_is_counted_and_its_rail_named(tmp_path, write):
    write(f'{HWMON}/oc3_event_cnt', 37)
    write('sys/class/hwmon/hwmon1/curr1_crit_alarm', 1)
    write('sys/class/hwmon/hwmon1/in1_label', 'VDD_IN')
    write('sys/class/hwmon/hwmon1/curr2_max_alarm', 1)
    assert slowdowns(tmp_path) == [
        '37 times instantaneous over-current since the start (OC3)',
        'the current of VDD_IN is above its critical limit',
        'the current of hwmon1 rail 2 is above its warning limit',
    ]


@pytest.mark.parametrize(
    ('bits', 'says'),
    [
        ('0', []),
        ('5', ['under-voltage', 'the firmware throttles']),
        ('50000', ['since the start there was: under-voltage, the firmware throttles']),
        ('garbage', []),
    ],
)
def test_the_firmware_of_a_raspberry_pi_says_why(tmp_path, write, bits, says):
    write('sys/devices/platform/soc/soc:firmware/get_throttled', bits)
    assert slowdowns(tmp_path) == says


def test_gated_tpcs_are_counted(tmp_path, write):
    write('sys/devices/platform/gpu.0/tpc_pg_mask', 240)
    assert gated_tpcs(tmp_path) == 4
