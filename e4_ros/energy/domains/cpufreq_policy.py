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

"""One cpufreq policy (`policy*`): CPUs that share a clock, and how its files pin it.

With the `userspace` governor a step is one write to `scaling_setspeed`; a driver without it
(intel_pstate and amd_pstate in active mode) is pinned by min = max. A policy whose CPUs are all
offline stays as a folder that answers EBUSY (older kernels: with an empty `affected_cpus`).
Sources: drivers/cpufreq/cpufreq.c, cpufreq_userspace.c; Documentation/admin-guide/pm/cpufreq.rst.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from e4_ros.energy.domains.cooling import heat_state
from e4_ros.energy.domains.pins import (
    Guard,
    Pin,
    RangePin,
    RoundedPin,
    Span,
    ValuePin,
    at_most,
    others_range,
)
from e4_ros.energy.domains.restore import restore_range, restore_text
from e4_ros.energy.domains.sysfs import KernelFiles, parse_int, read_text, relative
from e4_ros.energy.errors import DomainError, Snapshot

GOVERNOR, SETSPEED = 'scaling_governor', 'scaling_setspeed'
LOW, HIGH = 'scaling_min_freq', 'scaling_max_freq'
FILES = (GOVERNOR, LOW, HIGH, SETSPEED)
"""The files of each policy that a step or a lease may write."""


def online(folder: Path) -> bool:
    """Whether a policy has a CPU that runs; without one its files mean nothing, and refuse."""
    try:
        return bool(read_text(folder / 'affected_cpus'))
    except DomainError:  # newer kernels answer EBUSY for whatever is read
        return False


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


class PolicyPin:
    """How one policy is pinned; all numbers are in kHz.

    Args:
        root: folder that holds ``sys/``.
        folder: folder of the policy.
        files: the files that its domain keeps open.
        table: frequencies that the policy offers, ascending.
        wider: whether its domain offers others, which it rounds down.

    Attributes:
        pin: the pin while it is held; None while it is not, or its CPUs are offline.
        table: see above.
    """

    def __init__(
        self, root: Path, folder: Path, files: KernelFiles, table: Sequence[int], wider: bool
    ) -> None:
        self.folder = folder
        self.pin: Pin | None = None
        self.table = table
        self._files, self._wider = files, wider
        self._by_speed = False
        self._guard: Guard | None = None  # the upper limit, which a speed does not replace
        self._names = {name: relative(folder / name, root) for name in FILES}
        self._opened_to: int | None = None  # what the lower limit was set to, if it was

    def hold(self, lowest: int) -> None:
        """Open the files, and select the governor that pinning needs; nothing while offline.

        Args:
            lowest: lowest frequency that will be asked for.
        """
        self._opened_to = self._guard = None
        if not online(self.folder):
            return
        try:
            pin = self._own_pin(lowest)
            self.pin = RoundedPin(pin, self.table) if self._wider else pin
        except DomainError:
            self.leave_if_offline()

    def _own_pin(self, lowest: int) -> Pin:
        low, high = (self._files.keep(self.folder / name) for name in (LOW, HIGH))
        self._by_speed = _takes_speed(self.folder)
        if not self._by_speed:
            return RangePin(low, high, self.table[0])
        governor = self._files.keep(self.folder / GOVERNOR)
        self.open_range(lowest)
        if read_text(self.folder / GOVERNOR) != 'userspace':
            governor.write(b'userspace\n')
        self._guard = Guard(high)
        return ValuePin(self._files.keep(self.folder / SETSPEED), self._guard)

    def open_range(self, lowest: int) -> None:
        """Open the range down to `lowest`: jetson_clocks leaves min = max behind."""
        if not self._by_speed:
            return
        low = self._files.keep(self.folder / LOW)
        if low.read_int() > lowest:
            low.write(b'%d\n' % lowest)
            self._opened_to = lowest

    def limit_moved(self) -> bool:
        """Whether the upper limit beside a pinned speed is another than before."""
        return self.pin is not None and self._guard is not None and self._guard.look()

    def leave_if_offline(self) -> None:
        """For an `except` block: let go where the CPUs are offline, else raise the error again."""
        if online(self.folder):
            raise
        self.pin = None

    def snapshot(self) -> Snapshot:
        """State of everything that `hold` and a pin may change; empty while offline."""
        present = {name: self.folder / name for name in FILES if (self.folder / name).exists()}
        try:
            return {self._names[name]: read_text(path) for name, path in present.items()}
        except DomainError:
            if online(self.folder):
                raise
            return {}

    def limits(self, saved: Mapping[str, str]) -> tuple[int, int] | None:
        """The limits that a snapshot holds; None where it has none of this policy."""
        try:
            low, high = (parse_int(saved[self._names[name]], self.folder) for name in (LOW, HIGH))
        except (DomainError, KeyError):
            return None
        return low, high

    def taken_over(self, saved: Snapshot, pinned: Span | None, unknown: bool) -> Snapshot:
        """What others changed: to be put over the saved state. See `Domain.taken_over`.

        Args:
            saved: the saved state of the domain.
            pinned: what a limit that pins may read, from least to most, if nobody else wrote it;
                None if nothing was written.
            unknown: whether a write failed, so that limits that are pins may be anything.
        """
        before = self.limits(saved)
        try:
            if before is None:
                return self.snapshot() if online(self.folder) else {}
            if self.pin is None or (unknown and not self._by_speed):
                return {}
            low, high = (self._files.read_int(self.folder / name) for name in (LOW, HIGH))
        except DomainError:
            return {}
        ours = (before[0], before[0]), (before[1], before[1])
        if self._by_speed and self._opened_to is not None:
            ours = (self._opened_to, self._opened_to), ours[1]
        elif pinned is not None and not self._by_speed:
            span = at_most(self.table, pinned[0]), at_most(self.table, pinned[1])
            ours = span, span
        after = others_range(before, (low, high), ours)
        changed = zip((LOW, HIGH), before, after, strict=True)
        return {self._names[name]: str(new) for name, old, new in changed if new != old}


def _takes_speed(folder: Path) -> bool:
    return 'userspace' in read_text(folder / 'scaling_available_governors').split()


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0


def restore_policy(
    folder: Path, texts: Mapping[str, str], files: KernelFiles, root: Path
) -> list[str]:
    """Restore one policy below `root` from file name → text; return what went wrong."""
    problems = []
    try:
        if LOW in texts and _takes_speed(folder):
            # The upper limit was never ours: what it says now is what others want.
            low, high = texts[LOW], read_text(folder / HIGH)
            lower = min(low, high, key=_number)
            # Under heat it says less than others want: a lower limit above it may be right.
            if lower == low or not heat_state(root) or restore_text(files, folder / LOW, low, True):
                problems += restore_text(files, folder / LOW, lower)
        elif LOW in texts and HIGH in texts:
            floor, limits = read_text(folder / 'cpuinfo_min_freq'), (texts[LOW], texts[HIGH])
            problems += restore_range(files, folder / LOW, folder / HIGH, limits, floor, root)
        if GOVERNOR in texts:
            problems += restore_text(files, folder / GOVERNOR, texts[GOVERNOR])
        # Under any other governor the file reads `<unsupported>` and takes nothing.
        if texts.get(SETSPEED, '').isdigit():
            problems += restore_text(files, folder / SETSPEED, texts[SETSPEED])
    except DomainError as error:
        problems.append(str(error.strerror))
    return problems
