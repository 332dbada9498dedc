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

"""Domains against the kernel's rules, through the kernel's own system calls."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from e4_ros.energy.domains.discovery import discover, restore_snapshot
from e4_ros.energy.domains.domain import Domain
from e4_ros.energy.errors import DeviceGone, DomainError, NotPermitted, WriteRefused
from e4_ros.energy.virtual.mount import MountError, mounted, serve

pytestmark = pytest.mark.fuse

GPU = 'sys/class/devfreq/17000000.gpu'


@pytest.fixture(scope='module', params=['old', 'new'])
def kernel(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope='module')
def orin_mount(kernel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp('orin') / 'root'
    with mounted('jetson_orin_nano', folder, kernel) as root:
        yield root


@pytest.fixture(scope='module')
def laptop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with mounted('laptop_x86', tmp_path_factory.mktemp('laptop') / 'root') as root:
        yield root


@pytest.fixture
def orin(orin_mount: Path) -> Iterator[Path]:
    """The board as it was at its start; a test must leave it so, but for faults and heat."""
    before = _state(orin_mount)
    yield orin_mount
    _faults(orin_mount)
    (orin_mount / 'e4/temperature_c').write_text('30')
    assert _state(orin_mount) == before


def _state(root: Path) -> list[dict[str, str]]:
    return [domain.snapshot() for domain in discover(root)]


def _faults(root: Path, *faults: str) -> None:
    (root / 'e4/faults').write_text('\n'.join(faults) + '\n')


def _domain(root: Path, name: str) -> Domain:
    return next(domain for domain in discover(root) if domain.name == name)


@pytest.mark.parametrize('name', ['cpu', 'gpu', 'emc'])
def test_every_frequency_is_accepted_and_everything_is_restored(name: str, orin: Path) -> None:
    domain = _domain(orin, name)
    saved = domain.snapshot()
    domain.open()
    for hz in (*domain.allowed_hz, *domain.allowed_hz[::-1]):
        assert domain.set_hz(hz) == hz
    assert domain.restore(saved) == []
    domain.close()
    assert domain.snapshot() == saved


def test_steps_of_a_cpu_go_through_the_userspace_governor(orin: Path) -> None:
    cpu = _domain(orin, 'cpu')
    saved = cpu.snapshot()
    policy = orin / 'sys/devices/system/cpu/cpufreq/policy4'
    cpu.open()
    cpu.set_hz(960_000_000)
    assert (policy / 'scaling_governor').read_text() == 'userspace\n'
    assert (policy / 'scaling_setspeed').read_text() == '960000\n'
    cpu.close()
    assert restore_snapshot(orin, cpu.kind, saved) == []
    assert (policy / 'scaling_governor').read_text() == 'schedutil\n'


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(st.sampled_from(['cpu', 'gpu', 'emc']), st.integers(0, 99)), max_size=20))
def test_any_order_of_steps_sticks(orin: Path, steps: list[tuple[str, int]]) -> None:
    domains = {domain.name: domain for domain in discover(orin)}
    saved = {name: domain.snapshot() for name, domain in domains.items()}
    for domain in domains.values():
        domain.open()
    for name, choice in steps:
        domain = domains[name]
        hz = domain.allowed_hz[choice % len(domain.allowed_hz)]
        assert domain.set_hz(hz) == hz
    for name, domain in domains.items():
        domain.close()
        assert restore_snapshot(orin, domain.kind, saved[name]) == []


def test_a_driver_without_userspace_is_pinned_by_its_limits(laptop: Path) -> None:
    (cpu,) = discover(laptop)
    saved = cpu.snapshot()
    cpu.open()
    for hz in (800_000_000, 3_000_000_000, 400_000_000, 4_000_000_000):
        assert cpu.set_hz(hz) == hz
    policy = laptop / 'sys/devices/system/cpu/cpufreq/policy2'
    assert (policy / 'scaling_governor').read_text() == 'powersave\n'
    assert (policy / 'scaling_min_freq').read_text() == '4000000\n'
    assert cpu.restore(saved) == []
    cpu.close()


def test_somebody_else_s_limits_do_not_stop_a_step(orin: Path) -> None:
    gpu = _domain(orin, 'gpu')
    saved = gpu.snapshot()
    gpu.open()
    gpu.set_hz(510_000_000)
    # Behind the domain's back: on an old kernel the next step's first write is refused.
    for name in ('min_freq', 'max_freq'):
        (orin / GPU / name).write_text('306000000\n')
    assert gpu.set_hz(408_000_000) == 408_000_000
    assert gpu.restore(saved) == []
    gpu.close()


def test_clocks_pinned_by_jetson_clocks_can_be_lowered_and_are_restored_pinned(orin: Path) -> None:
    (orin / GPU / 'min_freq').write_text('918000000\n')
    gpu = _domain(orin, 'gpu')
    saved = gpu.snapshot()
    gpu.open()
    assert gpu.set_hz(306_000_000) == 306_000_000
    assert gpu.restore(saved) == []
    gpu.close()
    assert (orin / GPU / 'min_freq').read_text() == '918000000\n'
    (orin / GPU / 'min_freq').write_text('306000000\n')


@pytest.mark.parametrize(
    ('fault', 'error'),
    [
        ('eio', WriteRefused),
        ('ebusy', WriteRefused),
        ('einval', WriteRefused),
        ('eacces', NotPermitted),
        ('gone', DeviceGone),
    ],
)
@pytest.mark.parametrize(
    ('name', 'glob'),
    [('cpu', '*policy4/scaling_setspeed'), ('gpu', '*17000000.gpu/max_freq'), ('emc', '*emc/rate')],
)
def test_a_refused_step_names_the_file_and_can_be_restored(
    fault: str, error: type[DomainError], name: str, glob: str, orin: Path
) -> None:
    domain = _domain(orin, name)
    saved = domain.snapshot()
    domain.open()
    _faults(orin, f'{fault}:{glob}')
    with pytest.raises(error, match=glob.rpartition('/')[2]):
        domain.set_hz(domain.allowed_hz[0])
    _faults(orin)
    assert domain.restore(saved) == []
    domain.close()


@pytest.mark.parametrize('name', ['cpu', 'gpu', 'emc'])
def test_a_refused_opening_can_be_restored(name: str, orin: Path) -> None:
    domain = _domain(orin, name)
    saved = domain.snapshot()
    _faults(orin, 'eio:*policy4/scaling_governor', 'gone:*/min_freq', 'ebusy:*/mrq_rate_locked')
    with pytest.raises(DomainError):
        domain.open()
    _faults(orin)
    with pytest.raises(DomainError, match='not open'):
        domain.set_hz(domain.allowed_hz[0])
    assert restore_snapshot(orin, domain.kind, saved) == []


@pytest.mark.parametrize(('file', 'index'), [('min_freq', 3), ('max_freq', 1)])
def test_a_value_that_does_not_stick_is_reported(file: str, index: int, orin: Path) -> None:
    gpu = _domain(orin, 'gpu')
    saved = gpu.snapshot()
    gpu.open()
    gpu.set_hz(gpu.allowed_hz[2])
    _faults(orin, f'stuck:*17000000.gpu/{file}')
    assert gpu.set_hz(gpu.allowed_hz[index]) == gpu.allowed_hz[2]
    problems = gpu.restore(saved)
    assert any(file in line for line in problems)
    _faults(orin)
    assert gpu.restore(saved) == []
    gpu.close()


def test_heat_that_wins_is_reported(kernel: str, orin: Path) -> None:
    if kernel == 'old':
        pytest.skip('an old kernel shows the request, not what heat made of it')
    gpu = _domain(orin, 'gpu')
    saved = gpu.snapshot()
    gpu.open()
    (orin / 'e4/temperature_c').write_text('99')
    assert gpu.set_hz(918_000_000) < 918_000_000
    (orin / 'e4/temperature_c').write_text('30')
    assert gpu.set_hz(918_000_000) == 918_000_000
    assert gpu.restore(saved) == []
    gpu.close()


def test_restoring_goes_on_after_an_error_and_says_what_is_missing(orin: Path) -> None:
    cpu = _domain(orin, 'cpu')
    saved = cpu.snapshot()
    cpu.open()
    cpu.set_hz(806_400_000)
    _faults(orin, 'eio:*policy0/scaling_governor')
    (line,) = restore_snapshot(orin, cpu.kind, saved)
    assert 'policy0/scaling_governor' in line
    assert (
        orin / 'sys/devices/system/cpu/cpufreq/policy4/scaling_governor'
    ).read_text() == 'schedutil\n'
    _faults(orin)
    assert cpu.restore(saved) == []
    cpu.close()


@pytest.mark.other_user
def test_a_group_is_all_that_a_user_needs() -> None:
    user, group = 65534, 65533
    with tempfile.TemporaryDirectory() as public:
        Path(public).chmod(0o755)
        with mounted('jetson_orin_nano', Path(public) / 'root') as root:
            files = [root / GPU / name for name in ('min_freq', 'max_freq')]
            gpu = _domain(root, 'gpu')
            saved = gpu.snapshot()
            try:
                os.seteuid(user)
                assert gpu.unwritable() == files
                with pytest.raises(NotPermitted, match='udev'):
                    gpu.open()
                os.seteuid(0)
                for path in files:  # what the udev rules do
                    os.chown(path, -1, group)
                    path.chmod(0o664)
                os.setegid(group)
                os.seteuid(user)
                assert gpu.unwritable() == []
                gpu.open()
                assert gpu.set_hz(510_000_000) == 510_000_000
                assert gpu.restore(saved) == []
            finally:
                os.seteuid(0)
                os.setegid(0)
                gpu.close()


def test_a_slow_write_is_waited_for(orin: Path) -> None:
    gpu = _domain(orin, 'gpu')
    saved = gpu.snapshot()
    gpu.open()
    _faults(orin, 'slow:*17000000.gpu/m*_freq:0.05')
    assert gpu.set_hz(510_000_000) == 510_000_000
    _faults(orin)
    assert gpu.restore(saved) == []
    gpu.close()


def test_a_folder_with_somebody_s_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / 'thesis.tex').write_text('years of work')
    with pytest.raises(MountError, match='not empty'):
        serve('jetson_nano', tmp_path)


def test_a_board_that_is_killed_leaves_no_dead_folder(tmp_path: Path) -> None:
    root = tmp_path / 'root'
    with mounted('jetson_nano', root):
        for process in psutil.Process().children():
            if str(root) in process.cmdline():
                process.kill()
                process.wait()
        with pytest.raises(OSError, match=r'abort|connected'):
            (root / 'e4/energy_j').read_text()
    assert list(root.iterdir()) == []


def test_an_unknown_board_or_fault_ends_with_a_reason(tmp_path: Path) -> None:
    for words, reason in (
        (['jetson_banana', '--mount', 'x'], 'known boards'),
        (['jetson_nano', '--mount', 'x', '--fault', 'earthquake:*'], 'KIND:GLOB'),
        (['jetson_nano'], '--mount'),
    ):
        ended = subprocess.run(
            [sys.executable, '-m', 'e4_ros.cli', 'virtual-board', *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env={'PYTHONPATH': str(Path(__file__).parents[3])},
        )
        assert ended.returncode != 0
        assert reason in ended.stderr
        assert 'Traceback' not in ended.stderr


CPU = 'sys/devices/system/cpu/cpufreq/policy'


def test_a_cpu_cap_that_others_lower_is_never_raised_again(orin: Path) -> None:
    cpu = _domain(orin, 'cpu')
    saved, high = cpu.snapshot(), orin / f'{CPU}0/scaling_max_freq'
    before = high.read_text()
    cpu.open()
    cpu.set_hz(cpu.allowed_hz[-1])
    lowered = cpu.allowed_hz[3]
    high.write_text(f'{lowered // 1000}\n')
    time.sleep(0.002)
    after = cpu.taken_over(saved)
    cpu.set_limits(*cpu.machine_limits(after))
    assert cpu.allowed_hz[-1] == lowered
    assert cpu.set_hz(cpu.clamped(cpu.frequencies_hz[-1])) == lowered
    assert cpu.restore(saved) == []
    cpu.close()
    assert int(high.read_text()) * 1000 == lowered
    high.write_text(before)
    time.sleep(0.002)


def test_a_cluster_that_refuses_everything_is_left_out(orin: Path) -> None:
    cpu = _domain(orin, 'cpu')
    saved, gone = cpu.snapshot(), cpu.policies[-1]
    cpu.open()
    cpu.set_hz(cpu.allowed_hz[0])
    _faults(orin, f'unreadable:*{gone.name}*', f'ebusy:*{gone.name}*')
    assert cpu.set_hz(cpu.allowed_hz[1]) == cpu.allowed_hz[1]
    assert cpu.taken_over(saved) == saved
    _faults(orin)
    assert cpu.rediscover(saved) is True
    assert int((gone / 'scaling_setspeed').read_text()) * 1000 == cpu.allowed_hz[1]
    assert cpu.restore(saved) == []
    cpu.close()
