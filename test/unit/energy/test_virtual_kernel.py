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

"""The rules that the kernel's sources state, one by one, on a clock that the test moves."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from e4_ros.energy.boards import load_board
from e4_ros.energy.virtual.clocks import within
from e4_ros.energy.virtual.faults import Fault, FaultError, Faults
from e4_ros.energy.virtual.machine import Kernel, VirtualMachine

POLICY = 'sys/devices/system/cpu/cpufreq/policy0'
GPU = 'sys/devices/platform/bus@0/17000000.gpu/devfreq/17000000.gpu'
EMC = 'sys/kernel/debug/bpmp/debug/clk/emc'


class Bench:
    """A machine, a clock to move, and shorter words."""

    def __init__(
        self, kernel: Kernel = 'new', board: str = 'jetson_orin_nano', fault: str = ''
    ) -> None:
        self.time_s = 0.0
        faults = Faults([Fault.parse(fault)] if fault else [])
        self.machine = VirtualMachine(load_board(board), kernel, faults, lambda: self.time_s)

    def get(self, path: str) -> str:
        return self.machine.read(path).decode().strip()

    def put(self, path: str, text: object) -> None:
        self.machine.write(path, f'{text}\n'.encode())

    def refused(self, path: str, text: object) -> int:
        with pytest.raises(OSError, match=r'\[Errno') as caught:
            self.put(path, text)
        assert caught.value.errno is not None
        return caught.value.errno

    def wait(self, seconds: float) -> None:
        self.time_s += seconds


def test_an_unknown_governor_is_refused() -> None:
    assert Bench().refused(f'{POLICY}/scaling_governor', 'turbo') == errno.EINVAL
    assert Bench().refused(f'{GPU}/governor', 'turbo') == errno.EINVAL
    assert (
        Bench(board='laptop_x86').refused(f'{POLICY}/scaling_governor', 'userspace') == errno.EINVAL
    )


def test_setspeed_belongs_to_userspace() -> None:
    bench = Bench()
    assert bench.get(f'{POLICY}/scaling_setspeed') == '<unsupported>'
    assert bench.refused(f'{POLICY}/scaling_setspeed', 960000) == errno.EINVAL
    bench.put(f'{POLICY}/scaling_governor', 'userspace')
    assert bench.get(f'{POLICY}/scaling_setspeed') == bench.get(f'{POLICY}/scaling_cur_freq')
    assert bench.refused(f'{POLICY}/scaling_setspeed', 'fast') == errno.EINVAL


def test_setspeed_takes_the_lowest_entry_that_is_enough_and_remembers_the_request() -> None:
    bench = Bench()
    bench.put(f'{POLICY}/scaling_governor', 'userspace')
    bench.put(f'{POLICY}/scaling_setspeed', 700000)
    assert bench.get(f'{POLICY}/scaling_setspeed') == '729600'
    bench.put(f'{POLICY}/scaling_max_freq', 499200)
    bench.wait(0.01)
    assert bench.get(f'{POLICY}/scaling_setspeed') == '499200'
    bench.put(f'{POLICY}/scaling_max_freq', 1344000)
    bench.wait(0.01)
    assert bench.get(f'{POLICY}/scaling_setspeed') == '729600'


@pytest.mark.parametrize(
    ('folder', 'low', 'high', 'values'),
    [
        (POLICY, 'scaling_min_freq', 'scaling_max_freq', (499200, 729600)),
        (GPU, 'min_freq', 'max_freq', (408000000, 612000000)),
    ],
)
def test_order_matters_before_pm_qos_and_not_after(
    folder: str, low: str, high: str, values: tuple[int, int]
) -> None:
    slow, fast = values
    old, new = Bench('old'), Bench('new')
    for bench in (old, new):
        bench.put(f'{folder}/{low}', slow)
        bench.put(f'{folder}/{high}', slow)
        bench.wait(0.1)
    assert old.refused(f'{folder}/{low}', fast) == errno.EINVAL
    assert old.get(f'{folder}/{low}') == str(slow)
    new.put(f'{folder}/{low}', fast)
    new.wait(0.1)
    assert new.get(f'{folder}/{low}') == str(slow), 'the upper limit wins'
    new.put(f'{folder}/{high}', fast)
    new.wait(0.1)
    assert new.get(f'{folder}/{low}') == str(fast), 'the request was kept'
    old.put(f'{folder}/{high}', fast)
    old.put(f'{folder}/{low}', fast)
    assert old.refused(f'{folder}/{high}', slow) == errno.EINVAL


def test_pm_qos_applies_limits_of_a_cpu_a_moment_later() -> None:
    bench = Bench('new')
    bench.put(f'{POLICY}/scaling_max_freq', 499200)
    assert bench.get(f'{POLICY}/scaling_max_freq') == '1344000'
    bench.wait(0.001)
    assert bench.get(f'{POLICY}/scaling_max_freq') == '499200'


def test_devfreq_rounds_to_khz_with_pm_qos_and_zero_means_no_limit() -> None:
    bench = Bench('new')
    bench.put(f'{GPU}/min_freq', 408000999)
    bench.put(f'{GPU}/max_freq', 612000001)
    assert bench.get(f'{GPU}/min_freq') == '408000000'
    assert bench.get(f'{GPU}/max_freq') == '612001000'
    bench.put(f'{GPU}/max_freq', 0)
    assert bench.get(f'{GPU}/max_freq') == '1020000000'


def test_devfreq_takes_the_ceiling_unless_the_upper_limit_counts() -> None:
    bench = Bench('new')
    bench.put(f'{GPU}/min_freq', 450000000)
    assert bench.get(f'{GPU}/target_freq') == '510000000'
    bench.put(f'{GPU}/governor', 'performance')
    bench.put(f'{GPU}/max_freq', 560000000)
    assert bench.get(f'{GPU}/target_freq') == '510000000'


def test_set_freq_is_there_only_under_userspace() -> None:
    bench = Bench()
    path = f'{GPU}/userspace/set_freq'
    assert not bench.machine.present(path)
    bench.put(f'{GPU}/governor', 'userspace')
    assert bench.get(path) == 'undefined'
    bench.put(path, 510000000)
    assert bench.get(f'{GPU}/target_freq') == '510000000'
    bench.put(f'{GPU}/governor', 'nvhost_podgov')
    assert not bench.machine.present(path)


@pytest.mark.parametrize(('folder', 'delay_s'), [(GPU, 0.005), (EMC, 0.008)])
def test_a_clock_takes_effect_after_the_board_s_delay(folder: str, delay_s: float) -> None:
    bench = Bench()
    bench.put('e4/load/emc', 1)
    bench.wait(1)
    truth = float(bench.get('e4/energy_j'))
    bench.wait(1)
    low_w = float(bench.get('e4/energy_j')) - truth
    if folder == EMC:
        bench.put(f'{EMC}/mrq_rate_locked', 1)
        bench.put(f'{EMC}/rate', 204000000)
    else:
        bench.put(f'{GPU}/min_freq', 918000000)
    before = float(bench.get('e4/energy_j'))
    bench.wait(delay_s * 0.999)
    assert float(bench.get('e4/energy_j')) - before == pytest.approx(low_w * delay_s * 0.999)
    before = float(bench.get('e4/energy_j'))
    bench.wait(delay_s)
    assert float(bench.get('e4/energy_j')) - before != pytest.approx(low_w * delay_s, rel=1e-3)


def test_the_memory_clock_needs_its_lock_and_rounds_up() -> None:
    bench = Bench()
    bench.put(f'{EMC}/rate', 204000000)
    assert bench.get(f'{EMC}/rate') == '3199000000'
    bench.put(f'{EMC}/mrq_rate_locked', 1)
    bench.put(f'{EMC}/rate', 300000000)
    assert bench.get(f'{EMC}/rate') == '665600000'
    bench.put(f'{EMC}/mrq_rate_locked', 0)
    assert bench.get(f'{EMC}/rate') == '3199000000'


def test_governors_follow_the_load() -> None:
    bench = Bench()
    assert bench.get(f'{GPU}/cur_freq') == '306000000'
    bench.put('e4/load/gpu', 1)
    bench.wait(0.1)
    assert bench.get(f'{GPU}/cur_freq') == '918000000'


@pytest.mark.parametrize(
    'text', ['', 'much', '1.1', '-1', 'nan', '0 1', '0 1 0', '0 1 inf', '1 2 3']
)
def test_a_load_that_is_none_is_refused(text: str) -> None:
    bench = Bench()
    assert bench.refused('e4/load/gpu', text) == errno.EINVAL
    assert bench.get('e4/load/gpu') == '0'


def test_energy_is_exact_under_a_square_wave() -> None:
    levels = []
    for load in ('0.2', '0.6'):
        bench = Bench()
        bench.put(f'{GPU}/governor', 'performance')
        bench.wait(1)
        bench.put('e4/load/gpu', load)
        start = float(bench.get('e4/energy_j'))
        bench.wait(1)
        levels.append(float(bench.get('e4/energy_j')) - start)
    bench = Bench()
    bench.put(f'{GPU}/governor', 'performance')
    bench.wait(1)
    bench.put('e4/load/gpu', '0.2 0.6 0.1')
    start = float(bench.get('e4/energy_j'))
    bench.wait(1)
    assert float(bench.get('e4/energy_j')) - start == pytest.approx(sum(levels) / 2)


def test_a_monitor_shows_the_mean_of_its_last_conversion() -> None:
    bench = Bench()
    current = 'sys/bus/i2c/devices/1-0040/hwmon/hwmon1/curr1_input'
    bench.put(f'{GPU}/governor', 'performance')
    bench.wait(1)
    idle_ma = int(bench.get(current))
    bench.put('e4/load/gpu', 1)
    assert int(bench.get(current)) == idle_ma, 'not before the next conversion'
    bench.wait(0.014)
    assert int(bench.get(current)) > idle_ma + 500


def test_heat_throttles_and_lets_go() -> None:
    bench = Bench()
    bench.put('e4/load/gpu', 1)
    bench.put('e4/temperature_c', 96)
    bench.wait(0.1)
    assert int(bench.get('sys/class/thermal/thermal_zone0/temp')) > 95_000
    assert int(bench.get(f'{GPU}/max_freq')) < 918000000
    bench.wait(60)
    bench.get('e4/energy_j')
    assert bench.get(f'{GPU}/max_freq') == '918000000'


def test_zones_settle_where_power_and_resistance_say() -> None:
    bench = Bench()
    thermal = load_board('jetson_orin_nano').thermal
    before = float(bench.get('e4/energy_j'))
    bench.wait(100 * thermal.time_constant_s.value)
    watts = (float(bench.get('e4/energy_j')) - before) / (100 * thermal.time_constant_s.value)
    expected = thermal.ambient_c + thermal.resistance_c_per_w.value * watts
    assert float(bench.get('e4/temperature_c')) == pytest.approx(expected, abs=0.01)


def test_rapl_starts_below_its_wrap_and_wraps() -> None:
    bench = Bench(board='laptop_x86')
    counter = 'sys/class/powercap/intel-rapl:0/energy_uj'
    first = int(bench.get(counter))
    bench.wait(3)
    assert int(bench.get(counter)) < first


@pytest.mark.parametrize(
    ('fault', 'number'),
    [
        ('eio:*/min_freq', errno.EIO),
        ('ebusy:*/min_freq', errno.EBUSY),
        ('einval:*/min_freq', errno.EINVAL),
        ('eacces:*/min_freq', errno.EACCES),
        ('gone:*17000000.gpu*', errno.ENODEV),
    ],
)
def test_faults_answer_as_asked(fault: str, number: int) -> None:
    assert Bench(fault=fault).refused(f'{GPU}/min_freq', 408000000) == number


def test_a_fault_can_let_some_writes_pass() -> None:
    bench = Bench(fault='eio:*/min_freq:2')
    bench.put(f'{GPU}/min_freq', 408000000)
    bench.put(f'{GPU}/min_freq', 306000000)
    assert bench.refused(f'{GPU}/min_freq', 408000000) == errno.EIO


def test_a_stuck_file_takes_everything_and_changes_nothing() -> None:
    bench = Bench(fault='stuck:*/min_freq')
    bench.put(f'{GPU}/min_freq', 408000000)
    assert bench.get(f'{GPU}/min_freq') == '306000000'


def test_faults_come_and_go_while_the_board_runs() -> None:
    bench = Bench()
    bench.put('e4/faults', 'gone:*17000000.gpu*\nslow:*:0')
    assert not bench.machine.present(f'{GPU}/min_freq')
    bench.put('e4/faults', '')
    assert bench.machine.present(f'{GPU}/min_freq')
    assert bench.refused('e4/faults', 'earthquake:*') == errno.EINVAL


@pytest.mark.parametrize('text', ['', 'eio', 'eio:', 'earthquake:*', ':x'])
def test_what_is_no_fault_is_refused(text: str) -> None:
    with pytest.raises(FaultError, match='KIND:GLOB'):
        Fault.parse(text)


def test_read_only_files_refuse_writes() -> None:
    assert Bench().refused(f'{GPU}/cur_freq', 1) == errno.EACCES


@pytest.mark.parametrize(
    ('hz', 'low', 'high', 'expected'),
    [(15, 10, 40, 20), (20, 10, 40, 20), (99, 10, 35, 30), (5, 15, 40, 20), (25, 21, 29, 20)],
)
def test_within(hz: int, low: int, high: int, expected: int) -> None:
    assert within((10, 20, 30, 40), hz, low, high) == expected


def test_a_machine_shows_everything_that_its_plain_tree_shows(tmp_path: Path) -> None:
    from e4_ros.energy.virtual.board import write_tree

    root = write_tree('jetson_orin_nano', tmp_path)
    machine = Bench().machine
    plain = {str(path.relative_to(root)) for path in root.rglob('*') if path.is_file()}
    linked = {path for path in plain if any(path.startswith(f'{link}/') for link in machine.links)}
    assert plain - linked <= set(machine.attributes)
