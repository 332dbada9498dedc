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

"""CPUs of one kind as one domain: the policies that are pinned together."""

from __future__ import annotations

import contextlib
import errno
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from typing_extensions import override

from e4_ros.energy.domains.cpufreq_policy import (
    FILES,
    GOVERNOR,
    HIGH,
    LOW,
    SETSPEED,
    Policy,
    PolicyPin,
    online,
    restore_policy,
)
from e4_ros.energy.domains.domain import UNKNOWN_HZ, limits_hz
from e4_ros.energy.domains.file_domain import FileDomain
from e4_ros.energy.domains.pins import Pin, at_most
from e4_ros.energy.domains.sysfs import KernelFiles, read_clock, read_text
from e4_ros.energy.errors import DomainError, Snapshot

_KHZ = 1000

_MEASURES = re.compile(r'pstate|acpi-cpufreq|intel_cpufreq')
"""Drivers under which `scaling_cur_freq` is measured, also of a core that was idle."""


class CpufreqDomain(FileDomain):
    """The policies of one kind of cores, pinned together.

    Its table is that of the policy with the highest top. A policy that lacks an entry takes its own
    next lower one, and its limits count where they are tighter than its own hardware's. One whose
    CPUs go offline (a lower power mode does that) is left out, without an error, until they are
    back; one whose CPUs were offline before (a higher mode brings them) joins with the next
    snapshot. One that the snapshot before `open` lacks, and that is back a moment later, is left to
    `rediscover`: nothing is written of which no state is saved.

    Args:
        root: folder that holds ``sys/``.
        name: name of the domain; see `Domain`.
        policies: its policies.
        alike: function that returns the policies that belong to it now.
    """

    kind = 'cpufreq'
    unit_hz = _KHZ

    def __init__(
        self,
        root: Path,
        name: str,
        policies: Sequence[Policy],
        alike: Callable[[], Sequence[Policy]] = tuple,
    ) -> None:
        table_hz = max((policy.table_hz for policy in policies), key=lambda table: table[-1])
        self._members: list[PolicyPin] = []
        super().__init__(root, name, table_hz, (table_hz[0], table_hz[-1]), ())
        self.policies: tuple[Path, ...] = ()
        self._alike = alike
        self._unsaved: set[Path] = set()  # folders that the last snapshot lacks
        self._join(policies)
        now = [(read_clock(one.path / LOW), read_clock(one.path / HIGH)) for one in policies]
        self.set_limits(*self._limits(zip(self._members, now, strict=True)))

    def _join(self, policies: Iterable[Policy]) -> None:
        table_khz = [hz // _KHZ for hz in self.frequencies_hz]
        for policy in policies:
            own = [hz // _KHZ for hz in policy.table_hz]
            pin = PolicyPin(self._root, policy.path, self._files, own, wider=own != table_khz)
            self._members.append(pin)
            self.policies += (policy.path,)
            self._paths += tuple(policy.path / file for file in FILES)

    def _limits(self, found: Iterable[tuple[PolicyPin, tuple[int, int]]]) -> tuple[int, int]:
        """The limits of all; one at its own top has no cap."""
        top, lows, highs = self.frequencies_hz[-1] // _KHZ, [], []
        for policy, (low, high) in found:
            lows.append(low)
            highs.append(high if high < policy.table[-1] else max(high, top))
        return limits_hz(self.frequencies_hz, max(lows) * _KHZ, min(highs) * _KHZ)

    @property
    def _lowest(self) -> int:
        return self.limits_hz[0] // _KHZ

    @property
    def _held(self) -> list[tuple[PolicyPin, Pin]]:
        return [(policy, policy.pin) for policy in self._members if policy.pin is not None]

    @override
    def set_limits(self, low_hz: int, high_hz: int) -> None:
        super().set_limits(low_hz, high_hz)
        for policy, _ in self._held:
            with contextlib.suppress(DomainError):  # then steps are as low as they can be
                policy.open_range(self._lowest)

    @override
    def _open_pins(self) -> list[Pin]:
        for policy in self._members:
            if policy.folder not in self._unsaved:
                policy.hold(self._lowest)
        return [pin for _, pin in self._held]

    @override
    def _write(self, hz: int) -> None:
        self._must_be_open()
        for policy, pin in self._held:
            try:
                pin.write(hz // _KHZ)
            except DomainError:
                if online(policy.folder):  # it may be back since a moment ago
                    pin.write(hz // _KHZ)
                else:
                    policy.pin = None
                    self._held_changed()

    @override
    def read_back(self, hz: int) -> int:
        wanted, seen = hz // _KHZ, []
        for policy, pin in self._held:
            try:
                seen.append(pin.read(wanted))
            except DomainError:
                policy.leave_if_offline()
                self._held_changed()
        return _KHZ * max(seen, key=lambda value: abs(value - wanted), default=wanted)

    def _held_changed(self) -> None:
        self._pins = [pin for _, pin in self._held]
        self.revision += 1

    @override
    def rediscover(self, saved: Mapping[str, str]) -> bool:
        if not self._is_open:
            return False
        before = len(self._held)
        for policy in self._members:
            if policy.pin is None and policy.limits(saved) and online(policy.folder):
                policy.hold(self._lowest)
                if policy.pin is not None and self._pinned:
                    policy.pin.write(self._pinned)
        if len(self._held) > before:
            self._held_changed()
        return len(self._held) > before

    @override
    def taken_over(self, saved: Snapshot) -> Snapshot:
        changed: Snapshot = {}
        for policy in self._members:
            unknown = self.pinned_hz == UNKNOWN_HZ
            changed |= policy.taken_over(saved, self._span, unknown)
            self.revision += policy.limit_moved()  # or every step would stop to look
        return saved | changed if changed else saved

    @override
    def machine_limits(self, saved: Mapping[str, str]) -> tuple[int, int]:
        members = [policy for policy, _ in self._held] or self._members
        found = [(policy, span) for policy in members if (span := policy.limits(saved))]
        return self._limits(found) if found else self.limits_hz

    @override
    def current_hz(self) -> int:
        """The lowest of the policies' frequencies, each as the entry of the table it stands for."""
        rates = []
        for policy in self._members:
            try:
                rates.append(self._stands_for(policy, _current_khz(policy.folder)))
            except DomainError:
                if online(policy.folder):
                    raise
        if not rates:
            raise DomainError(errno.EBUSY, f'{self.name}: its CPUs are all offline')
        return min(rates) * _KHZ

    def _stands_for(self, policy: PolicyPin, khz: int) -> int:
        """The entry at which a policy that shows `khz` may be: above its own top, the highest."""
        entries = (hz // _KHZ for hz in self.frequencies_hz)
        return max((entry for entry in entries if at_most(policy.table, entry) == khz), default=khz)

    @override
    def snapshot(self) -> Snapshot:
        saved: Snapshot = {}
        if not self._is_open:
            self._join(policy for policy in self._alike() if policy.path not in self.policies)
        self._unsaved.clear()
        for policy in self._members:
            found = policy.snapshot() if online(policy.folder) else {}
            saved |= found
            if not found:
                self._unsaved.add(policy.folder)
        return saved

    @override
    def _forget_pins(self) -> None:
        super()._forget_pins()
        for policy in self._members:
            policy.pin = None

    @staticmethod
    @override
    def restore_files(root: Path, snapshot: Mapping[str, str], files: KernelFiles) -> list[str]:
        policies: dict[Path, dict[str, str]] = {}
        for name, text in snapshot.items():
            policies.setdefault((root / name).parent, {})[Path(name).name] = text
        return [
            line for p, texts in policies.items() for line in restore_policy(p, texts, files, root)
        ]

    @staticmethod
    @override
    def away_files(root: Path, snapshot: Mapping[str, str]) -> Snapshot:
        folders = {(root / name).parent for name in snapshot}
        offline = {folder for folder in folders if folder.exists() and not online(folder)}
        return {n: text for n, text in snapshot.items() if (root / n).parent in offline}


def _current_khz(policy: Path) -> int:
    """What a policy is set to now, or runs at where nobody has set it."""
    if _MEASURES.search(_or_empty(policy / 'scaling_driver')):
        if _or_empty(policy / GOVERNOR) == 'userspace':
            return read_clock(policy / SETSPEED)
        if (high := read_clock(policy / HIGH)) == read_clock(policy / LOW):
            return high
    return read_clock(policy / 'scaling_cur_freq')


def _or_empty(path: Path) -> str:
    try:
        return read_text(path)
    except DomainError:
        return ''
