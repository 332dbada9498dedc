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

"""CPU clocks through cpufreq policies (`/sys/devices/system/cpu/cpufreq/policy*`).

Policies of cores of about the same capacity (`cpu_capacity`, or the top clock) move together as one
domain, even where their tables end apart, as those of binned or favoured cores do. The cores of the
highest capacity, on which a scheduler puts a busy network, are `cpu`; the next are `cpu1`, and so
on. How they are pinned: `cpufreq_domain`.
Sources: drivers/cpufreq/cpufreq.c, drivers/base/arch_topology.c.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from e4_ros.energy.domains.cpufreq_domain import CpufreqDomain
from e4_ros.energy.domains.cpufreq_policy import FILES, GOVERNOR, HIGH, LOW, Policy, online
from e4_ros.energy.domains.sysfs import read_clock, read_clocks, read_int, read_text
from e4_ros.energy.errors import DomainError

__all__ = ['FILES', 'POLICIES', 'TOP', 'CpufreqDomain', 'find', 'policy_table_hz']

_log = logging.getLogger(__name__)

TOP = 'sys'
CPUS = 'sys/devices/system/cpu'
POLICIES = f'{CPUS}/cpufreq'

_KHZ = 1000
_STEP_KHZ = 100_000
_NO_CPU_KHZ = 100_000_000
_NUMBERS = (LOW, HIGH, 'cpuinfo_min_freq', 'scaling_cur_freq')
_WORDS = (GOVERNOR, 'scaling_available_governors')
_ALIKE = 0.9
"""Cores are of one kind if they have this share of the capacity of the best of them: a favoured
core has some per cent more than its kind, an efficient one three quarters of a fast one at most."""


def policy_table_hz(policy: Path) -> tuple[int, ...]:
    """Frequencies a policy offers, ascending.

    A driver without a table (the pstate drivers) takes any number; it gets the multiples of
    100 MHz, Intel's bus clock, between its two ends.
    """
    table = policy / 'scaling_available_frequencies'
    if table.exists():
        return tuple(khz * _KHZ for khz in read_clocks(table))
    low, high = (read_clock(policy / f'cpuinfo_{end}_freq') for end in ('min', 'max'))
    if not 0 < low <= high <= _NO_CPU_KHZ:
        raise DomainError(f'{policy} offers {low} to {high} kHz')
    inner = range((low // _STEP_KHZ + 1) * _STEP_KHZ, high, _STEP_KHZ)
    return tuple(khz * _KHZ for khz in sorted({low, *inner, high}))


def find(root: Path) -> Iterator[CpufreqDomain]:
    """The CPU domains below `root`, those with the fastest cores first.

    Policies whose CPUs are all offline do not count; a broken one is logged and left out.
    """
    for index, group in enumerate(_kinds(_online(root))):
        best = max(policy.capacity for policy in group)
        try:
            yield CpufreqDomain(root, f'cpu{index or ""}', group, partial(_alike, root, best))
        except DomainError as error:
            _log.warning('CPU clocks are left out: %s', error)


def _alike(root: Path, capacity: int) -> list[Policy]:
    """The policies that are online now and of the kind whose best core has that capacity."""
    span = _ALIKE * capacity, capacity / _ALIKE
    return [policy for policy in _online(root) if span[0] <= policy.capacity <= span[1]]


def _online(root: Path) -> list[Policy]:
    found = []
    for path in (root / POLICIES).glob('policy*'):
        if not re.fullmatch(r'policy\d+', path.name) or not online(path):
            continue
        try:
            table_hz = policy_table_hz(path)
            if not table_hz:
                raise DomainError(f'{path} offers no frequency')
            for file in _NUMBERS:
                read_clock(path / file)
            if not all(read_text(path / file) for file in _WORDS):
                raise DomainError(f'{path} has no governor')
            if not read_int(path / HIGH):
                raise DomainError(f'{path} may not run at all: its upper limit is 0')
            found.append(Policy(path, table_hz, table_hz[-1]))
        except DomainError as error:
            _log.warning('a CPU clock is left out: %s', error)
    capacities = [_capacity(root, policy.path) for policy in found]
    if all(capacities):
        pairs = zip(found, capacities, strict=True)
        found = [policy._replace(capacity=capacity) for policy, capacity in pairs]
    return sorted(found, key=lambda policy: int(policy.path.name.removeprefix('policy')))


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
