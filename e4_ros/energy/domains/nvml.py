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

"""Discrete NVIDIA GPUs through NVML: locked clocks.

NVML offers no way to ask which clocks are locked, so a snapshot can only say `unlocked`, and
restoring means unlocking; a lock that somebody else had set before is lost. It refuses what it
cannot do, but there is no read-back: the clock follows when the GPU next has work.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from typing_extensions import override

from e4_ros.energy.domains.domain import Domain
from e4_ros.energy.domains.sysfs import KernelFiles
from e4_ros.energy.errors import Snapshot
from e4_ros.energy.nvml import explain, handles, library

TOP = 'nvml'
FILES = ('gpu_locked_clocks',)
UNLOCKED = 'unlocked'

_HZ_PER_MHZ = 1_000_000


def find(root: Path, nvml: Any | None = None) -> Iterator[NvmlDomain]:
    """The GPUs of this machine; none below any other root than `/` unless `nvml` is given."""
    nvml = nvml or (library() if root == Path('/') else None)
    for index, handle in enumerate(handles(nvml)):
        yield NvmlDomain(f'gpu{index or ""}', nvml, handle)


class NvmlDomain(Domain):
    """The graphics clock of one GPU, pinned by locking it.

    Args:
        name: name of the domain.
        nvml: the `pynvml` module.
        handle: NVML's handle of the GPU.
    """

    kind = 'nvml'

    def __init__(self, name: str, nvml: Any, handle: Any) -> None:
        self._nvml = nvml
        self._handle = handle
        try:
            memory = max(nvml.nvmlDeviceGetSupportedMemoryClocks(handle))
            clocks = nvml.nvmlDeviceGetSupportedGraphicsClocks(handle, memory)
            self._uuid = nvml.nvmlDeviceGetUUID(handle)
        except (nvml.NVMLError, ValueError) as error:
            raise explain(nvml, error, f'{name}: the table of clocks') from error
        table = tuple(mhz * _HZ_PER_MHZ for mhz in sorted(set(clocks)))
        super().__init__(name, table, (table[0], min(table[-1], self._cap_hz(table[-1]))))

    def _cap_hz(self, otherwise: int) -> int:
        nvml = self._nvml
        try:
            mhz = nvml.nvmlDeviceGetMaxCustomerBoostClock(self._handle, nvml.NVML_CLOCK_GRAPHICS)
        except nvml.NVMLError:  # not every GPU has such a cap
            return otherwise
        return mhz * _HZ_PER_MHZ

    @override
    def open(self) -> None:
        """Do nothing: NVML keeps no files open."""

    @override
    def _write(self, hz: int) -> None:
        mhz = hz // _HZ_PER_MHZ
        try:
            self._nvml.nvmlDeviceSetGpuLockedClocks(self._handle, mhz, mhz)
        except self._nvml.NVMLError as error:
            raise explain(self._nvml, error, f'{self.name}: locking at {mhz} MHz') from error

    @override
    def read_back(self, hz: int) -> int:
        return hz  # NVML has no read-back: a lock that it accepted counts as applied

    @override
    def current_hz(self) -> int:
        nvml = self._nvml
        try:
            mhz = nvml.nvmlDeviceGetClockInfo(self._handle, nvml.NVML_CLOCK_GRAPHICS)
        except nvml.NVMLError as error:
            raise explain(nvml, error, f'{self.name}: the clock') from error
        return mhz * _HZ_PER_MHZ

    @override
    def snapshot(self) -> Snapshot:
        return {f'{TOP}/{self._uuid}/{FILES[0]}': UNLOCKED}

    @override
    def restore(self, snapshot: Mapping[str, str]) -> list[str]:
        return self.restore_files(Path('/'), snapshot, KernelFiles(), self._nvml)

    @override
    def close(self) -> None:
        """Do nothing: NVML keeps no files open."""

    @override
    def unwritable(self) -> list[Path]:
        # NVML lets only root lock clocks.
        return [] if os.geteuid() == 0 else [Path('/dev/nvidiactl')]

    @staticmethod
    @override
    def restore_files(
        root: Path, snapshot: Mapping[str, str], files: KernelFiles, nvml: Any | None = None
    ) -> list[str]:
        """Unlock the GPUs of a snapshot; return one line for each that could not be."""
        nvml = nvml or library()
        if nvml is None:
            return ['NVML does not answer; unlock the GPU with `nvidia-smi --reset-gpu-clocks`']
        problems = []
        for name in snapshot:
            uuid = PurePosixPath(name).parent.name
            try:
                nvml.nvmlDeviceResetGpuLockedClocks(nvml.nvmlDeviceGetHandleByUUID(uuid))
            except nvml.NVMLError as error:
                problems.append(str(explain(nvml, error, f'{uuid}: unlocking').strerror))
        return problems
