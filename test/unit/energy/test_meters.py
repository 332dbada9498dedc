from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from e4_ros.energy.board_model import BoardModel
from e4_ros.energy.boards import load_board
from e4_ros.energy.domains.discovery import discover
from e4_ros.energy.errors import DomainError
from e4_ros.energy.meters.meters import INA_PERIOD_S, Meter, model_meter, open_meter
from e4_ros.energy.meters.rails import counted, find_rails
from e4_ros.energy.meters.rapl import find_zones
from e4_ros.energy.meters.sources import CountedZone, SampledRail
from e4_ros.energy.virtual.board import write_tree
from e4_ros.energy.virtual.mount import mounted

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


def test_parts_are_not_added_to_their_total() -> None:
    assert counted(['VDD_CPU_GPU_CV', 'VDD_IN', 'VDD_SOC']) == {'VDD_IN'}
    assert counted(['POM_5V_GPU', 'POM_5V_IN']) == {'POM_5V_IN'}
    assert counted(['VDD_GPU_SOC', 'VDD_CPU_CV']) == {'VDD_GPU_SOC', 'VDD_CPU_CV'}


# -- sensors as files -------------------------------------------------------------------------


def test_channels_that_are_no_rails_are_left_out(tmp_path: Path) -> None:
    folder = tmp_path / HWMON
    _write(folder, name='ina3221')
    _channel(folder, 1, 'VDD_GPU_SOC', 20000, 400)
    _channel(folder, 2, 'NC', 0, 0)
    _channel(folder, 3, 'VIN_SYS_5V0', 5000, 1000)
    _channel(folder, 7, 'sum of shunt voltages', 5, 5)
    _write(folder, in4_input=3, in4_label='shunt 1')
    _write(tmp_path / 'sys/bus/i2c/devices/1-0050/hwmon/hwmon4', name='tmp451', temp1_input=30000)
    with open_meter(tmp_path) as meter:
        reading = meter.read()
    assert reading.rails_w == {'VDD_GPU_SOC': 8.0, 'VIN_SYS_5V0': 5.0}
    assert reading.power_w == 13.0
    assert reading.source == 'measured'


def test_the_same_monitor_by_two_ways_is_one(tmp_path: Path) -> None:
    folder = tmp_path / HWMON
    _write(folder, name='ina3221')
    _channel(folder, 1, 'VDD_GPU_SOC', 20000, 400)
    (tmp_path / 'sys/class/hwmon').mkdir(parents=True)
    (tmp_path / 'sys/class/hwmon/hwmon3').symlink_to(folder)
    assert len(find_rails(tmp_path)) == 1


def test_the_iio_form_of_jetpack_4(tmp_path: Path) -> None:
    folder = tmp_path / 'sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0'
    for k, (label, amps) in enumerate([('POM_5V_IN', 1000), ('POM_5V_GPU', 200), ('NC', 0)]):
        _write(
            folder,
            **{
                f'rail_name_{k}': label,
                f'in_voltage{k}_input': 5000,
                f'in_current{k}_input': amps,
            },
        )
    with open_meter(tmp_path) as meter:
        reading = meter.read()
    assert reading.rails_w == {'POM_5V_IN': 5.0, 'POM_5V_GPU': 1.0}
    assert reading.power_w == 5.0


def test_an_ina238_counts_in_microwatts(tmp_path: Path) -> None:
    _write(tmp_path / HWMON, name='ina238', power1_input=7_250_000, power1_label='VDD_IN')
    (rail,) = find_rails(tmp_path)
    assert (rail.label, rail.watts()) == ('VDD_IN', 7.25)


def test_a_rail_that_does_not_answer_is_left_out(tmp_path: Path) -> None:
    folder = tmp_path / HWMON
    _write(folder, name='ina3221')
    _channel(folder, 1, 'VDD_GPU_SOC', 20000, 400)
    _channel(folder, 2, 'VDD_CPU_CV', 20000, 400)
    (folder / 'curr2_input').write_text('')
    assert [rail.label for rail in find_rails(tmp_path)] == ['VDD_GPU_SOC']


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
