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

from e4_ros.energy.domains import Domain, DomainError, Snapshot
from e4_ros.energy.freq_range import RangePin, restore_range
from e4_ros.energy.limits import limits_hz
from e4_ros.energy.sysfs import (
    KernelFiles,
    read_int,
    read_ints,
    read_text,
    relative,
    unwritable,
)

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


class DevfreqDomain(Domain):
    """One devfreq device, pinned by min = max."""

    kind = 'devfreq'

    def __init__(self, root: Path, name: str, device: Path) -> None:
        table = read_ints(device / 'available_frequencies')
        if not table:
            raise DomainError(f'{device}/available_frequencies is empty')
        low, high = read_int(device / LOW), read_int(device / HIGH)
        super().__init__(name, table, limits_hz(table, low, high))
        self.device = device
        self._root = root
        self._files = KernelFiles()
        self._texts = {hz: b'%d\n' % hz for hz in table}
        self._pin: RangePin | None = None

    def open(self) -> None:
        """See `Domain.open`."""
        self.close()
        try:
            low, high = (self._files.keep(self.device / name) for name in FILES)
        except DomainError:
            self.close()
            raise
        # PM QoS counts in kHz: min rounds down to it, max up.
        self._pin = RangePin(low, high, floor=0, slack=_ROUNDING_HZ - 1)

    def _apply(self, hz: int) -> int:
        if self._pin is None:
            raise DomainError(f'{self.name} is not open')
        self._pin.write(hz, self._texts[hz])
        return self._pin.read(hz)

    def current_hz(self) -> int:
        """See `Domain.current_hz`; 0 while the GPU is power-gated."""
        return read_int(self.device / 'cur_freq')

    def snapshot(self) -> Snapshot:
        """See `Domain.snapshot`."""
        paths = [self.device / name for name in FILES]
        return {relative(path, self._root): read_text(path) for path in paths}

    def restore(self, snapshot: Mapping[str, str]) -> list[str]:
        """See `Domain.restore`."""
        self._pin = None
        return restore(self._root, snapshot, self._files)

    def close(self) -> None:
        """See `Domain.close`."""
        self._pin = None
        self._files.close()

    def unwritable(self) -> list[Path]:
        """See `Domain.unwritable`."""
        paths = [self.device / name for name in FILES]
        return unwritable(paths)


def restore(root: Path, snapshot: Mapping[str, str], files: KernelFiles) -> list[str]:
    """Give the devices of a snapshot back; return one line for each file that did not come."""
    problems = []
    for device in dict.fromkeys((root / name).parent for name in snapshot):
        low, high = (snapshot.get(relative(device / name, root)) for name in FILES)
        if low is None or high is None:
            problems.append(f'the snapshot of {device} lacks {LOW} or {HIGH}')
        else:
            problems += restore_range(files, device / LOW, device / HIGH, (low, high), floor='0')
    return problems
