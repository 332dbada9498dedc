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

import errno
from pathlib import Path

import pytest

from e4_ros.energy.boards import board_names, load_board
from e4_ros.energy.domains.discovery import discover
from e4_ros.energy.identify import machine_board
from e4_ros.energy.meters.rails import counted, find_rails
from e4_ros.energy.meters.thermal import ThermalZones
from e4_ros.energy.power_mode import read_power_mode
from e4_ros.energy.virtual.board import write_tree
from e4_ros.energy.virtual.machine import Kernel, VirtualMachine

CPU = 'sys/devices/system/cpu'
GPU = 'sys/devices/platform/bus@0/17000000.gpu/devfreq/17000000.gpu'


class Machine:
    """A virtual board whose time stands still until it is told to go on."""

    def __init__(self, board: str = 'jetson_orin_nano', kernel: Kernel | None = None) -> None:
        self.time_s = 100.0
        self.machine = VirtualMachine(load_board(board), kernel, now=lambda: self.time_s)

    def get(self, path: str) -> str:
        return self.machine.read(path).decode().strip('\n\0')

    def put(self, path: str, value: object) -> None:
        self.machine.write(path, str(value).encode())
        self.time_s += 0.1

    def copy_to(self, root: Path) -> Path:
        """What a reader finds there now, as plain files."""
        for path in self.machine.attributes:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            try:
                (root / path).write_bytes(self.machine.read(path))
            except OSError:
                continue
        for path, target in self.machine.links.items():
            if self.machine.linked(path):
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).symlink_to(target)
        return root


@pytest.mark.parametrize('name', board_names())
def test_a_served_board_is_found_as_described_and_cool_enough_to_lend_its_clocks(name, tmp_path):
    root = Machine(name).copy_to(tmp_path)
    board, found = load_board(name), machine_board(root)
    assert found.name == name
    assert found.mode == board.mode
    for domain, spec in board.domains.items():
        assert found.domains[domain].allowed_hz == spec.allowed_hz
        assert found.domains[domain].cpus == spec.cpus
    assert {z.name for z in discover(root)} == set(board.domains)
    assert all(zone.temperature_c < zone.limit_c for zone in ThermalZones(root).read())


@pytest.mark.parametrize('name', [n for n in board_names() if load_board(n).power_modes])
def test_every_mode_of_every_board_is_set_and_read_back(name, tmp_path):
    machine, board = Machine(name), load_board(name)
    for number, mode in enumerate(board.power_modes):
        machine.put('e4/power_mode', mode)
        found = machine_board(machine.copy_to(tmp_path / str(number)))
        expected = board.in_mode(mode)
        assert found.mode == mode
        assert found.domains['cpu'].cpus == expected.domains['cpu'].cpus
        for domain in ('cpu', 'gpu'):
            assert found.domains[domain].allowed_hz == expected.domains[domain].allowed_hz
            assert found.domains[domain].share == expected.domains[domain].share


def test_a_thors_total_is_what_its_carrier_takes(tmp_path):
    machine = Machine('jetson_agx_thor')
    machine.put('e4/load/gpu', 0.5)
    machine.time_s += 1
    root = machine.copy_to(tmp_path)
    rails = {rail.label: rail.watts() for rail in find_rails(root)}
    assert counted(rails) == {'VIN'}
    assert rails['VIN'] > sum(watts for label, watts in rails.items() if label != 'VIN')


def test_memory_that_an_orin_counts_twice_is_counted_once(tmp_path):
    machine = Machine('jetson_agx_orin')
    machine.put('e4/load/gpu', 0.5)
    before_j = float(machine.get('e4/energy_j'))
    machine.time_s += 1
    true_w = float(machine.get('e4/energy_j')) - before_j
    rails = {rail.label: rail.watts() for rail in find_rails(machine.copy_to(tmp_path))}
    assert sum(rails[label] for label in counted(rails)) == pytest.approx(true_w, rel=0.03)
    assert sum(rails.values()) > 1.05 * true_w


def test_a_nanos_memory_follows_its_override_and_nothing_else():
    machine, folder = Machine('jetson_nano'), 'sys/kernel/debug/clk/override.emc'
    machine.put(f'{folder}/clk_update_rate', 408_000_000)
    assert machine.get(f'{folder}/clk_rate') == '1600000000'
    machine.put(f'{folder}/clk_state', 1)
    assert machine.get(f'{folder}/clk_rate') == '408000000'
    machine.put(f'{folder}/clk_state', 0)
    assert machine.get(f'{folder}/clk_rate') == '1600000000'


def test_over_current_events_are_counted_where_the_board_counts_them():
    machine = Machine()
    machine.put('e4/over_current', 3)
    folder = load_board('jetson_orin_nano').over_current
    assert machine.get(f'{folder}/oc3_event_cnt') == '3'
    assert machine.get(f'{folder}/oc1_event_cnt') == '0'


@pytest.fixture(params=['old', 'new'])
def machine(request) -> Machine:
    return Machine(kernel=request.param)


def test_a_mode_binds_clocks_and_is_shown(machine, tmp_path):
    machine.put('e4/power_mode', '15W')
    assert machine.get('e4/power_mode') == '15W'
    assert machine.get(f'{CPU}/cpufreq/policy0/scaling_max_freq') == '1497600'
    assert machine.get(f'{GPU}/max_freq') == '612000000'
    assert machine.get('sys/kernel/nvpmodel_clk_cap/emc') == '2133000000'
    seen = read_power_mode(machine.copy_to(tmp_path))
    assert seen is not None
    assert seen.key == 'nvpmodel:0:15W'
    assert seen.limits_hz['gpu'] == (0, 612_000_000)
    assert seen.limits_hz['cpu'] == (729_600_000, 1_497_600_000)


def test_a_mode_may_be_named_by_its_number(machine):
    machine.put('e4/power_mode', 2)
    assert machine.get('e4/power_mode') == 'MAXN_SUPER'
    assert machine.get(f'{GPU}/max_freq') == '1020000000'


def test_every_mode_and_back_leaves_what_was_there(machine):
    files = [f'{CPU}/cpufreq/policy4/scaling_{end}_freq' for end in ('min', 'max')]
    files += [f'{GPU}/min_freq', f'{GPU}/max_freq', 'var/lib/nvpmodel/status']
    before = [machine.get(path) for path in files]
    for mode in (*load_board('jetson_orin_nano').power_modes, '25W'):
        machine.put('e4/power_mode', mode)
    assert [machine.get(path) for path in files] == before


def test_a_mode_lowered_below_a_pinned_clock_binds_it(machine):
    machine.put(f'{GPU}/min_freq', 918_000_000)
    machine.put('e4/power_mode', '15W')
    assert int(machine.get(f'{GPU}/cur_freq')) <= 612_000_000
    assert int(machine.get(f'{GPU}/min_freq')) <= 612_000_000


@pytest.mark.parametrize('text', ['10W', '9', '', '-1'])
def test_a_mode_that_the_board_lacks_is_refused(machine, text):
    with pytest.raises(OSError, match='Invalid') as refused:
        machine.put('e4/power_mode', text)
    assert refused.value.errno == errno.EINVAL
    assert machine.get('e4/power_mode') == '25W'


def test_a_machine_is_what_its_mode_makes_of_the_board(tmp_path):
    machine = Machine()
    machine.put('e4/power_mode', '15W')
    board = machine_board(machine.copy_to(tmp_path))
    assert board.mode == '15W'
    assert board.domains['gpu'].limits_hz[1] == 612_000_000


def test_a_plain_tree_can_be_written_in_any_mode(tmp_path):
    root = write_tree(load_board('jetson_orin_nano').in_mode('15W'), tmp_path)
    domains = {domain.name: domain for domain in discover(root)}
    assert domains['cpu'].limits_hz == (729_600_000, 1_497_600_000)
    assert read_power_mode(root).key == 'nvpmodel:0:15W'


def test_a_cluster_goes_offline_and_comes_back_as_it_was():
    machine, policy = Machine(), f'{CPU}/cpufreq/policy4'
    machine.put(f'{policy}/scaling_governor', 'userspace')
    for cpu in (4, 5):
        machine.put(f'{CPU}/cpu{cpu}/online', 0)
    assert machine.get(f'{CPU}/online') == '0-3'
    assert not machine.machine.linked(f'{CPU}/cpu4/cpufreq')
    with pytest.raises(OSError, match='busy') as refused:
        machine.get(f'{policy}/scaling_max_freq')
    assert refused.value.errno == errno.EBUSY
    with pytest.raises(OSError, match='busy'):
        machine.put(f'{policy}/scaling_max_freq', 729600)
    machine.put(f'{CPU}/cpu5/online', 1)
    assert machine.get(f'{policy}/affected_cpus') == '5'
    assert machine.get(f'{policy}/scaling_governor') == 'userspace'
    assert machine.get(f'{policy}/scaling_max_freq') == '1344000'


def test_an_old_kernel_shows_an_offline_cluster_and_refuses_writes():
    machine, policy = Machine(kernel='old'), f'{CPU}/cpufreq/policy4'
    for cpu in (4, 5):
        machine.put(f'{CPU}/cpu{cpu}/online', 0)
    assert machine.get(f'{policy}/affected_cpus') == ''
    assert machine.get(f'{policy}/scaling_max_freq') == '1344000'
    with pytest.raises(OSError, match='Invalid'):
        machine.put(f'{policy}/scaling_max_freq', 729600)


def test_the_last_cpu_stays_on():
    machine = Machine()
    for cpu in range(5):
        machine.put(f'{CPU}/cpu{cpu}/online', 0)
    with pytest.raises(OSError, match='busy'):
        machine.put(f'{CPU}/cpu5/online', 0)
    assert machine.get(f'{CPU}/online') == '5'


def test_cpus_that_are_off_draw_nothing():
    machine = Machine()

    def watts() -> float:
        before = float(machine.get('e4/energy_j'))
        machine.time_s += 10
        return (float(machine.get('e4/energy_j')) - before) / 10

    machine.put('e4/load/cpu', 1)
    all_on = watts()
    for cpu in (1, 2, 3, 4, 5):
        machine.put(f'{CPU}/cpu{cpu}/online', 0)
    assert watts() < all_on - 1
