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

"""What the kernel says of batteries, and what a saving means to one."""

from __future__ import annotations

from pathlib import Path

import pytest

from e4_ros.evaluation.comparison.battery import Battery, read_battery, runtime
from e4_ros.evaluation.comparison.intervals import Interval


def _supply(root: Path, name: str, **files: object) -> None:
    folder = root / 'sys/class/power_supply' / name
    folder.mkdir(parents=True)
    for file, text in files.items():
        (folder / file).write_text(f'{text}\n')


def test_a_battery_by_energy_says_size_and_draw(tmp_path: Path) -> None:
    _supply(tmp_path, 'AC', type='Mains', online=0)
    _supply(
        tmp_path, 'BAT0', type='Battery', status='Discharging', energy_full=50_000_000,
        power_now=20_000_000,
    )  # fmt: skip
    assert read_battery(tmp_path) == Battery('BAT0', 50.0, 20.0)


def test_a_battery_by_charge_counts_with_its_voltage(tmp_path: Path) -> None:
    _supply(
        tmp_path, 'bq27', type='Battery', status='Discharging', charge_full=5_000_000,
        voltage_min_design=14_800_000, voltage_now=15_000_000, current_now=-2_000_000,
    )  # fmt: skip
    found = read_battery(tmp_path)
    assert found is not None
    assert found.full_wh == pytest.approx(74.0)
    assert found.draw_w == pytest.approx(30.0)


@pytest.mark.parametrize(
    'files',
    [
        {'type': 'Battery'},
        {'type': 'Battery', 'energy_full': 'garbage'},
        {'type': 'Battery', 'energy_full': 0},
        {'type': 'Battery', 'scope': 'Device', 'energy_full': 1_000_000},
        {'type': 'Mains', 'energy_full': 1_000_000},
        {},
    ],
)
def test_a_battery_that_says_nothing_is_none(tmp_path: Path, files: dict[str, object]) -> None:
    _supply(tmp_path, 'BAT0', **files)
    assert read_battery(tmp_path) is None


def test_a_machine_without_a_battery_has_none(tmp_path: Path) -> None:
    assert read_battery(tmp_path) is None


def test_a_charging_battery_says_no_draw(tmp_path: Path) -> None:
    _supply(
        tmp_path, 'BAT0', type='Battery', status='Charging', energy_full=50_000_000, power_now=9e6
    )
    assert read_battery(tmp_path) == Battery('BAT0', 50.0)


def test_minutes_count_what_the_rest_of_the_robot_draws() -> None:
    found = runtime(Battery('b', 60.0), 5.0, Interval(1.0, 0.8, 1.2), others_w=15.0)
    assert found is not None
    assert found.whole_robot
    assert found.stock_minutes == pytest.approx(180.0)
    assert found.gained_minutes.value == pytest.approx(60 * 60 / 19 - 180)
    assert found.gained_minutes.low == pytest.approx(60 * 60 / 19.2 - 180)


def test_the_battery_s_own_word_counts_where_nothing_was_told() -> None:
    assert runtime(Battery('b', 60.0, 20.0), 5.0, Interval(1.0)).draw_w == 20.0  # type: ignore[union-attr]
    alone = runtime(Battery('b', 60.0, 3.0), 5.0, Interval(1.0))  # less than the board: no word
    assert alone is not None
    assert (alone.draw_w, alone.whole_robot) == (5.0, False)


def test_a_saving_of_all_that_is_drawn_is_not_believed() -> None:
    assert runtime(Battery('b', 60.0), 5.0, Interval(5.0)) is None


def test_an_interval_beyond_what_is_drawn_leaves_the_minutes_without_one() -> None:
    found = runtime(Battery('b', 60.0), 5.0, Interval(1.0, -4.0, 6.0))
    assert found is not None
    assert found.gained_minutes.value == pytest.approx(180.0)
    assert not found.gained_minutes.known
