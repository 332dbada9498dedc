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

"""Discovery of the frequency domains: the machine is asked, nothing is hard-coded."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from types import ModuleType

from e4_ros.energy.domains import bpmp, cpu_switches, cpufreq, devfreq, nvml, tegra210
from e4_ros.energy.domains.domain import Domain
from e4_ros.energy.domains.sysfs import KernelFiles
from e4_ros.energy.errors import DomainError, Snapshot

_log = logging.getLogger(__name__)

_FINDERS: tuple[Callable[[Path], Iterator[Domain]], ...] = (
    cpufreq.find,
    devfreq.find,
    nvml.find,
    # Of several ways to the memory's clock the first that is there: sysfs before debugfs.
    devfreq.find_memory,
    bpmp.find,
    tegra210.find,
)
_KINDS: dict[str, tuple[ModuleType, type[Domain] | type[cpu_switches.CpuSwitches]]] = {
    'cpufreq': (cpufreq, cpufreq.CpufreqDomain),
    'devfreq': (devfreq, devfreq.DevfreqDomain),
    'nvml': (nvml, nvml.NvmlDomain),
    'bpmp': (bpmp, bpmp.EmcDomain),
    'tegra210': (tegra210, tegra210.Tegra210EmcDomain),
    'cpus': (cpu_switches, cpu_switches.CpuSwitches),
}


def discover(root: str | Path = '/') -> list[Domain]:
    """The domains below `root`: CPUs, GPUs, memory. A broken device is logged and left out.

    A GPU that devfreq and NVML both know (Jetson Thor) is devfreq's.
    """
    root = Path(root)
    domains: list[Domain] = []
    for find in _FINDERS:
        try:
            for domain in find(root):
                if domain.name not in {known.name for known in domains}:
                    domains.append(domain)
        except DomainError as error:
            _log.warning('a clock is left out: %s', error)
    return domains


def discover_some(root: str | Path = '/') -> list[Domain]:
    """As `discover`.

    Raises:
        DomainError: there is no domain.
    """
    domains = discover(root)
    if not domains:
        raise DomainError(
            f'there is no clock to set below {root}; `e4 virtual-board` serves a board to try'
        )
    return domains


def away_files(root: str | Path, kind: str, snapshot: Mapping[str, str]) -> Snapshot:
    """The part of a snapshot whose clocks are gone for now; see `Domain.away_files`."""
    return _KINDS[kind][1].away_files(Path(root), snapshot) if kind in _KINDS else {}


def restore_snapshot(root: str | Path, kind: str, snapshot: Mapping[str, str]) -> list[str]:
    """Restore what a snapshot holds, with nothing but the snapshot: the recovery after a crash.

    Args:
        root: file system root below which the domain was discovered.
        kind: kernel interface (`Domain.kind`) of the domain.
        snapshot: return value of `Domain.snapshot`.

    Returns:
        One line for each thing that could not be restored.

    Raises:
        DomainError: the kind is unknown, or the snapshot names a file that no domain of the kind
            ever writes. Nothing was written.
    """
    if kind not in _KINDS:
        raise DomainError(f'no domain is of the kind {kind!r}; there are {", ".join(_KINDS)}')
    module, domain = _KINDS[kind]
    for name in snapshot:
        path = PurePosixPath(name)
        if path.parts[:1] != (module.TOP,) or '..' in path.parts or path.name not in module.FILES:
            raise DomainError(f'{name!r} is not a file that a {kind} domain writes')
    files = KernelFiles()
    try:
        return domain.restore_files(Path(root), snapshot, files)
    finally:
        files.close()
