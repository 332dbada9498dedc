"""What the clocks behind attribute files have in common: files kept open, pins, originals."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar

from e4_ros.energy.domains.domain import Domain
from e4_ros.energy.domains.pins import Pin
from e4_ros.energy.domains.sysfs import KernelFiles, read_text, relative, unwritable
from e4_ros.energy.errors import DomainError, Snapshot, Write


class FileDomain(Domain):
    """One clock, or several that move together, each pinned through files of its own.

    Args:
        root: where ``sys/`` is.
        name: see `Domain`, as the two that follow.
        frequencies_hz: the table.
        limits_hz: lowest and highest frequency allowed.
        paths: every file that `open` and `set_hz` may write, in the order of a snapshot.

    Attributes:
        unit_hz: hertz of one count in the files.
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

    @abstractmethod
    def _take(self) -> list[Pin]:
        """Keep the files open, select what pinning needs, and return the pins."""

    def open(self) -> None:
        """See `Domain.open`."""
        self.close()
        try:
            self._pins = self._take()
        except DomainError:
            self.close()
            raise

    def _write(self, hz: int) -> None:
        if not self._pins:
            raise DomainError(f'{self.name} is not open')
        for pin in self._pins:
            pin.write(hz // self.unit_hz)

    def read_back(self, hz: int) -> int:
        """See `Domain.read_back`."""
        wanted = hz // self.unit_hz
        seen = [pin.read(wanted) for pin in self._pins]
        return self.unit_hz * max(seen, key=lambda value: abs(value - wanted))

    def moves(self, before_hz: int, hz: int) -> tuple[Write, ...]:
        """See `Domain.moves`."""
        before, value = before_hz // self.unit_hz, hz // self.unit_hz
        return tuple(write for pin in self._pins for write in pin.moves(before, value))

    def snapshot(self) -> Snapshot:
        """See `Domain.snapshot`."""
        present = (path for path in self._paths if path.exists())
        return {relative(path, self._root): read_text(path) for path in present}

    def restore(self, snapshot: Mapping[str, str]) -> list[str]:
        """See `Domain.restore`."""
        self._pins = []
        return self.give_back(self._root, snapshot, self._files)

    def close(self) -> None:
        """See `Domain.close`."""
        self._pins = []
        self._files.close()

    def unwritable(self) -> list[Path]:
        """See `Domain.unwritable`."""
        return unwritable(path for path in self._paths if path.exists())
