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

from typing_extensions import override

from e4_ros.energy.domains.domain import limits_hz
from e4_ros.energy.domains.file_domain import FileDomain
from e4_ros.energy.domains.pins import Pin, RangePin, ValuePin
from e4_ros.energy.domains.restore import restore_range, restore_text
from e4_ros.energy.domains.sysfs import KernelFiles, read_int, read_ints, read_text
from e4_ros.energy.errors import DomainError

TOP = 'sys'
POLICIES = 'sys/devices/system/cpu/cpufreq'
GOVERNOR, SETSPEED = 'scaling_governor', 'scaling_setspeed'
LOW, HIGH = 'scaling_min_freq', 'scaling_max_freq'
FILES = (GOVERNOR, LOW, HIGH, SETSPEED)
"""The files of each policy that a step or a lease may write."""

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


class CpufreqDomain(FileDomain):
    """The policies that share one table, pinned together."""

    kind = 'cpufreq'
    unit_hz = _KHZ

    def __init__(
        self, root: Path, name: str, frequencies_hz: tuple[int, ...], policies: list[Path]
    ) -> None:
        low = max(read_int(policy / LOW) for policy in policies) * _KHZ
        high = min(read_int(policy / HIGH) for policy in policies) * _KHZ
        paths = (policy / file for policy in policies for file in FILES)
        super().__init__(root, name, frequencies_hz, limits_hz(frequencies_hz, low, high), paths)
        self.policies = tuple(policies)

    @override
    def _open_pins(self) -> list[Pin]:
        return [self._pin(policy) for policy in self.policies]

    def _pin(self, policy: Path) -> Pin:
        low, high = self._files.keep(policy / LOW), self._files.keep(policy / HIGH)
        if 'userspace' not in read_text(policy / 'scaling_available_governors').split():
            return RangePin(low, high, self.frequencies_hz[0] // _KHZ)
        governor = self._files.keep(policy / GOVERNOR)
        # Open the whole range of the limits: jetson_clocks leaves min = max behind.
        lowest = self.limits_hz[0] // _KHZ
        if low.read_int() > lowest:
            low.write(b'%d\n' % lowest)
        if read_text(policy / GOVERNOR) != 'userspace':
            governor.write(b'userspace\n')
        return ValuePin(self._files.keep(policy / SETSPEED))

    @override
    def current_hz(self) -> int:
        return min(read_int(policy / 'scaling_cur_freq') for policy in self.policies) * _KHZ

    @staticmethod
    @override
    def restore_files(root: Path, snapshot: Mapping[str, str], files: KernelFiles) -> list[str]:
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
