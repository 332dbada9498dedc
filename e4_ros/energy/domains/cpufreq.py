"""CPU clocks through cpufreq policies (`/sys/devices/system/cpu/cpufreq/policy*`).

Policies of cores of about the same capacity (`cpu_capacity`, or the top clock) move together as one
domain, even where their tables end apart, as those of binned or favoured cores do. The cores of the
highest capacity, on which a scheduler puts a busy network, are `cpu`; the next are `cpu1`, and so
on. With the `userspace` governor a step is one write to `scaling_setspeed`; a driver without it
(intel_pstate and amd_pstate in active mode) is pinned by min = max.
Sources: drivers/cpufreq/cpufreq.c, cpufreq_userspace.c; drivers/base/arch_topology.c;
Documentation/admin-guide/pm/cpufreq.rst.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from typing_extensions import override

from e4_ros.energy.domains.domain import limits_hz
from e4_ros.energy.domains.file_domain import FileDomain
from e4_ros.energy.domains.pins import Pin, RangePin, RoundedPin, ValuePin, at_most
from e4_ros.energy.domains.restore import restore_range, restore_text
from e4_ros.energy.domains.sysfs import KernelFiles, read_int, read_ints, read_text
from e4_ros.energy.errors import DomainError

_log = logging.getLogger(__name__)

TOP = 'sys'
CPUS = 'sys/devices/system/cpu'
POLICIES = f'{CPUS}/cpufreq'
GOVERNOR, SETSPEED = 'scaling_governor', 'scaling_setspeed'
LOW, HIGH = 'scaling_min_freq', 'scaling_max_freq'
FILES = (GOVERNOR, LOW, HIGH, SETSPEED)
"""The files of each policy that a step or a lease may write."""

_KHZ = 1000
_STEP_KHZ = 100_000
_ALIKE = 0.9
"""Cores are of one kind if they have this share of the capacity of the best of them: a favoured
core has some per cent more than its kind, an efficient one three quarters of a fast one at most."""

_MEASURES = re.compile(r'pstate|acpi-cpufreq|intel_cpufreq')
"""Drivers under which `scaling_cur_freq` is measured, also of a core that was idle."""


class Policy(NamedTuple):
    """A policy whose CPUs are online.

    Attributes:
        path: its folder.
        table_hz: frequencies that it offers, in hertz, ascending.
        capacity: capacity of its cores, in any unit.
    """

    path: Path
    table_hz: tuple[int, ...]
    capacity: int


def policy_table_hz(policy: Path) -> tuple[int, ...]:
    """Frequencies a policy offers, ascending.

    A driver without a table (the pstate drivers) takes any number; it gets the multiples of
    100 MHz, Intel's bus clock, between its two ends.
    """
    table = policy / 'scaling_available_frequencies'
    if table.exists():
        return tuple(khz * _KHZ for khz in read_ints(table) if khz > 0)
    low, high = read_int(policy / 'cpuinfo_min_freq'), read_int(policy / 'cpuinfo_max_freq')
    inner = range((low // _STEP_KHZ + 1) * _STEP_KHZ, high, _STEP_KHZ)
    return tuple(khz * _KHZ for khz in sorted({low, *inner, high}))


def find(root: Path) -> Iterator[CpufreqDomain]:
    """The CPU domains below `root`, those with the fastest cores first.

    Policies whose CPUs are all offline do not count; a broken one is logged and left out.
    """
    for index, group in enumerate(_kinds(_online(root))):
        try:
            yield CpufreqDomain(root, f'cpu{index or ""}', group)
        except DomainError as error:
            _log.warning('CPU clocks are left out: %s', error)


def _online(root: Path) -> list[Policy]:
    found = []
    for path in (root / POLICIES).glob('policy*'):
        if not re.fullmatch(r'policy\d+', path.name) or not _has_cpus(path):
            continue
        try:
            table_hz = policy_table_hz(path)
            if not table_hz:
                raise DomainError(f'{path} offers no frequency')
            found.append(Policy(path, table_hz, table_hz[-1]))
        except DomainError as error:
            _log.warning('a CPU clock is left out: %s', error)
    capacities = [_capacity(root, policy.path) for policy in found]
    if all(capacities):
        pairs = zip(found, capacities, strict=True)
        found = [policy._replace(capacity=capacity) for policy, capacity in pairs]
    return sorted(found, key=lambda policy: int(policy.path.name.removeprefix('policy')))


def _has_cpus(policy: Path) -> bool:
    try:
        return bool(read_text(policy / 'affected_cpus'))
    except DomainError:  # newer kernels answer EBUSY for whatever is read
        return False


def _capacity(root: Path, policy: Path) -> int:
    """Capacity of the cores as the scheduler knows it; 0 where the kernel does not say."""
    try:
        return read_int(root / CPUS / f'cpu{read_int(policy / "affected_cpus")}' / 'cpu_capacity')
    except DomainError:
        return 0


def _kinds(policies: Sequence[Policy]) -> list[list[Policy]]:
    """Policies by kinds of cores, the most capable first, else in the order given."""
    groups: list[tuple[int, list[Policy]]] = []
    for policy in sorted(policies, key=lambda policy: -policy.capacity):
        if groups and policy.capacity >= _ALIKE * groups[-1][0]:
            groups[-1][1].append(policy)
        else:
            groups.append((policy.capacity, [policy]))
    return [[policy for policy in policies if policy in group] for _, group in groups]


class CpufreqDomain(FileDomain):
    """The policies of one kind of cores, pinned together.

    Its table is that of the policy with the highest top. A policy that lacks an entry takes its own
    next lower one, and its limits count where they are tighter than its own hardware's.
    """

    kind = 'cpufreq'
    unit_hz = _KHZ

    def __init__(self, root: Path, name: str, policies: Sequence[Policy]) -> None:
        table_hz = max((policy.table_hz for policy in policies), key=lambda table: table[-1])
        low = max(_floor_khz(policy) for policy in policies) * _KHZ
        high = min(_cap_khz(policy, table_hz) for policy in policies) * _KHZ
        paths = (policy.path / file for policy in policies for file in FILES)
        super().__init__(root, name, table_hz, limits_hz(table_hz, low, high), paths)
        self.policies = tuple(policy.path for policy in policies)
        self._tables_khz = {
            policy.path: [hz // _KHZ for hz in policy.table_hz] for policy in policies
        }

    @override
    def _open_pins(self) -> list[Pin]:
        return [self._pin(policy) for policy in self.policies]

    def _pin(self, policy: Path) -> Pin:
        pin, own = self._own_pin(policy), self._tables_khz[policy]
        whole = own == [hz // _KHZ for hz in self.frequencies_hz]
        return pin if whole else RoundedPin(pin, own)

    def _own_pin(self, policy: Path) -> Pin:
        low, high = self._files.keep(policy / LOW), self._files.keep(policy / HIGH)
        if 'userspace' not in read_text(policy / 'scaling_available_governors').split():
            return RangePin(low, high, self._tables_khz[policy][0])
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
        """The lowest of the policies' frequencies, each as the entry of the table it stands for."""
        return min(self._stands_for(p, _current_khz(p)) for p in self.policies) * _KHZ

    def _stands_for(self, policy: Path, khz: int) -> int:
        """The entry at which a policy that shows `khz` may be: above its own top, the highest."""
        own = self._tables_khz[policy]
        entries = (hz // _KHZ for hz in self.frequencies_hz)
        return max((entry for entry in entries if at_most(own, entry) == khz), default=khz)

    @staticmethod
    @override
    def restore_files(root: Path, snapshot: Mapping[str, str], files: KernelFiles) -> list[str]:
        policies: dict[Path, dict[str, str]] = {}
        for name, text in snapshot.items():
            policies.setdefault((root / name).parent, {})[Path(name).name] = text
        return [line for p, texts in policies.items() for line in _restore_policy(p, texts, files)]


def _floor_khz(policy: Policy) -> int:
    return read_int(policy.path / LOW)


def _cap_khz(policy: Policy, table_hz: tuple[int, ...]) -> int:
    """Highest clock that somebody allows; a policy at its own top has no cap."""
    khz = read_int(policy.path / HIGH)
    return khz if khz * _KHZ < policy.table_hz[-1] else max(khz, table_hz[-1] // _KHZ)


def _current_khz(policy: Path) -> int:
    """What a policy is set to now, or runs at where nobody has set it."""
    if _MEASURES.search(_or_empty(policy / 'scaling_driver')):
        if _or_empty(policy / GOVERNOR) == 'userspace':
            return read_int(policy / SETSPEED)
        if (high := read_int(policy / HIGH)) == read_int(policy / LOW):
            return high
    return read_int(policy / 'scaling_cur_freq')


def _or_empty(path: Path) -> str:
    try:
        return read_text(path)
    except DomainError:
        return ''


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
