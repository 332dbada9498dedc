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

from e4_ros.energy.boards import board_names, load_board
from e4_ros.energy.domains.discovery import discover, restore_snapshot
from e4_ros.energy.domains.domain import limits_hz
from e4_ros.energy.errors import DeviceGone, DomainError, FrequencyNotInTable
from e4_ros.energy.virtual.board import board_of, write_tree

TABLE = (100, 200, 300)


def _tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob('*') if p.is_file()}


def _devfreq(root: Path, path: str, node: str | None, table: str = '100 200 300') -> None:
    device = root / path
    device.mkdir(parents=True)
    for name, text in {
        'available_frequencies': table,
        'min_freq': '100',
        'max_freq': '300',
    }.items():
        (device / name).write_text(f'{text}\n')
    if node:
        (device / 'device' / 'of_node').mkdir(parents=True)
        (device / 'device' / 'of_node' / 'name').write_text(node + '\0')
    link = root / 'sys' / 'class' / 'devfreq'
    link.mkdir(parents=True, exist_ok=True)
    if device.parent != link:
        (link / device.name).symlink_to(device)


@pytest.mark.parametrize('name', board_names())
def test_a_plain_tree_is_discovered_as_its_board_describes_it(name: str, tmp_path: Path) -> None:
    board = load_board(name)
    domains = {domain.name: domain for domain in discover(write_tree(board, tmp_path))}
    assert set(domains) == set(board.domains)
    for domain_name, spec in board.domains.items():
        assert domains[domain_name].frequencies_hz == spec.frequencies_hz
        assert domains[domain_name].allowed_hz == spec.allowed_hz
    assert board_of(tmp_path) == name


@pytest.mark.parametrize('name', board_names())
def test_every_byte_of_a_plain_tree_is_restored(name: str, tmp_path: Path) -> None:
    root = write_tree(name, tmp_path)
    before = _tree(root)
    for domain in discover(root):
        saved = domain.snapshot()
        domain.open()
        for hz in (*domain.allowed_hz, *domain.allowed_hz[::-1], domain.allowed_hz[-1]):
            assert domain.set_hz(hz) == hz
            assert domain.current_hz() == hz
        assert domain.restore(saved) == []
        domain.close()
    assert _tree(root) == before


def test_a_snapshot_alone_restores_everything(tmp_path: Path) -> None:
    root = write_tree('jetson_orin_nano', tmp_path)
    before = _tree(root)
    kept = []
    for domain in discover(root):
        kept.append((domain.kind, domain.snapshot()))
        domain.open()
        domain.set_hz(domain.allowed_hz[1])
        domain.close()
    assert _tree(root) != before
    assert [restore_snapshot(root, kind, snapshot) for kind, snapshot in kept] == [[], [], []]
    assert _tree(root) == before


@pytest.mark.parametrize(
    ('kind', 'name'),
    [
        ('cpufreq', '../etc/scaling_governor'),
        ('cpufreq', '/sys/scaling_governor'),
        ('cpufreq', 'etc/scaling_governor'),
        ('cpufreq', 'sys/devices/system/cpu/online'),
        ('devfreq', 'sys/x/scaling_governor'),
        ('thermal', 'sys/x/rate'),
    ],
)
def test_a_forged_snapshot_writes_nothing(kind: str, name: str, tmp_path: Path) -> None:
    write_tree('jetson_orin_nano', tmp_path / 'root')
    before = _tree(tmp_path)
    with pytest.raises(DomainError):
        restore_snapshot(tmp_path / 'root', kind, {name: 'performance'})
    assert _tree(tmp_path) == before


@pytest.mark.parametrize(
    ('path', 'node'),
    [
        ('sys/devices/57000000.gpu/devfreq/57000000.gpu', 'gpu'),
        ('sys/devices/17000000.gp10b/devfreq/17000000.gp10b', 'gp10b'),
        ('sys/devices/17000000.gv11b/devfreq/17000000.gv11b', 'gv11b'),
        ('sys/devices/17000000.ga10b/devfreq/17000000.ga10b', 'ga10b'),
        ('sys/devices/platform/bus@0/17000000.gpu/devfreq/17000000.gpu', 'gpu'),
        ('sys/class/devfreq/gpu-gpc-0', None),
        ('sys/devices/platform/fb000000.gpu/devfreq/fb000000.gpu', 'gpu'),
        ('sys/devices/platform/fb000000.gpu/devfreq/fb000000.gpu-panthor', None),
        ('sys/devices/platform/soc/devfreq/3d00000.qcom,kgsl-3d0', None),
        ('sys/devices/platform/ff9a0000.mali/devfreq/ff9a0000.mali', None),
    ],
)
def test_every_known_place_of_a_gpu_is_found_once(
    path: str, node: str | None, tmp_path: Path
) -> None:
    _devfreq(tmp_path, path, node)
    _devfreq(tmp_path, 'sys/devices/platform/15340000.vic/devfreq/15340000.vic', 'vic')
    _devfreq(tmp_path, 'sys/devices/platform/soc/devfreq/soc:qcom,gpubw', None)
    (gpu,) = discover(tmp_path)
    assert (gpu.name, gpu.frequencies_hz) == ('gpu', TABLE)


def test_without_class_links_the_device_folders_are_searched(tmp_path: Path) -> None:
    _devfreq(tmp_path, 'sys/devices/57000000.gpu/devfreq/57000000.gpu', 'gpu')
    (tmp_path / 'sys/class/devfreq/57000000.gpu').unlink()
    assert [domain.name for domain in discover(tmp_path)] == ['gpu']


def test_thor_has_shader_cores_and_a_video_engine(tmp_path: Path) -> None:
    _devfreq(tmp_path, 'sys/class/devfreq/gpu-nvd-0', None, '100 300')
    _devfreq(tmp_path, 'sys/class/devfreq/gpu-gpc-0', None)
    tables = {domain.name: domain.frequencies_hz for domain in discover(tmp_path)}
    assert tables == {'gpu': TABLE, 'gpu1': (100, 300)}


def test_big_and_little_cores_are_two_domains(tmp_path: Path) -> None:
    root = write_tree('jetson_orin_nano', tmp_path)
    table = root / 'sys/devices/system/cpu/cpufreq/policy4/scaling_available_frequencies'
    table.write_text('600000 1344000\n')
    domains = {domain.name: domain for domain in discover(root)}
    assert domains['cpu1'].frequencies_hz == (600_000_000, 1_344_000_000)
    assert len(domains['cpu'].snapshot()) == len(domains['cpu1'].snapshot()) == 4


def _cores(root: Path, policy: int, top: int, capacity: int | None = None) -> None:
    folder = root / f'sys/devices/system/cpu/cpufreq/policy{policy}'
    for path in folder.iterdir():
        if path.name.endswith(('max_freq', 'cur_freq')) and not path.is_symlink():
            path.write_text(f'{top}\n')
    (folder / 'scaling_available_frequencies').write_text(f'{top} 729600 115200\n')
    (folder / 'scaling_min_freq').write_text('115200\n')
    if capacity is not None:
        (root / f'sys/devices/system/cpu/cpu{policy}/cpu_capacity').write_text(f'{capacity}\n')


def test_binned_cores_of_one_kind_are_one_domain_with_the_highest_top(tmp_path: Path) -> None:
    root = write_tree('jetson_orin_nano', tmp_path)
    _cores(root, 0, 2_400_000)
    _cores(root, 4, 2_352_000)
    before = _tree(root)
    cpu = discover(root)[0]
    assert cpu.allowed_hz == (115_200_000, 729_600_000, 2_400_000_000)
    saved = cpu.snapshot()
    cpu.open()
    for hz in (*cpu.allowed_hz, *cpu.allowed_hz[::-1]):
        assert cpu.set_hz(hz) == hz == cpu.current_hz()
    assert len(cpu.transition_writes(115_200_000, 2_400_000_000)) == 4
    assert cpu.restore(saved) == []
    assert _tree(root) == before


def test_the_fastest_cores_are_the_first_domain(tmp_path: Path) -> None:
    root = write_tree('jetson_orin_nano', tmp_path)
    _cores(root, 0, 1_800_000, 530)
    _cores(root, 4, 1_800_000, 1024)
    domains = {domain.name: domain for domain in discover(root)}
    assert all('policy4' in path for path in domains['cpu'].snapshot())
    assert all('policy0' in path for path in domains['cpu1'].snapshot())


def test_a_cap_on_one_of_several_policies_counts_for_all(tmp_path: Path) -> None:
    root = write_tree('jetson_orin_nano', tmp_path)
    _cores(root, 0, 2_400_000)
    _cores(root, 4, 2_352_000)
    policy = root / 'sys/devices/system/cpu/cpufreq/policy4'
    (policy / 'scaling_max_freq').write_text('2000000\n')
    assert discover(root)[0].allowed_hz == (115_200_000, 729_600_000)


def test_an_idle_core_does_not_look_as_if_it_were_slowed_down(tmp_path: Path) -> None:
    root = write_tree('laptop_x86', tmp_path)
    (cpu,) = discover(root)
    policies = sorted((root / 'sys/devices/system/cpu/cpufreq').iterdir())
    for policy in policies:
        (policy / 'scaling_cur_freq').unlink()
        (policy / 'scaling_cur_freq').write_text('400000\n')  # measured: it slept
    cpu.open()
    assert cpu.set_hz(cpu.allowed_hz[3]) == cpu.current_hz() == cpu.allowed_hz[3]


@pytest.mark.parametrize('text', ['', 'abc\n', '0\n'])
def test_a_broken_policy_does_not_hide_the_others(text: str, tmp_path: Path) -> None:
    root = write_tree('jetson_orin_nano', tmp_path)
    policies = root / 'sys/devices/system/cpu/cpufreq'
    (policies / 'policy4/scaling_available_frequencies').write_text(text)
    (policies / 'policy_of_mine').mkdir()
    cpu = discover(root)[0]
    assert cpu.name == 'cpu'
    assert all('policy0' in path for path in cpu.snapshot())


@pytest.mark.parametrize('kernel', ['old', 'new'])
def test_a_cluster_that_nvpmodel_took_offline_does_not_count(kernel: str, tmp_path: Path) -> None:
    root = write_tree('jetson_orin_nano', tmp_path)
    affected = root / 'sys/devices/system/cpu/cpufreq/policy4/affected_cpus'
    affected.write_text('\n')
    if kernel == 'new':  # answers EBUSY; what matters is that the read fails
        affected.unlink()
    cpu = discover(root)[0]
    assert not any('policy4' in name for name in cpu.snapshot())


def test_a_cluster_that_comes_online_later_is_pinned_with_its_kind(tmp_path: Path) -> None:
    root = write_tree('jetson_orin_nano', tmp_path)
    affected = root / 'sys/devices/system/cpu/cpufreq/policy4/affected_cpus'
    affected.write_text('\n')
    cpu = discover(root)[0]
    assert len(cpu.snapshot()) == 4
    affected.write_text('4 5\n')  # a higher power mode
    before = _tree(root)
    saved = cpu.snapshot()
    assert len(saved) == 8
    cpu.open()
    assert cpu.set_hz(cpu.allowed_hz[2]) == cpu.allowed_hz[2]
    assert len(cpu.transition_writes(cpu.allowed_hz[2], cpu.allowed_hz[3])) == 4
    assert cpu.restore(saved) == []
    assert _tree(root) == before


def test_a_driver_without_a_table_offers_multiples_of_its_bus_clock(tmp_path: Path) -> None:
    root = write_tree('laptop_x86', tmp_path)
    for policy in (root / 'sys/devices/system/cpu/cpufreq').iterdir():
        (policy / 'cpuinfo_min_freq').write_text('450000\n')
        (policy / 'scaling_min_freq').write_text('450000\n')
    (cpu,) = discover(root)
    assert cpu.frequencies_hz[:3] == (450_000_000, 500_000_000, 600_000_000)


def test_a_frequency_off_the_table_is_refused_with_the_nearest(tmp_path: Path) -> None:
    gpu = discover(write_tree('jetson_nano', tmp_path))[1]
    gpu.open()
    before = gpu.snapshot()
    with pytest.raises(FrequencyNotInTable, match='nearest entry is 614400000'):
        gpu.set_hz(640_000_000)
    assert gpu.snapshot() == before


def test_a_plan_may_not_exceed_the_power_mode(tmp_path: Path) -> None:
    root = write_tree('jetson_nano', tmp_path)
    (root / 'sys/class/devfreq/57000000.gpu/max_freq').write_text('640000000\n')
    gpu = discover(root)[1]
    assert gpu.allowed_hz[-1] == 614_400_000
    gpu.open()
    with pytest.raises(FrequencyNotInTable, match='nvpmodel'):
        gpu.set_hz(691_200_000)


def test_the_memory_cap_of_nvpmodel_counts(tmp_path: Path) -> None:
    root = write_tree('jetson_orin_nano', tmp_path)
    (root / 'sys/kernel/nvpmodel_clk_cap/emc').write_text('2133000000\n')
    assert discover(root)[2].allowed_hz[-1] == 2_133_000_000


EMC = 'sys/kernel/debug/bpmp/debug/clk/emc'


def _unlisted(root: Path, compatible: str) -> Path:
    (root / 'proc/device-tree/compatible').write_bytes(compatible.encode() + b'\0')
    return root


def test_memory_without_a_list_of_rates_has_those_known_of_its_soc(tmp_path: Path) -> None:
    root = _unlisted(write_tree('jetson_orin_nano', tmp_path), 'maker,carrier\0nvidia,tegra234')
    emc = discover(root)[2]
    assert [hz // 100_000 for hz in emc.frequencies_hz] == [2040, 6656, 21330, 31990]


def test_a_cap_on_memory_of_an_unknown_soc_leaves_more_than_its_floor(tmp_path: Path) -> None:
    root = _unlisted(write_tree('jetson_orin_nano', tmp_path), 'nvidia,tegra999')
    (root / 'sys/kernel/nvpmodel_clk_cap/emc').write_text('2133000000\n')
    (root / EMC / 'rate').write_text('665600000\n')
    emc = discover(root)[2]
    assert emc.allowed_hz == (204_000_000, 665_600_000, 2_133_000_000)
    assert emc.frequencies_hz[-1] == 3_199_000_000


def _nano_memory(root: Path) -> Path:
    clock = root / 'sys/kernel/debug/clk/override.emc'
    clock.mkdir(parents=True)
    for name, text in (('clk_rate', 1_600_000_000), ('clk_update_rate', 0), ('clk_state', 0)):
        (clock / name).write_text(f'{text}\n')
    ends = root / 'sys/kernel/debug/tegra_bwmgr'
    ends.mkdir(parents=True)
    (ends / 'emc_min_rate').write_text('204000000\n')
    (ends / 'emc_max_rate').write_text('1600000000\n')
    return clock


def test_the_memory_of_a_nano_is_pinned_by_an_override_and_given_back(tmp_path: Path) -> None:
    clock = _nano_memory(tmp_path)
    before = _tree(tmp_path)
    (emc,) = discover(tmp_path)
    assert (emc.name, emc.frequencies_hz) == ('emc', (204_000_000, 1_600_000_000))
    saved = emc.snapshot()
    emc.open()
    assert (clock / 'clk_update_rate').read_text() == '1600000000\n'  # as it was
    assert emc.set_hz(204_000_000) == 204_000_000
    assert (clock / 'clk_state').read_text() == '1\n'
    assert restore_snapshot(tmp_path, emc.kind, saved) == []
    emc.close()
    assert _tree(tmp_path) == before


@pytest.mark.parametrize('file', ['clk_rate', 'clk_update_rate', 'clk_state'])
def test_memory_of_a_nano_that_could_not_be_restored_is_left_out(file: str, tmp_path: Path) -> None:
    (_nano_memory(tmp_path) / file).write_text('\n')
    assert discover(tmp_path) == []


def test_a_nano_that_lists_the_rates_of_its_memory_offers_these(tmp_path: Path) -> None:
    _nano_memory(tmp_path)
    rates = tmp_path / 'sys/kernel/debug/clk/emc/clk_possible_rates'
    rates.parent.mkdir()
    rates.write_text('40800 204000 800000 1600000 (kHz)\n')
    (emc,) = discover(tmp_path)
    assert emc.frequencies_hz == (204_000_000, 800_000_000, 1_600_000_000)


@pytest.mark.parametrize('name', ['bwmgr', 'dmc'])
def test_memory_of_devfreq_goes_before_that_of_debugfs(name: str, tmp_path: Path) -> None:
    root = write_tree('jetson_orin_nano', tmp_path)
    _devfreq(root, f'sys/devices/platform/{name}/devfreq/{name}', None)
    memory = [domain for domain in discover(root) if domain.name == 'emc']
    assert [(domain.kind, domain.frequencies_hz) for domain in memory] == [('devfreq', TABLE)]


def test_memory_whose_limits_are_read_only_is_set_through_debugfs(tmp_path: Path) -> None:
    root = write_tree('jetson_orin_nano', tmp_path)
    _devfreq(root, 'sys/devices/platform/bwmgr/devfreq/bwmgr', None)
    (root / 'sys/class/devfreq/bwmgr/max_freq').chmod(0o444)
    assert [d.kind for d in discover(root) if d.name == 'emc'] == ['bpmp']


@pytest.mark.parametrize(
    ('low', 'high', 'expected'),
    [
        (100, 300, (100, 300)),
        (200, 300, (200, 300)),
        (300, 300, (100, 300)),  # pinned by jetson_clocks
        (100, 250, (100, 250)),
        (250, 260, (100, 260)),  # no entry in between
        (300, 200, (100, 200)),
        (100, 0, (100, 300)),  # devfreq's word for no limit
        (10, 50, (10, 100)),  # below the table
    ],
)
def test_limits(low: int, high: int, expected: tuple[int, int]) -> None:
    assert limits_hz(TABLE, low, high) == expected


@pytest.mark.parametrize('text', ['', 'abc\n', '\n'])
def test_a_broken_gpu_does_not_hide_the_other_clocks(text: str, tmp_path: Path) -> None:
    root = write_tree('jetson_orin_nano', tmp_path)
    (root / 'sys/class/devfreq/17000000.gpu/available_frequencies').write_text(text)
    assert [domain.name for domain in discover(root)] == ['cpu', 'emc']


@pytest.mark.parametrize(
    ('file', 'text'),
    [
        ('scaling_max_freq', '-1'),
        ('scaling_max_freq', '0'),
        ('scaling_cur_freq', '9' * 40),
        ('scaling_governor', ''),
        ('scaling_available_governors', ''),
        ('cpuinfo_min_freq', 'n/a'),
    ],
)
def test_a_policy_that_could_not_be_pinned_or_restored_is_left_out(
    file: str, text: str, tmp_path: Path
) -> None:
    root = write_tree('jetson_orin_nano', tmp_path)
    path = root / 'sys/devices/system/cpu/cpufreq/policy4' / file
    path.unlink()
    path.write_text(f'{text}\n')
    cpu = discover(root)[0]
    assert cpu.name == 'cpu'
    assert all('policy0' in name for name in cpu.snapshot())


@pytest.mark.parametrize('text', ['-1', '9' * 40, '', 'n/a'])
def test_a_clock_that_reads_garbage_now_says_so(text: str, tmp_path: Path) -> None:
    root = write_tree('jetson_orin_nano', tmp_path)
    gpu = discover(root)[1]
    path = root / 'sys/class/devfreq/17000000.gpu/cur_freq'
    path.unlink()
    path.write_text(f'{text}\n')
    with pytest.raises(DomainError, match='where a'):
        gpu.current_hz()


@pytest.mark.parametrize('file', ['min_rate', 'max_rate', 'rate', 'mrq_rate_locked'])
def test_memory_with_ends_that_make_no_sense_is_left_out(file: str, tmp_path: Path) -> None:
    root = _unlisted(write_tree('jetson_orin_nano', tmp_path), 'nvidia,tegra234')
    (root / EMC / file).write_text('-5\n')
    assert [domain.name for domain in discover(root)] == ['cpu', 'gpu']


def test_an_empty_root_has_no_clocks(tmp_path: Path) -> None:
    assert discover(tmp_path) == []


def test_a_device_that_has_gone_says_so(tmp_path: Path) -> None:
    root = write_tree('jetson_orin_nano', tmp_path)
    gpu = discover(root)[1]
    saved = gpu.snapshot()
    for name in ('cur_freq', 'min_freq', 'max_freq'):
        (root / 'sys/class/devfreq/17000000.gpu' / name).unlink()
    with pytest.raises(DeviceGone, match='disappeared'):
        gpu.open()
    with pytest.raises(DeviceGone):
        gpu.current_hz()
    problems = gpu.restore(saved)
    assert len(problems) == 2
    assert all('disappeared' in line for line in problems)


def test_a_domain_that_is_not_open_says_so(tmp_path: Path) -> None:
    for domain in discover(write_tree('jetson_orin_nano', tmp_path)):
        with pytest.raises(DomainError, match='not open'):
            domain.set_hz(domain.allowed_hz[0])


def test_another_folder_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / 'thesis.tex').write_text('years of work')
    with pytest.raises(ValueError, match='choose another folder'):
        write_tree('jetson_nano', tmp_path)
    assert (tmp_path / 'thesis.tex').read_text() == 'years of work'


def test_limits_that_change_change_what_may_be_asked_for(tmp_path: Path) -> None:
    gpu = {d.name: d for d in discover(write_tree('jetson_orin_nano', tmp_path))}['gpu']
    third = gpu.frequencies_hz[2]
    gpu.set_limits(0, third)
    assert gpu.allowed_hz == gpu.frequencies_hz[:3]
    gpu.check(third)
    with pytest.raises(FrequencyNotInTable, match="outside the machine's limits"):
        gpu.check(gpu.frequencies_hz[3])
    gpu.set_limits(0, gpu.frequencies_hz[-1])
    gpu.check(gpu.frequencies_hz[3])
