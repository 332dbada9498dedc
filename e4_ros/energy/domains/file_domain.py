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

"""What domains behind attribute files have in common: open files, pins, saved state."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar

from typing_extensions import override

from e4_ros.energy.domains.domain import UNKNOWN_HZ, Domain
from e4_ros.energy.domains.pins import Pin, Span
from e4_ros.energy.domains.sysfs import KernelFiles, read_text, relative, unwritable
from e4_ros.energy.errors import Check, DomainError, Snapshot, Write


class FileDomain(Domain):
    """One clock, or several that move together, each pinned through files of its own.

    Args:
        root: folder that holds ``sys/``.
        name: name of the domain; see `Domain`.
        frequencies_hz: table of the frequencies in hertz, ascending.
        limits_hz: lowest and highest frequency allowed, in hertz.
        paths: every file that `open` and `set_hz` may write, in the order of a snapshot.

    Attributes:
        unit_hz: unit of the numbers in the files, in hertz.
    """

    unit_hz: ClassVar[int] = 1

    def __init__(
        self,
        root: Path,
        name: str,
        frequencies_hz: tuple[int, ...],
        limits_hz: tuple[int, int],
        paths: Iterable[Path],
    ) -> None:
        super().__init__(name, frequencies_hz, limits_hz)
        self._root = root
        self._paths = tuple(paths)
        self._files = KernelFiles()
        self._pins: list[Pin] = []
        self._is_open = False

    @abstractmethod
    def _open_pins(self) -> list[Pin]:
        """Open the files, select the governor that pinning needs, and return the pins."""

    @override
    def open(self) -> None:
        self.close()
        try:
            self._pins, self._is_open = self._open_pins(), True
            self.revision += 1  # with other descriptors
        except DomainError:
            self.close()
            raise

    @override
    def _write(self, hz: int) -> None:
        self._must_be_open()
        for pin in self._pins:
            pin.write(hz // self.unit_hz)

    @override
    def read_back(self, hz: int) -> int:
        self._must_be_open()
        wanted = hz // self.unit_hz
        seen = [pin.read(wanted) for pin in self._pins]
        return self.unit_hz * max(seen, key=lambda value: abs(value - wanted))

    @override
    def transition_writes(self, before_hz: int, hz: int) -> tuple[Write, ...]:
        before, value = before_hz // self.unit_hz, hz // self.unit_hz
        return tuple(write for pin in self._pins for write in pin.transition_writes(before, value))

    @override
    def transition_checks(self, before_hz: int) -> tuple[Check, ...]:
        before = before_hz // self.unit_hz
        return tuple(check for pin in self._pins for check in pin.checks(before))

    @override
    def snapshot(self) -> Snapshot:
        present = (path for path in self._paths if path.exists())
        return {relative(path, self._root): read_text(path) for path in present}

    def _must_be_open(self) -> None:
        if not self._is_open:
            raise DomainError(f'{self.name} is not open')

    def _forget_pins(self) -> None:
        self._pins, self.pinned_hz, self._is_open = [], None, False

    @property
    def _pinned(self) -> int | None:
        """What was written last, in the files' unit; None where nothing was, or nobody knows."""
        hertz = self.pinned_hz
        return None if hertz is None or hertz == UNKNOWN_HZ else hertz // self.unit_hz

    @property
    def _span(self) -> Span | None:
        """What a file may read that was pinned, if nobody else wrote it, in the files' unit."""
        pinned, settled = self._pinned, self.settled_hz // self.unit_hz
        return None if pinned is None else (min(pinned, settled), max(pinned, settled))

    @override
    def restore(self, snapshot: Mapping[str, str]) -> list[str]:
        self._forget_pins()
        return self.restore_files(self._root, snapshot, self._files)

    @override
    def close(self) -> None:
        self._forget_pins()
        self._files.close()

    @override
    def unwritable(self) -> list[Path]:
        return unwritable(path for path in self._paths if path.exists())
