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

"""A frequency domain: something with its own clock, that can be pinned and restored.

The kinds (cpufreq, devfreq, bpmp, nvml) live in modules of their own; `discovery` finds them. The
life of a domain under a lease is always::

    saved = domain.snapshot()          # into the undo log, before the first write
    domain.open()                      # may write: governor, lock
    applied_hz = domain.set_hz(hz)     # many times
    saved = domain.taken_over(saved)   # often: what others wrote since stays
    problems = domain.restore(saved)
    domain.close()

A snapshot alone is enough for another process to restore everything (`restore_snapshot`), so a
daemon that was killed loses nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from e4_ros.energy.domains.sysfs import KernelFiles
from e4_ros.energy.errors import Check, DomainError, FrequencyNotInTable, Snapshot, Write

UNKNOWN_HZ = -1
"""`Domain.pinned_hz` after a write that failed: the files may hold anything."""


class Domain(ABC):
    """One clock, or several that always move together.

    Attributes:
        kind: kernel interface of the domain (``cpufreq``, ``devfreq``, ``bpmp``, ``nvml``).
        name: ``cpu``, ``gpu``, ``emc``; a second of its sort is ``cpu1``, ``gpu1``, ...
        frequencies_hz: table of the frequencies that the hardware offers, in hertz, ascending.
        limits_hz: lowest and highest frequency that may be asked for, as the machine's own
            settings (nvpmodel, an administrator) allow; see `set_limits`.
        pinned_hz: frequency that was written last; None before the first since `open`, `UNKNOWN_HZ`
            where a write failed.
        settled_hz: frequency that was read back then: another where the kernel did not take it.
        revision: number that changes when what a plan may use or must write is another.
    """

    kind: ClassVar[str]

    def __init__(
        self, name: str, frequencies_hz: tuple[int, ...], limits_hz: tuple[int, int]
    ) -> None:
        if not frequencies_hz or list(frequencies_hz) != sorted(set(frequencies_hz)):
            raise DomainError(f'{name}: the frequency table must be ascending and not empty')
        self.name = name
        self.frequencies_hz = frequencies_hz
        self.pinned_hz: int | None = None
        self.settled_hz = 0
        self.revision = 0
        self.set_limits(*limits_hz)

    def set_limits(self, low_hz: int, high_hz: int) -> None:
        """Change the limits: somebody lowered or raised the power mode. Writes nothing.

        Args:
            low_hz: lowest frequency that may be asked for from now on.
            high_hz: highest frequency that may be asked for from now on.
        """
        self.limits_hz = (low_hz, high_hz)
        self._allowed = frozenset(f for f in self.frequencies_hz if low_hz <= f <= high_hz)
        self.revision += 1

    def clamped(self, hz: int) -> int:
        """The allowed frequency next below `hz` (the lowest where there is none)."""
        if hz in self._allowed:
            return hz
        allowed = self.allowed_hz or self.frequencies_hz[:1]
        return max((f for f in allowed if f <= hz), default=allowed[0])

    def taken_over(self, saved: Snapshot) -> Snapshot:
        """The saved state with what others wrote since in the place of what they replaced.

        A file that holds neither what was saved nor what was pinned was written by somebody else
        (nvpmodel, a battery manager): that is its state now, and what is restored in the end. Files
        that cannot be read keep their saved text.
        """
        return saved

    def machine_limits(self, saved: Mapping[str, str]) -> tuple[int, int]:
        """The limits that a snapshot, and what else the machine says now, allow, in hertz."""
        return self.limits_hz

    def in_mode(self, saved: Snapshot, low_hz: int, high_hz: int) -> Snapshot:
        """The saved state with the limits of a power mode that was set since.

        Only of files that pins write themselves, where the mode's own writes may be hidden or lost.
        """
        return saved

    def rediscover(self, saved: Mapping[str, str]) -> bool:
        """Pin again, while open, clocks that had gone for a while and are back.

        Args:
            saved: saved state on disk; what it lacks is not written.

        Returns:
            Whether there were any.
        """
        return False

    @staticmethod
    def away_files(root: Path, snapshot: Mapping[str, str]) -> Snapshot:
        """The part of a snapshot whose clocks are gone for now (offline CPUs), and may come back.

        It can neither be read nor restored before.
        """
        return {}

    @property
    def allowed_hz(self) -> tuple[int, ...]:
        """The part of the table within the limits, ascending: what a plan may use."""
        return tuple(sorted(self._allowed))

    def check(self, hz: int) -> None:
        """Raise `FrequencyNotInTable` unless `hz` is in the table and within the limits."""
        if hz in self._allowed:
            return
        if hz in self.frequencies_hz:
            lowest, highest = self.limits_hz
            raise FrequencyNotInTable(
                f"{self.name}: {hz} Hz is outside the machine's limits {lowest} to {highest} Hz; "
                'change the power mode (nvpmodel) or choose another frequency'
            )
        nearest = min(self.frequencies_hz, key=lambda f: abs(f - hz))
        raise FrequencyNotInTable(
            f'{self.name}: {hz} Hz is not in the table; the nearest entry is {nearest} Hz'
        )

    def set_hz(self, hz: int) -> int:
        """Pin the clock; the domain must be open.

        Args:
            hz: a frequency of the table, within the limits.

        Returns:
            The frequency that was read back: where it differs from `hz`, the kernel rounded or
            another limit (heat) won, and the caller reports it.

        Raises:
            FrequencyNotInTable: the frequency is not allowed; nothing was written.
            NotPermitted: the kernel refuses this user.
            DeviceGone: the device has disappeared.
            WriteRefused: the kernel refused the write.
        """
        if hz not in self._allowed:
            self.check(hz)
        self.pinned_hz = UNKNOWN_HZ
        self._write(hz)
        self.pinned_hz = hz
        self.settled_hz = self.read_back(hz)
        return self.settled_hz

    def transition_writes(self, before_hz: int, hz: int) -> tuple[Write, ...]:
        """The bare writes that change an open clock from one pinned frequency to another.

        A text that the kernel accepted unchanged reads back the same. Where a write fails or a text
        differs, `set_hz` and `read_back` handle it. Empty: the domain has only `set_hz`.
        """
        return ()

    def transition_checks(self, before_hz: int) -> tuple[Check, ...]:
        """What must still hold before the bare writes of a transition, else others wrote meanwhile.

        Only files that the transition overwrites: what others wrote there would be lost.
        """
        return ()

    @abstractmethod
    def _write(self, hz: int) -> None:
        """Write the (already checked) frequency through the kept descriptors."""

    @abstractmethod
    def read_back(self, hz: int) -> int:
        """The frequency that reads back after `hz` was written; waits for late limits."""

    @abstractmethod
    def current_hz(self) -> int:
        """Frequency of the hardware now (for several clocks: the lowest). Needs no `open`."""

    @abstractmethod
    def snapshot(self) -> Snapshot:
        """State of everything that `open` and `set_hz` may change. Needs no `open`."""

    @abstractmethod
    def open(self) -> None:
        """Open the files and select the governor that pinning needs; save a snapshot before.

        On an error everything already opened is closed again; what was written is in the snapshot.
        """

    @abstractmethod
    def restore(self, snapshot: Mapping[str, str]) -> list[str]:
        """Restore what the snapshot holds; the domain may be open or closed.

        Afterwards `set_hz` needs `open` again. An error does not end the restore.

        Returns:
            One line for each thing that could not be restored.
        """

    @staticmethod
    @abstractmethod
    def restore_files(root: Path, snapshot: Mapping[str, str], files: KernelFiles) -> list[str]:
        """Restore with nothing but the snapshot of a domain below `root`; see `restore`."""

    @abstractmethod
    def close(self) -> None:
        """Close the descriptors. Restores nothing. May be called twice."""

    @abstractmethod
    def unwritable(self) -> list[Path]:
        """The files that this user must be allowed to write and is not; empty when ready."""

    def __repr__(self) -> str:
        low, high = self.frequencies_hz[0], self.frequencies_hz[-1]
        return f'<{self.kind} {self.name}: {len(self.frequencies_hz)} points, {low}-{high} Hz>'


def limits_hz(table_hz: tuple[int, ...], low_hz: int, high_hz: int) -> tuple[int, int]:
    """Lowest and highest frequency that may be asked for, given the min and max found at discovery.

    Both are kept, because somebody chose them: nvpmodel its cap, an administrator a floor. Two
    cases are corrected. A clock that is pinned (min = max, as `jetson_clocks` leaves it) keeps only
    its cap, else no lease could do anything. A cap between two table entries, or a floor above the
    cap, is no reason to be left without any entry: the table's lowest always remains.
    """
    high_hz = max(high_hz or table_hz[-1], table_hz[0])
    pinned_or_empty = not any(low_hz <= hz <= high_hz for hz in table_hz) or low_hz >= high_hz
    return (table_hz[0] if pinned_or_empty else low_hz), high_hz
