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

"""GPU and memory clocks through devfreq (`/sys/class/devfreq/*`), on Jetsons and Rockchips.

A devfreq device is a GPU or a memory if its device-tree node (or, without one, its own name) says
so. Thor has two GPUs: `gpu-gpc-0`, the shader cores, becomes `gpu`, and `gpu-nvd-0`, the video
engine, `gpu1`. The memory is `emc`: `bwmgr` of JetPack 7, whose limits are floor and cap of the
bandwidth manager, or Rockchip's `dmc`. The governor stays as it is (`nvhost_podgov`, `bpmp-bwmgr`,
`dmc_ondemand`): min = max leaves it nothing to choose.
Sources: drivers/devfreq/devfreq.c, rk3399_dmc.c; NVIDIA's out-of-tree tegra-bpmp-bwmgr.c, which
makes both files read-only where the BPMP knows no such request; the paths are those that
jetson-stats 7.2 has seen.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from typing_extensions import override

from e4_ros.energy.domains.domain import UNKNOWN_HZ, limits_hz
from e4_ros.energy.domains.file_domain import FileDomain
from e4_ros.energy.domains.pins import Pin, RangePin, others_range
from e4_ros.energy.domains.restore import restore_range
from e4_ros.energy.domains.sysfs import (
    KernelFiles,
    parse_int,
    read_clock,
    read_clocks,
    read_text,
    relative,
)
from e4_ros.energy.errors import DomainError, Snapshot

_log = logging.getLogger(__name__)

TOP = 'sys'
LOW, HIGH = 'min_freq', 'max_freq'
FILES = (LOW, HIGH)

# Not a bus between a GPU and the memory, as Qualcomm's gpubw.
_GPU = re.compile(r'gpu(?!bw)|gm20b|gp10b|gv11b|ga10b|gb10b|mali|kgsl')
_MEMORY = re.compile(r'^(bwmgr|dmc|emc)$')
_PLACES = ('sys/class/devfreq/*', 'sys/devices/*/devfreq/*', 'sys/devices/platform/*/devfreq/*')
_ROUNDING_HZ = 1000


def is_gpu(device: Path) -> bool:
    """Whether a devfreq folder belongs to a GPU."""
    return any(_GPU.search(name) for name in _names(device))


def is_memory(device: Path) -> bool:
    """Whether a devfreq folder belongs to the memory."""
    return any(_MEMORY.match(name) for name in _names(device))


def _names(device: Path) -> tuple[str, str]:
    try:
        node = read_text(device / 'device' / 'of_node' / 'name')
    except DomainError:
        node = ''
    return node, device.name


def find(root: Path) -> Iterator[DevfreqDomain]:
    """The GPU domains below `root`; a broken one is logged and left out."""
    count = 0
    for device in filter(is_gpu, _devices(root)):
        if (domain := _domain(root, f'gpu{count or ""}', device)) is not None:
            count += 1
            yield domain


def find_memory(root: Path) -> Iterator[DevfreqDomain]:
    """The memory's domain below `root`, if devfreq knows it and lets its clock be set."""
    for device in filter(is_memory, _devices(root)):
        domain = _domain(root, 'emc', device)
        if domain is not None and all(_settable(device / file) for file in FILES):
            yield domain


def _settable(path: Path) -> bool:
    """Whether anybody may write a file; root may open even one that nobody may write."""
    try:
        return path.stat().st_mode & 0o222 != 0
    except OSError:
        return False


def _devices(root: Path) -> Iterator[Path]:
    """Every device once: the class folder names each, the other places are fallbacks."""
    seen: set[Path] = set()
    for place in _PLACES:
        for device in sorted(root.glob(place)):
            if device.resolve() not in seen:
                seen.add(device.resolve())
                yield device


def _domain(root: Path, name: str, device: Path) -> DevfreqDomain | None:
    try:
        return DevfreqDomain(root, name, device)
    except DomainError as error:
        _log.warning('a clock is left out: %s', error)
        return None


class DevfreqDomain(FileDomain):
    """One devfreq device, pinned by min = max."""

    kind = 'devfreq'

    def __init__(self, root: Path, name: str, device: Path) -> None:
        table = read_clocks(device / 'available_frequencies')
        if not table:
            raise DomainError(f'{device}/available_frequencies is empty')
        paths = [device / file for file in FILES]
        low, high = map(read_clock, paths)
        super().__init__(root, name, table, limits_hz(table, low, high), paths)
        self.device = device

    @override
    def _open_pins(self) -> list[Pin]:
        low, high = (self._files.keep(path) for path in self._paths)
        # PM QoS counts in kHz: min rounds down to it, max up.
        return [RangePin(low, high, floor=0, slack=_ROUNDING_HZ - 1)]

    @override
    def taken_over(self, saved: Snapshot) -> Snapshot:
        before = self._limits_in(saved)
        try:
            low, high = (self._files.read_int(path) for path in self._paths)
        except DomainError:
            return saved
        if before is None or self.pinned_hz == UNKNOWN_HZ:
            return saved
        unpinned = (before[0], before[0]), (before[1], before[1])
        ours = unpinned if self._span is None else (self._span, self._span)
        after = others_range(before, (low, high), ours, _ROUNDING_HZ - 1)
        if after == before:
            return saved
        names = (relative(path, self._root) for path in self._paths)
        return saved | dict(zip(names, map(str, after), strict=True))

    @override
    def in_mode(self, saved: Snapshot, low_hz: int, high_hz: int) -> Snapshot:
        ends = self.frequencies_hz[0], self.frequencies_hz[-1]
        limits = (str(max(ends[0], min(hz, ends[1]))) for hz in (low_hz, high_hz))
        names = (relative(path, self._root) for path in self._paths)
        changed = dict(zip(names, limits, strict=True))
        return saved if changed.items() <= saved.items() else saved | changed

    @override
    def machine_limits(self, saved: Mapping[str, str]) -> tuple[int, int]:
        found = self._limits_in(saved)
        return self.limits_hz if found is None else limits_hz(self.frequencies_hz, *found)

    def _limits_in(self, saved: Mapping[str, str]) -> tuple[int, int] | None:
        try:
            low, high = (parse_int(saved[relative(p, self._root)], p) for p in self._paths)
        except (DomainError, KeyError):
            return None
        return low, high

    @override
    def current_hz(self) -> int:
        """Frequency of the device now; 0 while a GPU is power-gated."""
        return read_clock(self.device / 'cur_freq')

    @staticmethod
    @override
    def restore_files(root: Path, snapshot: Mapping[str, str], files: KernelFiles) -> list[str]:
        problems = []
        for device in dict.fromkeys((root / name).parent for name in snapshot):
            low, high = (snapshot.get(relative(device / name, root)) for name in FILES)
            if low is None or high is None:
                problems.append(f'the snapshot of {device} lacks {LOW} or {HIGH}')
            else:
                problems += restore_range(
                    files, device / LOW, device / HIGH, (low, high), '0', root
                )
        return problems
