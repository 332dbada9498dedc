"""Pinning a clock through its attribute files: one that takes the frequency, or a min/max pair.

Before PM QoS (cpufreq and devfreq of 4.9, JetPack 4) a write that would leave min > max is refused
with EINVAL, so the order matters: going up, max first; going down, min first; when in doubt min to
the floor, then max, then min. With PM QoS (5.x, JetPack 5 on) any order is taken, max wins, cpufreq
applies it a moment later, and reads return the effective range. One order serves both.
Sources: drivers/cpufreq/cpufreq.c, drivers/devfreq/devfreq.c.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from typing import Protocol

from e4_ros.energy.domains.sysfs import KernelFile
from e4_ros.energy.errors import Write, WriteRefused

SETTLE_S = 0.002
"""How long a value that reads back differently may take to be applied before it is reported."""

POLL_S = 0.0001


class Pin(Protocol):
    """One clock's files; values are in the files' unit."""

    def write(self, value: int) -> None:
        """Pin to `value`, whatever the files hold."""

    def read(self, value: int) -> int:
        """What reads back after `value` was written, once it has settled."""

    def moves(self, before: int, value: int) -> tuple[Write, ...]:
        """The writes that take the pin from `before` to `value`."""


def settled(read: Callable[[], int], wanted: int, slack: int = 0) -> int:
    """Read until the value is `wanted` (give or take `slack`) or `SETTLE_S` has passed."""
    value = read()
    if abs(value - wanted) <= slack:
        return wanted
    deadline = time.monotonic() + SETTLE_S
    while time.monotonic() < deadline:
        time.sleep(POLL_S)
        value = read()
        if abs(value - wanted) <= slack:
            return wanted
    return value


class ValuePin:
    """A file that takes the frequency itself."""

    def __init__(self, file: KernelFile) -> None:
        self._file = file

    def write(self, value: int) -> None:
        """See `Pin.write`."""
        self._file.write(b'%d\n' % value)

    def read(self, value: int) -> int:
        """See `Pin.read`."""
        return settled(self._file.read_int, value)

    def moves(self, before: int, value: int) -> tuple[Write, ...]:
        """See `Pin.moves`."""
        return (self._file.write_of(b'%d\n' % value),)


class RangePin:
    """A min/max pair.

    Args:
        low: the file of the lower limit, kept open.
        high: the file of the upper limit, kept open.
        floor: what the lower limit may always be set to.
        slack: difference to forgive when reading back (devfreq rounds to kHz).
    """

    def __init__(self, low: KernelFile, high: KernelFile, floor: int, slack: int = 0) -> None:
        self._low = low
        self._high = high
        self._floor = floor
        self._slack = slack

    def write(self, value: int) -> None:
        """See `Pin.write`."""
        text = b'%d\n' % value
        try:
            for file in self._order(self._high.read_int(), value):
                file.write(text)
        except WriteRefused as error:
            if error.errno != errno.EINVAL:
                raise
            # Somebody else moved the pair in the meantime: take the order that is always safe.
            self._low.write(b'%d\n' % self._floor)
            self._high.write(text)
            self._low.write(text)

    def read(self, value: int) -> int:
        """See `Pin.read`; where the two differ, the one that is off."""
        high = settled(self._high.read_int, value, self._slack)
        return high if high != value else settled(self._low.read_int, value, self._slack)

    def moves(self, before: int, value: int) -> tuple[Write, ...]:
        """See `Pin.moves`."""
        return tuple(file.write_of(b'%d\n' % value) for file in self._order(before, value))

    def _order(self, before: int, value: int) -> tuple[KernelFile, KernelFile]:
        return (self._high, self._low) if value > before else (self._low, self._high)
