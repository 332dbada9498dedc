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

import math
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from e4_ros.energy.board_model import BoardModel
from e4_ros.energy.boards import load_board
from e4_ros.energy.domains.discovery import discover
from e4_ros.energy.errors import DomainError
from e4_ros.energy.meters.meters import INA_PERIOD_S, Meter, model_meter, open_meter
from e4_ros.energy.meters.rapl import find_zones
from e4_ros.energy.meters.sources import CountedZone, SampledRail
from e4_ros.energy.virtual.board import write_tree
from e4_ros.energy.virtual.mount import mounted


def _write(folder: Path, **texts: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(f'{text}\n')


def _zone(root: Path, name: str, label: str, joules: float, range_uj: int = 10_000_000) -> Path:
    folder = root / 'sys/class/powercap' / name
    _write(folder, name=label, energy_uj=round(joules * 1e6), max_energy_range_uj=range_uj)
    return folder / 'energy_uj'


# -- arithmetic -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('wave', 'joules'),
    [
        (lambda t: 5.0, 10.0),
        (lambda t: 3 * t, 6.0),
        (lambda t: 4 + 3 * math.sin(2 * math.pi * t / 0.5), 8.0),
        (lambda t: 2.0 if t % 0.25 < 0.125 else 8.0, 10.0),
    ],
)
def test_a_waveform_sampled_at_the_refresh_is_within_two_percent(
    wave: Callable[[float], float], joules: float
) -> None:
    now = 0.0
    refresh_s = INA_PERIOD_S
    rail = SampledRail('VDD_IN', lambda: wave(now // refresh_s * refresh_s))
    while now <= 2.0:
        rail.advance(now)
        now += refresh_s
    assert rail.energy_j == pytest.approx(joules, rel=0.02)


def test_the_trapezoid_weighs_uneven_times() -> None:
    powers = iter([2.0, 4.0, 4.0])
    rail = SampledRail('r', lambda: next(powers))
    for time_s in (0.0, 0.5, 0.6):
        rail.advance(time_s)
    assert rail.energy_j == pytest.approx(1.5 + 0.4)
    assert (rail.power_w, rail.missing_s) == (4.0, 0.0)


def test_a_pause_in_which_nobody_asked_is_no_hole() -> None:
    now = 0.0
    meter = Meter('ina', [SampledRail('VDD_IN', lambda: 5.0)], {'VDD_IN'}, now=lambda: now)
    for now in (2.0, 4.0, 64.0):  # noqa: B007
        reading = meter.read()
    assert (reading.energy_j, reading.missing_s) == (20.0, 60.0)


def test_a_rail_is_silent_once_joules_are_missing_and_no_more_when_it_answers() -> None:
    now, dead = 0.0, True

    def watts() -> float:
        if dead:
            raise DomainError('no answer')
        return 5.0

    meter = Meter('ina', [SampledRail('VDD_IN', watts)], {'VDD_IN'}, now=lambda: now)
    silent = []
    for now, dead in ((0.5, True), (2.0, True), (2.1, False)):  # noqa: B007
        silent.append(meter.read().silent)
    assert silent == [(), ('VDD_IN',), ()]


def test_parts_are_read_only_for_whoever_asks() -> None:
    asked: list[str] = []

    def watts(label: str) -> float:
        asked.append(label)
        return 1.0

    labels = ('VDD_IN', 'VDD_SOC')
    rails = [SampledRail(label, partial(watts, label)) for label in labels]
    meter = Meter('ina', rails, {'VDD_IN'})
    assert set(meter.read().rails_j) == {'VDD_IN'}
    assert set(asked) == {'VDD_IN'}
    assert set(meter.read(parts=True).rails_j) == set(labels)


def test_a_counter_is_exact_across_its_wraps() -> None:
    total_uj, range_uj = 0, 65_536
    zone = CountedZone('package-0', lambda: total_uj % range_uj * 1e-6, range_uj * 1e-6)
    for step in range(1000):
        zone.advance(step * 0.1)
        total_uj += 50_021
    assert zone.energy_j == pytest.approx(999 * 50_021e-6, abs=1e-9)
    assert zone.power_w == pytest.approx(50_021e-6 / 0.1)


def test_a_hole_is_not_filled_and_is_told() -> None:
    now = 0.0
    dead = False

    def watts() -> float:
        if dead:
            raise DomainError('no answer')
        return 5.0

    meter = Meter('ina', [SampledRail('VDD_IN', watts)], {'VDD_IN'}, now=lambda: now)
    missing_s = []
    for now, dead in ((0.5, False), (0.9, True), (1.0, False), (2.0, True), (5.0, False)):  # noqa: B007
        reading = meter.read()
        missing_s.append(reading.missing_s)
    assert reading.energy_j == pytest.approx(5.0)
    assert missing_s == pytest.approx([0, 0.4, 0, 1.0, 4.0])


# -- counters as files ------------------------------------------------------------------------


def test_zones_inside_a_package_and_second_ways_to_it_are_not_counted(tmp_path: Path) -> None:
    _zone(tmp_path, 'intel-rapl:0', 'package-0', 1)
    _zone(tmp_path, 'intel-rapl:0/intel-rapl:0:0', 'core', 1)
    _zone(tmp_path, 'intel-rapl:0/intel-rapl:0:1', 'dram', 1)
    _zone(tmp_path, 'intel-rapl:1', 'psys', 1)
    _zone(tmp_path, 'intel-rapl:2', 'package-1', 1)
    _zone(tmp_path, 'intel-rapl:2/intel-rapl:2:0', 'core', 1)
    _zone(tmp_path, 'intel-rapl-mmio:0', 'package-0', 1)
    link = tmp_path / 'sys/class/powercap/intel-rapl:0:1'
    link.symlink_to('intel-rapl:0/intel-rapl:0:1')
    zones = find_zones(tmp_path)
    assert sorted(zone.label for zone in zones) == [
        'core', 'core-2:0', 'dram', 'package-0', 'package-1', 'psys',
    ]  # fmt: skip
    assert sorted(zone.label for zone in zones if zone.counted) == [
        'dram', 'package-0', 'package-1',
    ]  # fmt: skip


def test_a_wrap_of_rapl_is_seen_in_its_files(tmp_path: Path) -> None:
    counter = _zone(tmp_path, 'intel-rapl:0', 'package-0', 9.5, range_uj=9_999_999)
    with open_meter(tmp_path) as meter:
        counter.write_text('250000\n')
        assert meter.read().energy_j == pytest.approx(0.75)


def test_without_a_sensor_the_board_s_model_answers_and_says_so(tmp_path: Path) -> None:
    board = load_board('jetson_orin_nano')
    root = write_tree(board, tmp_path)
    with open_meter(root, board) as meter:
        reading = meter.read()
    assert (meter.name, reading.source) == ('model', 'modelled')
    assert set(reading.rails_j) == {*board.domains, *board.other_loads_w}


def test_the_model_follows_the_clocks(tmp_path: Path) -> None:
    board = load_board('jetson_orin_nano')
    domains = discover(write_tree(board, tmp_path))
    now = 0.0
    meter = model_meter(board, domains, load=lambda: {'gpu': 1.0}, now=lambda: now)
    gpu = next(domain for domain in domains if domain.name == 'gpu')
    gpu.open()
    powers = []
    for hz in (918_000_000, 306_000_000):
        gpu.set_hz(hz)
        meter.read()
        before_j, now = meter.read().energy_j, now + 0.5
        powers.append((meter.read().energy_j - before_j) / 0.5)
        point = BoardModel(board).default_point() | {'gpu': hz}
        assert powers[-1] == pytest.approx(BoardModel(board).total_w(point, {'gpu': 1.0}))
    assert powers[0] > powers[1]
    gpu.close()


def test_neither_sensor_nor_board_is_no_meter(tmp_path: Path) -> None:
    assert open_meter(tmp_path) is None


# -- through the kernel -----------------------------------------------------------------------


@pytest.mark.fuse
@pytest.mark.parametrize(
    ('board', 'name', 'load'),
    [
        # Sampled rails know no more of a wave than a busy machine lets them sample.
        ('jetson_orin_nano', 'ina', '0.5'),
        ('jetson_tx2', 'ina', '0.5'),
        ('laptop_x86', 'counters', '0.2 0.8 0.1'),
    ],
)
def test_a_meter_finds_the_energy_of_a_virtual_board(
    board: str, name: str, load: str, tmp_path: Path
) -> None:
    with mounted(board, tmp_path / 'root') as root:
        (root / 'e4/load/cpu').write_text(load)
        with open_meter(root, load_board(board)) as meter:
            assert meter.name == name

            def read() -> tuple[float, float, float]:
                """Joules found, between the true ones before and after."""
                before_j = float((root / 'e4/energy_j').read_text())
                found_j = meter.read().energy_j
                return before_j, found_j, float((root / 'e4/energy_j').read_text())

            first = read()
            time.sleep(2.0)
            last = read()
            reading = meter.read()
    assert reading.source == 'measured'
    least_j, most_j = last[0] - first[2], last[2] - first[0]
    assert 0.95 * least_j <= last[1] - first[1] <= 1.05 * most_j


@pytest.mark.fuse
def test_a_monitor_that_dies_leaves_a_hole_and_is_read_again(tmp_path: Path) -> None:
    with mounted('jetson_orin_nano', tmp_path / 'root') as root, open_meter(root) as meter:
        before_s = time.monotonic()
        meter.read()
        (root / 'e4/faults').write_text('unreadable:*curr1_input')
        time.sleep(1.2)
        (root / 'e4/faults').write_text('\n')
        reading = meter.read()
        longest_s = time.monotonic() - before_s
    assert 1.0 < reading.missing_s <= longest_s
    assert reading.energy_j > 0
