"""GPU clocks through devfreq (`/sys/class/devfreq/*`), all Jetson path variants and Mali boards.

A devfreq device is a GPU if its device-tree node (or, without one, its own name) says so. Thor has
two: `gpu-gpc-0`, the shader cores, becomes `gpu`, and `gpu-nvd-0`, the video engine, `gpu1`. The
governor stays as it is (`nvhost_podgov` on a Jetson): min = max leaves it nothing to choose.
Sources: drivers/devfreq/devfreq.c; the paths are those that jetson-stats 7.2 has seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from typing_extensions import override

from e4_ros.energy.domains.domain import limits_hz
from e4_ros.energy.domains.file_domain import FileDomain
from e4_ros.energy.domains.pins import Pin, RangePin
from e4_ros.energy.domains.restore import restore_range
from e4_ros.energy.domains.sysfs import KernelFiles, read_int, read_ints, read_text, relative
from e4_ros.energy.errors import DomainError

TOP = 'sys'
LOW, HIGH = 'min_freq', 'max_freq'
FILES = (LOW, HIGH)

_GPU = re.compile(r'gpu|gm20b|gp10b|gv11b|ga10b|gb10b')
_PLACES = ('sys/class/devfreq/*', 'sys/devices/*/devfreq/*', 'sys/devices/platform/*/devfreq/*')
_ROUNDING_HZ = 1000


def is_gpu(device: Path) -> bool:
    """Whether a devfreq folder belongs to a GPU."""
    try:
        node = read_text(device / 'device' / 'of_node' / 'name')
    except DomainError:
        node = ''
    return bool(_GPU.search(node) or _GPU.search(device.name))


def find(root: Path) -> Iterator[DevfreqDomain]:
    """The GPU domains below `root`; the class folder names each once, the others are fallbacks."""
    seen: set[Path] = set()
    for place in _PLACES:
        for device in sorted(root.glob(place)):
            if device.resolve() not in seen and is_gpu(device):
                name = f'gpu{len(seen) or ""}'
                seen.add(device.resolve())
                yield DevfreqDomain(root, name, device)


class DevfreqDomain(FileDomain):
    """One devfreq device, pinned by min = max."""

    kind = 'devfreq'

    def __init__(self, root: Path, name: str, device: Path) -> None:
        table = read_ints(device / 'available_frequencies')
        if not table:
            raise DomainError(f'{device}/available_frequencies is empty')
        paths = [device / file for file in FILES]
        low, high = map(read_int, paths)
        super().__init__(root, name, table, limits_hz(table, low, high), paths)
        self.device = device

    @override
    def _open_pins(self) -> list[Pin]:
        low, high = (self._files.keep(path) for path in self._paths)
        # PM QoS counts in kHz: min rounds down to it, max up.
        return [RangePin(low, high, floor=0, slack=_ROUNDING_HZ - 1)]

    @override
    def current_hz(self) -> int:
        """Frequency of the GPU now; 0 while it is power-gated."""
        return read_int(self.device / 'cur_freq')

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
                    files, device / LOW, device / HIGH, (low, high), floor='0'
                )
        return problems
