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

"""What others write to a clock's files while it is pinned."""

from __future__ import annotations

import pytest

from e4_ros.energy.domains.discovery import discover
from e4_ros.energy.domains.pins import others_range
from e4_ros.energy.virtual.board import write_tree

LOW, HIGH = 'min_freq', 'max_freq'


@pytest.fixture
def domains(tmp_path):
    return {domain.name: domain for domain in discover(write_tree('jetson_orin_nano', tmp_path))}


@pytest.fixture
def gpu(domains):
    gpu = domains['gpu']
    yield gpu
    gpu.close()


@pytest.mark.parametrize(
    ('now', 'ours', 'expected'),
    [
        ((3, 9), (3, 9), (3, 9)),  # nothing happened
        ((6, 6), (6, 6), (3, 9)),  # only pinned
        ((4, 4), (6, 6), (3, 4)),  # cap lowered below the pin, which holds the floor down
        ((6, 8), (6, 6), (3, 8)),  # cap lowered, and above the pin
        ((2, 5), (6, 6), (2, 5)),  # both
        ((6, 12), (6, 6), (3, 12)),  # cap raised
        ((5, 9), (3, 9), (5, 9)),  # floor raised before the first step
        ((2, 2), (3, 9), (3, 2)),  # cap lowered below the floor, which it holds down
    ],
)
def test_others_are_told_from_the_pin(now, ours, expected):
    assert others_range((3, 9), now, tuple((hz, hz) for hz in ours)) == expected


def test_rounding_is_nobodys_write():
    assert others_range((3000, 9000), (5999, 6001), ((6000, 6000),) * 2, slack=999) == (3000, 9000)


@pytest.mark.parametrize('seen', [4, 5, 6])
def test_a_pin_that_the_kernel_cut_under_heat_is_ours_until_it_is_whole_again(seen):
    assert others_range((3, 9), (seen, seen), ((4, 6),) * 2) == (3, 9)


def test_a_cap_below_a_pin_that_was_cut_is_not_ours():
    assert others_range((2, 9), (3, 3), ((4, 6),) * 2) == (2, 3)


def write(gpu, **texts):
    for name, hz in texts.items():
        with (gpu.device / name).open('r+') as file:
            file.write(f'{hz}\n')
            file.truncate()


@pytest.mark.parametrize('lowered_to', [0, 2, -2])
def test_a_cap_that_others_lower_is_restored_instead_of_the_one_before(gpu, lowered_to):
    table, saved = gpu.allowed_hz, gpu.snapshot()
    gpu.open()
    gpu.set_hz(table[3])
    assert gpu.taken_over(saved) is saved
    write(gpu, max_freq=table[lowered_to])
    after = gpu.taken_over(saved)
    gpu.set_limits(*gpu.machine_limits(after))
    assert gpu.allowed_hz == table[: table.index(table[lowered_to]) + 1]
    gpu.set_hz(gpu.clamped(table[3]))
    assert gpu.taken_over(after) is after
    assert gpu.restore(after) == []
    low, high = gpu.snapshot().values()
    assert (int(low), int(high)) == (int(next(iter(saved.values()))), table[lowered_to])


def test_a_cap_that_others_raise_may_be_used_and_stays(gpu):
    table = gpu.allowed_hz
    write(gpu, max_freq=table[1])
    gpu.set_limits(table[0], table[1])
    saved = gpu.snapshot()
    gpu.open()
    gpu.set_hz(table[0])
    write(gpu, max_freq=table[-1])
    after = gpu.taken_over(saved)
    assert gpu.machine_limits(after) == (table[0], table[-1])
    assert gpu.restore(after) == []
    assert int((gpu.device / HIGH).read_text()) == table[-1]


def test_a_saved_floor_above_a_lowered_cap_becomes_the_cap(gpu):
    table = gpu.allowed_hz
    write(gpu, min_freq=table[3])
    saved = gpu.snapshot()
    gpu.open()
    write(gpu, max_freq=table[1])
    after = gpu.taken_over(saved)
    assert gpu.machine_limits(after) == (table[0], table[1])
    assert gpu.restore(after) == []
    assert set(gpu.snapshot().values()) == {str(table[1])}


def test_a_step_sees_that_others_wrote_before_it_writes(gpu):
    table = gpu.allowed_hz
    gpu.open()
    gpu.set_hz(table[3])
    assert [value for _, value, _ in gpu.transition_checks(table[3])] == [table[3]]


def test_clamped_is_the_next_frequency_below(gpu):
    table = gpu.frequencies_hz
    gpu.set_limits(table[1], table[2])
    assert [gpu.clamped(hz) for hz in (table[0], table[1], table[2], table[-1])] == [
        table[1], table[1], table[2], table[2],
    ]  # fmt: skip


def test_a_lower_cap_of_the_memory_lowers_its_limit_and_the_rate_to_restore(domains, tmp_path):
    emc = domains['emc']
    table = emc.frequencies_hz
    (tmp_path / 'sys/kernel/nvpmodel_clk_cap/emc').write_text(f'{table[1]}\n')
    saved = emc.snapshot()
    assert emc.machine_limits(saved) == (table[0], table[1])
    rate = next(name for name in saved if name.endswith('/rate'))
    low = saved | {rate: str(table[0])}
    assert emc.taken_over(low) is low
    assert emc.taken_over(saved | {rate: str(table[-1])})[rate] == str(table[1])
    emc.open()
    emc.set_hz(table[0])
    assert emc.restore(saved | {rate: str(table[-1])}) == []
    assert (tmp_path / rate).read_text().strip() == str(table[1])


@pytest.fixture
def cpu(domains):
    cpu = domains['cpu']
    yield cpu
    cpu.close()


def turn_off(policy):
    (policy / 'affected_cpus').write_text('\n')


def turn_on(policy):
    (policy / 'affected_cpus').write_text('4 5\n')


def test_a_cluster_that_goes_offline_leaves_and_comes_back(cpu, tmp_path, monkeypatch):
    first, second = cpu.policies
    table, saved = cpu.allowed_hz, cpu.snapshot()
    assert cpu.away_files(tmp_path, saved) == {}
    cpu.open()
    cpu.set_hz(table[1])
    revision = cpu.revision
    turn_off(second)
    for name in ('scaling_min_freq', 'scaling_max_freq'):
        (second / name).rename(second / f'{name}.off')
    cpu.close()
    cpu.open()
    assert cpu.set_hz(table[2]) == table[2]
    assert int((first / 'scaling_max_freq').read_text()) * 1000 == table[2]
    assert set(cpu.snapshot()) < set(saved)
    assert {name.split('/')[-2] for name in cpu.away_files(tmp_path, saved)} == {second.name}
    assert cpu.rediscover(saved) is False
    for name in ('scaling_min_freq', 'scaling_max_freq'):
        (second / f'{name}.off').rename(second / name)
    turn_on(second)
    assert cpu.rediscover({}) is False  # nothing of it is saved yet
    assert cpu.rediscover(saved) is True
    assert cpu.revision > revision
    assert int((second / 'scaling_max_freq').read_text()) * 1000 == table[2]
    assert cpu.restore(saved) == []
    assert cpu.snapshot() == saved


def test_a_domain_whose_cpus_are_all_offline_is_no_error(cpu):
    table = cpu.allowed_hz
    for policy in cpu.policies:
        turn_off(policy)
        for path in policy.glob('scaling_*'):
            path.unlink()
    assert cpu.snapshot() == {}
    cpu.open()
    assert cpu.set_hz(table[0]) == table[0]
    with pytest.raises(OSError, match='all offline'):
        cpu.current_hz()
