"""The memory clock of a Jetson (EMC), through the debugfs of its boot and power processor (BPMP).

`mrq_rate_locked` = 1 takes the clock from the bandwidth manager, `rate` sets it (the BPMP rounds),
and the lock must be given back. The files belong to root.
Source: nvpmodel and jetson_clocks, which write the same files; see also jetson-stats 7.2.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from e4_ros.energy.domains import Domain, DomainError, Snapshot
from e4_ros.energy.freq_range import restore_text, settled
from e4_ros.energy.limits import limits_hz
from e4_ros.energy.sysfs import (
    KernelFile,
    KernelFiles,
    read_int,
    read_ints,
    read_text,
    relative,
    unwritable,
)

TOP = 'sys'
EMC = 'sys/kernel/debug/bpmp/debug/clk/emc'
RATE, LOCK = 'rate', 'mrq_rate_locked'
FILES = (LOCK, RATE)

# Where kernels list the rates, with the unit in hertz: mainline, JetPack 4. Newer BPMP firmware
# has no list at all; then only its two ends are known to exist.
_TABLES = (
    ('sys/kernel/debug/emc/available_rates', 1),
    ('sys/kernel/debug/bpmp/debug/emc/possible_rates', 1000),
)
_CAPS = ('sys/kernel/nvpmodel_clk_cap/emc', 'sys/kernel/nvpmodel_emc_cap/emc_iso_cap')


def find(root: Path) -> Iterator[EmcDomain]:
    """The EMC domain below `root`, if there is one that this user can see."""
    if os.access(root / EMC / RATE, os.F_OK):
        yield EmcDomain(root, 'emc')


def _table_hz(root: Path) -> tuple[int, ...]:
    for place, unit in _TABLES:
        if os.access(root / place, os.R_OK):
            rates = tuple(rate * unit for rate in read_ints(root / place) if rate)
            if rates:
                return rates
    return tuple(sorted({read_int(root / EMC / name) for name in ('min_rate', 'max_rate')}))


def _cap_hz(root: Path, otherwise: int) -> int:
    for place in _CAPS:
        if os.access(root / place, os.R_OK):
            return read_int(root / place) or otherwise
    return otherwise


class EmcDomain(Domain):
    """The memory clock, pinned by lock and rate."""

    kind = 'bpmp'

    def __init__(self, root: Path, name: str) -> None:
        table = _table_hz(root)
        low, high = (read_int(root / EMC / end) for end in ('min_rate', 'max_rate'))
        super().__init__(name, table, limits_hz(table, low, min(high, _cap_hz(root, high))))
        self._root = root
        self._files = KernelFiles()
        self._texts = {hz: b'%d\n' % hz for hz in table}
        self._rate: KernelFile | None = None

    def open(self) -> None:
        """See `Domain.open`. Takes the lock."""
        self.close()
        try:
            for name in FILES:
                self._files.keep(self._root / EMC / name)
            self._files.write(self._root / EMC / LOCK, '1')
        except DomainError:
            self.close()
            raise
        self._rate = self._files.keep(self._root / EMC / RATE)

    def _apply(self, hz: int) -> int:
        if self._rate is None:
            raise DomainError(f'{self.name} is not open')
        self._rate.write(self._texts[hz])
        return settled(self._rate.read_int, hz)

    def current_hz(self) -> int:
        """See `Domain.current_hz`."""
        return read_int(self._root / EMC / RATE)

    def snapshot(self) -> Snapshot:
        """See `Domain.snapshot`."""
        paths = [self._root / EMC / name for name in FILES]
        return {relative(path, self._root): read_text(path) for path in paths}

    def restore(self, snapshot: Mapping[str, str]) -> list[str]:
        """See `Domain.restore`."""
        self._rate = None
        return restore(self._root, snapshot, self._files)

    def close(self) -> None:
        """See `Domain.close`."""
        self._rate = None
        self._files.close()

    def unwritable(self) -> list[Path]:
        """See `Domain.unwritable`."""
        paths = [self._root / EMC / name for name in FILES]
        return unwritable(paths)


def restore(root: Path, snapshot: Mapping[str, str], files: KernelFiles) -> list[str]:
    """Give rate and lock back; return one line for each that did not come.

    The rate goes first, while the lock still holds it; the lock is given back in any case. If
    neither then nor now the clock was locked, it is the bandwidth manager's and left alone.
    """
    folder, problems = root / EMC, []
    rate, lock = (snapshot.get(relative(folder / name, root)) for name in (RATE, LOCK))
    try:
        if lock == '0' == read_text(folder / LOCK):
            return []
    except DomainError as error:
        return [str(error.strerror)]
    if rate is not None:
        problems += restore_text(files, folder / RATE, rate)
    if lock is not None:
        problems += restore_text(files, folder / LOCK, lock)
    return problems
