"""CPU clocks through cpufreq policies (`/sys/devices/system/cpu/cpufreq/policy*`).

Policies that share one frequency table (the clusters of an Orin) move together as one domain `cpu`;
where tables differ (big.LITTLE), the policies of the next table are `cpu1`, and so on, ordered by
their lowest CPU. With the `userspace` governor a step is one write to `scaling_setspeed`; a driver
without it (intel_pstate and amd_pstate in active mode) is pinned by min = max.
Sources: drivers/cpufreq/cpufreq.c, cpufreq_userspace.c; Documentation/admin-guide/pm/cpufreq.rst.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from e4_ros.energy.domains import Domain, DomainError, Snapshot
from e4_ros.energy.freq_range import RangePin, restore_range, restore_text, settled
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
POLICIES = 'sys/devices/system/cpu/cpufreq'
GOVERNOR, SETSPEED = 'scaling_governor', 'scaling_setspeed'
LOW, HIGH = 'scaling_min_freq', 'scaling_max_freq'
FILES = (GOVERNOR, LOW, HIGH, SETSPEED)
"""What a step or a lease may write, of each policy."""

_KHZ = 1000
_STEP_KHZ = 100_000


def policy_table_hz(policy: Path) -> tuple[int, ...]:
    """Frequencies a policy offers, ascending.

    A driver without a table (the pstate drivers) takes any number; it gets the multiples of
    100 MHz, Intel's bus clock, between its two ends.
    """
    table = policy / 'scaling_available_frequencies'
    if table.exists():
        return tuple(khz * _KHZ for khz in read_ints(table))
    low, high = read_int(policy / 'cpuinfo_min_freq'), read_int(policy / 'cpuinfo_max_freq')
    inner = range((low // _STEP_KHZ + 1) * _STEP_KHZ, high, _STEP_KHZ)
    return tuple(khz * _KHZ for khz in sorted({low, *inner, high}))


def find(root: Path) -> Iterator[CpufreqDomain]:
    """The CPU domains below `root`; policies whose CPUs are all offline do not count."""
    groups: dict[tuple[int, ...], list[Path]] = {}
    folders = filter(_online, (root / POLICIES).glob('policy[0-9]*'))
    for policy in sorted(folders, key=lambda p: int(p.name.removeprefix('policy'))):
        groups.setdefault(policy_table_hz(policy), []).append(policy)
    for index, (table, policies) in enumerate(groups.items()):
        yield CpufreqDomain(root, f'cpu{index or ""}', table, policies)


def _online(policy: Path) -> bool:
    try:
        return bool(read_text(policy / 'affected_cpus'))
    except DomainError:  # newer kernels answer EBUSY for whatever is read
        return False


class CpufreqDomain(Domain):
    """The policies that share one table, pinned together."""

    kind = 'cpufreq'

    def __init__(
        self, root: Path, name: str, frequencies_hz: tuple[int, ...], policies: list[Path]
    ) -> None:
        lows = [read_int(policy / LOW) * _KHZ for policy in policies]
        highs = [read_int(policy / HIGH) * _KHZ for policy in policies]
        super().__init__(name, frequencies_hz, limits_hz(frequencies_hz, max(lows), min(highs)))
        self.policies = tuple(policies)
        self._root = root
        self._files = KernelFiles()
        self._texts = {hz: b'%d\n' % (hz // _KHZ) for hz in frequencies_hz}
        self._speeds: list[KernelFile] = []
        self._pins: list[RangePin] = []

    def open(self) -> None:
        """See `Domain.open`. Selects the `userspace` governor where the driver has it."""
        self.close()
        try:
            for policy in self.policies:
                self._take(policy)
        except DomainError:
            self.close()
            raise

    def _take(self, policy: Path) -> None:
        low, high = self._files.keep(policy / LOW), self._files.keep(policy / HIGH)
        if 'userspace' not in read_text(policy / 'scaling_available_governors').split():
            self._pins.append(RangePin(low, high, self.frequencies_hz[0] // _KHZ))
            return
        self._files.keep(policy / GOVERNOR)
        # Room for the whole of the limits: jetson_clocks leaves min = max behind.
        lowest = self.limits_hz[0] // _KHZ
        if low.read_int() > lowest:
            low.write(b'%d\n' % lowest)
        if read_text(policy / GOVERNOR) != 'userspace':
            self._files.write(policy / GOVERNOR, 'userspace')
        self._speeds.append(self._files.keep(policy / SETSPEED))

    def _apply(self, hz: int) -> int:
        if not self._speeds and not self._pins:
            raise DomainError(f'{self.name} is not open')
        khz, text = hz // _KHZ, self._texts[hz]
        for speed in self._speeds:
            speed.write(text)
        for pin in self._pins:
            pin.write(khz, text)
        applied = khz
        for speed in self._speeds:
            applied = _further(applied, settled(speed.read_int, khz), khz)
        for pin in self._pins:
            applied = _further(applied, pin.read(khz), khz)
        return applied * _KHZ

    def current_hz(self) -> int:
        """See `Domain.current_hz`."""
        return min(read_int(policy / 'scaling_cur_freq') for policy in self.policies) * _KHZ

    def snapshot(self) -> Snapshot:
        """See `Domain.snapshot`."""
        return {
            relative(policy / name, self._root): read_text(policy / name)
            for policy in self.policies
            for name in FILES
            if (policy / name).exists()
        }

    def restore(self, snapshot: Mapping[str, str]) -> list[str]:
        """See `Domain.restore`."""
        self._pins.clear()
        self._speeds.clear()
        return restore(self._root, snapshot, self._files)

    def close(self) -> None:
        """See `Domain.close`."""
        self._pins.clear()
        self._speeds.clear()
        self._files.close()

    def unwritable(self) -> list[Path]:
        """See `Domain.unwritable`."""
        paths = [p / name for p in self.policies for name in FILES if (p / name).exists()]
        return unwritable(paths)


def _further(one: int, other: int, wanted: int) -> int:
    """The one of the two that is further from what was wanted."""
    return max(one, other, key=lambda khz: abs(khz - wanted))


def restore(root: Path, snapshot: Mapping[str, str], files: KernelFiles) -> list[str]:
    """Give the policies of a snapshot back; return one line for each file that did not come."""
    policies: dict[Path, dict[str, str]] = {}
    for name, text in snapshot.items():
        policies.setdefault((root / name).parent, {})[Path(name).name] = text
    return [line for p, texts in policies.items() for line in _restore_policy(p, texts, files)]


def _restore_policy(policy: Path, texts: Mapping[str, str], files: KernelFiles) -> list[str]:
    problems = []
    if LOW in texts and HIGH in texts:
        try:
            floor = read_text(policy / 'cpuinfo_min_freq')
        except DomainError as error:
            return [str(error.strerror)]
        problems += restore_range(
            files, policy / LOW, policy / HIGH, (texts[LOW], texts[HIGH]), floor
        )
    if GOVERNOR in texts:
        problems += restore_text(files, policy / GOVERNOR, texts[GOVERNOR])
    # Under any other governor the file reads `<unsupported>` and takes nothing.
    if texts.get(SETSPEED, '').isdigit():
        problems += restore_text(files, policy / SETSPEED, texts[SETSPEED])
    return problems
