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

from pathlib import Path

import pytest

from e4_ros.energy.power_mode import CONF, STATUS, SeenMode, read_power_mode

OPEN = 2**63 - 1
SYSFS = '/sys/devices'
# The shape of NVIDIA's own files: definitions of parameters, then the modes, then the default.
CONFIGURATION = f"""
# comment
< PARAM TYPE=FILE NAME=CPU_ONLINE >
CORE_0 {SYSFS}/system/cpu/cpu0/online
< PARAM TYPE=FILE NAME=TPC_POWER_GATING >
TPC_PG_MASK {SYSFS}/gpu.0/tpc_pg_mask
< PARAM TYPE=CLOCK NAME=CPU_A78_0 >
FREQ_TABLE {SYSFS}/system/cpu/cpu0/cpufreq/scaling_available_frequencies
MAX_FREQ {SYSFS}/system/cpu/cpu0/cpufreq/scaling_max_freq
MIN_FREQ {SYSFS}/system/cpu/cpu0/cpufreq/scaling_min_freq
< PARAM TYPE=CLOCK NAME=CPU_A78_1 >
MAX_FREQ {SYSFS}/system/cpu/cpu4/cpufreq/scaling_max_freq
MIN_FREQ {SYSFS}/system/cpu/cpu4/cpufreq/scaling_min_freq
< PARAM TYPE=CLOCK NAME=GPU >
MAX_FREQ {SYSFS}/17000000.ga10b/devfreq/17000000.ga10b/max_freq
MIN_FREQ {SYSFS}/17000000.ga10b/devfreq/17000000.ga10b/min_freq
< PARAM TYPE=CLOCK NAME=DLA0_CORE >
MAX_FREQ {SYSFS}/platform/13e40000.host1x/15880000.nvdla0/acm/clk_cap/dla0_core
< PARAM TYPE=CLOCK NAME=EMC >
MAX_FREQ /sys/kernel/nvpmodel_clk_cap/emc
< POWER_MODEL ID=0 NAME=MAXN >
CPU_ONLINE CORE_0 1
CPU_A78_0 MIN_FREQ 729600
CPU_A78_0 MAX_FREQ -1
GPU MIN_FREQ 0
GPU MAX_FREQ -1
EMC MAX_FREQ 0
< POWER_MODEL ID=2 NAME=MODE_30W >
CPU_ONLINE CORE_0 1
CPU_ONLINE CORE_11 0
CPU_ONLINE CORE_x 0
TPC_POWER_GATING TPC_PG_MASK 240
CPU_A78_0 MIN_FREQ 729600
CPU_A78_0 MAX_FREQ 1728000
CPU_A78_1 MIN_FREQ 729600
CPU_A78_1 MAX_FREQ 1420800
GPU MIN_FREQ 0
GPU MAX_FREQ 612000000
EMC MAX_FREQ 3199000000
DLA0_CORE MAX_FREQ 750000000
# mandatory section
< PM_CONFIG DEFAULT=2 >
"""


def machine(root: Path, status: str | None, conf: str | None = CONFIGURATION) -> Path:
    for name, text in ((STATUS, status), (CONF, conf)):
        if text is not None:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
    return root


def test_a_mode_has_number_name_and_limits(tmp_path):
    seen = read_power_mode(machine(tmp_path, 'pmode:0002 fmode:quiet\n'))
    assert seen == SeenMode(
        2,
        'MODE_30W',
        {
            'cpu': (729_600_000, 1_420_800_000),
            'gpu': (0, 612_000_000),
            'emc': (0, 3_199_000_000),
        },
        {0: True, 11: False},
    )
    assert seen.key == 'nvpmodel:2:MODE_30W'


def test_what_a_mode_leaves_open_has_no_end(tmp_path):
    seen = read_power_mode(machine(tmp_path, 'pmode:0000'))
    assert seen is not None
    assert seen.limits_hz == {'cpu': (729_600_000, OPEN), 'gpu': (0, OPEN), 'emc': (0, OPEN)}


def test_without_a_status_it_is_the_default_of_the_configuration(tmp_path):
    seen = read_power_mode(machine(tmp_path, None))
    assert seen is not None
    assert seen.key == 'nvpmodel:2:MODE_30W'


def test_a_status_alone_is_a_number(tmp_path):
    assert read_power_mode(machine(tmp_path, 'pmode:0007', None)) == SeenMode(7)
    assert SeenMode(7).key == 'nvpmodel:7'


def test_a_mode_that_the_configuration_lacks_has_no_limits(tmp_path):
    assert read_power_mode(machine(tmp_path, 'pmode:0009')) == SeenMode(9)


@pytest.mark.parametrize(
    ('status', 'conf'),
    [(None, None), ('', ''), ('garbage', '< POWER_MODEL NAME=>'), ('pmode:x', '\0\xff')],
)
def test_no_file_or_garbage_is_no_mode(tmp_path, status, conf):
    assert read_power_mode(machine(tmp_path, status, conf)) is None


@pytest.mark.parametrize(
    'lines',
    [
        '< SOMETHING NEW=1 >\nGPU MAX_FREQ 1',
        'GPU',
        'GPU MAX_FREQ banana',
        'GPU MAX_FREQ 1 2',
        'POWER_BUDGET CPU 15000',
        'CPU_NEW_9 MAX_FREQ 1000',
        '<<<>>>',
    ],
)
def test_unknown_lines_are_passed_over(tmp_path, lines):
    strange = CONFIGURATION.replace(
        'GPU MAX_FREQ 612000000\n', f'GPU MAX_FREQ 612000000\n{lines}\n'
    )
    seen = read_power_mode(machine(tmp_path, 'pmode:0002', strange))
    assert seen is not None
    assert seen.limits_hz['gpu'] == (0, 612_000_000)


def test_a_file_of_another_encoding_is_read_as_far_as_it_goes(tmp_path):
    root = machine(tmp_path, 'pmode:0002')
    (root / CONF).write_bytes(b'# \xe9\xff\n' + CONFIGURATION.encode())
    seen = read_power_mode(root)
    assert seen is not None
    assert seen.name == 'MODE_30W'
