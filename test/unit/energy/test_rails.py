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

"""Power rails as plain files: what is a rail, which of them count, and what becomes of broken ones.

Labels and powers are those of public listings; docs/energy.md names them.
"""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from e4_ros.energy.meters.meters import open_meter
from e4_ros.energy.meters.rails import find_rails

HWMON = 'sys/bus/i2c/devices/1-0040/hwmon/hwmon3'


def _write(folder: Path, **texts: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(f'{text}\n')


def _channel(folder: Path, k: int, label: str, millivolts: int, milliamperes: int) -> None:
    _write(
        folder,
        **{f'in{k}_label': label, f'in{k}_input': millivolts, f'curr{k}_input': milliamperes},
    )


def _monitor(root: Path, device: str, *rails: tuple[str, float], form: str = 'hwmon') -> Path:
    """An INA3221 at a device such as `1-0040`; each rail with its watts, at 5 V."""
    folder = root / 'sys/bus/i2c/devices' / device / ('hwmon/hwmon3', 'iio:device0')[form == 'iio']
    _write(folder, name='ina3221' if form == 'hwmon' else 'ina3221x')
    for k, (label, watts) in enumerate(rails, start=1):
        if form == 'hwmon':
            _channel(folder, k, label, 5000, round(watts * 200))
        else:
            texts = {f'in_voltage{k}_input': 5000, f'in_current{k}_input': round(watts * 200)}
            _write(folder, **{f'rail_name_{k}': label, **texts})
    return folder


def _thor(root: Path, **label: str) -> None:
    _monitor(
        root, '2-0040', ('VDD_GPU', 2.42), ('VDD_CPU_SOC_MSS', 6.49), ('VIN_SYS_5V0', 6.5)
    )  # fmt: skip
    carrier = root / 'sys/bus/i2c/devices/2-0044/hwmon/hwmon5'
    _write(carrier, name='ina238', in1_input=19900, power1_input=23_000_000, **label)


def _watts(root: Path) -> float:
    meter = open_meter(root, start=False)
    assert meter is not None
    return meter.read().power_w


@pytest.mark.parametrize('label', [{}, {'power1_label': 'VIN'}, {'in1_label': 'VIN'}])
def test_a_thor_takes_what_its_carrier_takes_and_no_more(
    tmp_path: Path, label: dict[str, str]
) -> None:
    _thor(tmp_path, **label)
    assert _watts(tmp_path) == 23.0


def test_a_thor_without_its_carrier_s_monitor_is_the_sum_of_its_rails(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _thor(tmp_path)
    (tmp_path / 'sys/bus/i2c/devices/2-0044/hwmon/hwmon5/power1_input').write_text('')
    with caplog.at_level(logging.WARNING):
        assert _watts(tmp_path) == pytest.approx(2.42 + 6.49 + 6.5)
    assert 'rail VIN is left out' in caplog.text


def test_memory_of_an_agx_orin_counts_once(tmp_path: Path) -> None:
    rails = ('VDD_GPU_SOC', 3.15), ('VDD_CPU_CV', 14.31), ('VIN_SYS_5V0', 4.97)
    _monitor(tmp_path, '1-0040', *rails)
    _monitor(tmp_path, '1-0041', ('NC', 0.0), ('VDDQ_VDD2_1V8AO', 1.09), ('NC', 0.0))
    assert _watts(tmp_path) == pytest.approx(3.15 + 14.31 + 4.97)


def test_an_agx_xavier_is_the_sum_of_its_rails(tmp_path: Path) -> None:
    _monitor(tmp_path, '1-0040', ('GPU', 0.4), ('CPU', 1.2), ('SOC', 1.5))
    _monitor(tmp_path, '1-0041', ('CV', 0.0), ('VDDRQ', 0.6), ('SYS5V', 2.1))
    assert _watts(tmp_path) == pytest.approx(5.8)


@pytest.mark.parametrize(
    ('form', 'rails', 'watts'),
    [
        ('hwmon', [('VDD_IN', 4.5), ('VDD_CPU_GPU_CV', 0.6), ('VDD_SOC', 1.4)], 4.5),  # Orin Nano
        ('iio', [('POM_5V_IN', 2.5), ('POM_5V_GPU', 0.1), ('POM_5V_CPU', 0.4)], 2.5),  # Nano
        ('iio', [('VDD_MUX', 7.6), ('VDD_IN', 3.8), ('VDD_SYS_CPU', 0.6)], 3.8),  # TX2
    ],
)
def test_a_board_s_input_contains_the_other_rails(
    tmp_path: Path, form: str, rails: list[tuple[str, float]], watts: float
) -> None:
    _monitor(tmp_path, '1-0040', *rails, form=form)
    assert _watts(tmp_path) == pytest.approx(watts)


def test_channels_that_are_no_rails_are_left_out(tmp_path: Path) -> None:
    folder = tmp_path / HWMON
    _write(folder, name='ina3221')
    _channel(folder, 1, 'VDD_GPU_SOC', 20000, 400)
    _channel(folder, 2, 'NC', 0, 0)
    _channel(folder, 3, 'VIN_SYS_5V0', 5000, 1000)
    _channel(folder, 4, 'sum of shunt voltages', 7, 100)
    _channel(folder, 7, 'sum of shunt voltages', 5, 5)
    _write(folder, in5_input=3, in5_label='shunt 1')
    _write(tmp_path / 'sys/bus/i2c/devices/1-0050/hwmon/hwmon4', name='tmp451', temp1_input=30000)
    assert {rail.label: rail.watts() for rail in find_rails(tmp_path)} == {
        'VDD_GPU_SOC': 8.0,
        'VIN_SYS_5V0': 5.0,
    }


def test_the_same_monitor_by_two_ways_is_one(tmp_path: Path) -> None:
    folder = tmp_path / HWMON
    _write(folder, name='ina3221')
    _channel(folder, 1, 'VDD_GPU_SOC', 20000, 400)
    (tmp_path / 'sys/class/hwmon').mkdir(parents=True)
    (tmp_path / 'sys/class/hwmon/hwmon3').symlink_to(folder)
    assert len(find_rails(tmp_path)) == 1


def test_the_iio_form_is_found_below_its_driver(tmp_path: Path) -> None:
    folder = tmp_path / 'sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0'
    texts = {'in_voltage0_input': 5000, 'in_current0_input': 500}
    _write(folder, rail_name_0='POM_5V_IN', **texts)
    assert _watts(tmp_path) == 2.5


def test_a_channel_that_does_not_answer_is_left_out(tmp_path: Path) -> None:
    folder = _monitor(tmp_path, '1-0040', ('VDD_GPU_SOC', 8.0), ('VDD_CPU_CV', 8.0))
    (folder / 'curr2_input').write_text('')
    assert [rail.label for rail in find_rails(tmp_path)] == ['VDD_GPU_SOC']


@pytest.mark.parametrize('text', ['', 'garbage', '999999999'])
def test_a_rail_that_reads_garbage_is_told_once_and_is_read_again(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = _monitor(tmp_path, '1-0040', ('VDD_IN', 5.0))
    meter = open_meter(tmp_path, start=False)
    assert meter is not None
    (folder / 'curr1_input').write_text(text)
    with caplog.at_level(logging.WARNING):
        meter.read()
        meter.read()
        assert caplog.text.count('rail VDD_IN does not answer') == 1
        (folder / 'curr1_input').write_text('1000')
        assert meter.read().power_w == 5.0
    assert 'rail VDD_IN answers again' in caplog.text


def test_an_offset_a_little_below_zero_is_believed(tmp_path: Path) -> None:
    _monitor(tmp_path, '1-0040', ('VDD_GPU', -0.39), ('VDD_CPU_SOC_MSS', 3.92))
    assert _watts(tmp_path) == pytest.approx(3.53)
