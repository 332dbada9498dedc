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

"""The NVML domain and counter against a library that keeps NVML's rules; no GPU is needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from e4_ros.energy.domains import nvml
from e4_ros.energy.domains.sysfs import KernelFiles
from e4_ros.energy.errors import DeviceGone, DomainError, FrequencyNotInTable, NotPermitted
from e4_ros.energy.meters.nvml import find_zones


class Nvml:
    """The calls that are used, for one GPU; method names are NVML's."""

    NVML_CLOCK_GRAPHICS = 0
    NVML_ERROR_NO_PERMISSION, NVML_ERROR_NOT_FOUND, NVML_ERROR_GPU_IS_LOST = 4, 6, 15
    NVML_ERROR_NOT_SUPPORTED = 3

    class NVMLError(Exception):
        def __init__(self, value: int) -> None:
            super().__init__(f'NVML error {value}')
            self.value = value

    def __init__(self, fails: int | None = None, counter: bool = True) -> None:
        self.fails = fails
        self.counter = counter
        self.locked: tuple[int, int] | None = None
        self.millijoules = 1000

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return 1

    def nvmlDeviceGetHandleByIndex(self, index: int) -> str:  # noqa: N802
        return 'handle'

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:  # noqa: N802
        if uuid != 'GPU-1':
            raise self.NVMLError(self.NVML_ERROR_NOT_FOUND)
        return 'handle'

    def nvmlDeviceGetUUID(self, handle: str) -> str:  # noqa: N802
        return 'GPU-1'

    def nvmlDeviceGetSupportedMemoryClocks(self, handle: str) -> list[int]:  # noqa: N802
        return [5001, 810]

    def nvmlDeviceGetSupportedGraphicsClocks(self, handle: str, memory: int) -> list[int]:  # noqa: N802
        return [1980, 1500, 210] if memory == 5001 else [210]

    def nvmlDeviceGetMaxCustomerBoostClock(self, handle: str, kind: int) -> int:  # noqa: N802
        return 1500

    def nvmlDeviceGetClockInfo(self, handle: str, kind: int) -> int:  # noqa: N802
        return self.locked[1] if self.locked else 300

    def nvmlDeviceSetGpuLockedClocks(self, handle: str, low: int, high: int) -> None:  # noqa: N802
        if self.fails is not None:
            raise self.NVMLError(self.fails)
        self.locked = (low, high)

    def nvmlDeviceResetGpuLockedClocks(self, handle: str) -> None:  # noqa: N802
        if self.fails is not None:
            raise self.NVMLError(self.fails)
        self.locked = None

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: str) -> int:  # noqa: N802
        if not self.counter:
            raise self.NVMLError(self.NVML_ERROR_NOT_SUPPORTED)
        return self.millijoules


def _gpu(library: Nvml) -> nvml.NvmlDomain:
    (domain,) = nvml.find(Path('/'), library)
    return domain


def test_the_table_is_that_of_the_fastest_memory_up_to_the_boost_cap() -> None:
    gpu = _gpu(Nvml())
    assert gpu.frequencies_hz == (210_000_000, 1_500_000_000, 1_980_000_000)
    assert gpu.allowed_hz == (210_000_000, 1_500_000_000)
    with pytest.raises(FrequencyNotInTable):
        gpu.set_hz(1_980_000_000)


def test_locking_and_unlocking() -> None:
    library = Nvml()
    gpu = _gpu(library)
    saved = gpu.snapshot()
    gpu.open()
    assert gpu.set_hz(210_000_000) == 210_000_000
    assert library.locked == (210, 210)
    assert gpu.current_hz() == 210_000_000
    assert nvml.NvmlDomain.restore_files(Path('/'), saved, KernelFiles(), library) == []
    assert library.locked is None


@pytest.mark.parametrize(
    ('number', 'error'), [(4, NotPermitted), (15, DeviceGone), (3, DomainError), (999, DomainError)]
)
def test_refusals_are_explained(number: int, error: type[DomainError]) -> None:
    library = Nvml(fails=number)
    gpu = _gpu(library)
    with pytest.raises(error, match='210 MHz'):
        gpu.set_hz(210_000_000)
    (problem,) = gpu.restore(gpu.snapshot())
    assert 'unlocking' in problem


def test_a_gpu_that_has_gone_cannot_be_unlocked() -> None:
    (problem,) = nvml.NvmlDomain.restore_files(
        Path('/'), {'nvml/GPU-2/gpu_locked_clocks': 'unlocked'}, KernelFiles(), Nvml()
    )
    assert 'GPU-2' in problem


def test_the_energy_counter_is_in_millijoules() -> None:
    library = Nvml()
    (zone,) = find_zones(library)
    library.millijoules += 2500
    assert zone.joules() == pytest.approx(3.5)
    assert zone.counted
    assert find_zones(Nvml(counter=False)) == []


def test_another_root_has_no_gpu_of_this_machine(tmp_path: Path) -> None:
    assert list(nvml.find(tmp_path)) == []
