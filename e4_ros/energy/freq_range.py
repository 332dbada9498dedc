"""Pinning a clock by min = max, and giving a min/max pair back, on kernels of both generations.

Before PM QoS (cpufreq and devfreq of 4.9, JetPack 4) a write that would leave min > max is refused
with EINVAL, so the order matters: going up, max first; going down, min first; when in doubt min to
the floor, then max, then min. With PM QoS (5.x, JetPack 5 on) any order is taken, max wins, cpufreq
applies it a moment later, and reads return the effective range. One order serves both. (What
somebody asked for cannot be read: an original taken while heat holds the clock down is the lower
one.)
Sources: drivers/cpufreq/cpufreq.c, drivers/devfreq/devfreq.c.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from pathlib import Path

from e4_ros.energy.domains import DomainError, WriteRefused
from e4_ros.energy.sysfs import KernelFile, KernelFiles, read_text

SETTLE_S = 0.002
"""How long a value that reads back differently may take to be applied before it is reported."""

_POLL_S = 0.0001


def settled(read: Callable[[], int], wanted: int, slack: int = 0) -> int:
    """Read until the value is `wanted` (give or take `slack`) or `SETTLE_S` has passed."""
    value = read()
    if abs(value - wanted) <= slack:
        return wanted
    deadline = time.monotonic() + SETTLE_S
    while time.monotonic() < deadline:
        time.sleep(_POLL_S)
        value = read()
        if abs(value - wanted) <= slack:
            return wanted
    return value


class RangePin:
    """A min/max pair that is pinned to one value after another.

    Args:
        low: the file of the lower limit, kept open.
        high: the file of the upper limit, kept open.
        floor: what the lower limit may always be set to, as the file's text.
        slack: difference to forgive when reading back (devfreq rounds to kHz), in the files' unit.
    """

    def __init__(self, low: KernelFile, high: KernelFile, floor: int, slack: int = 0) -> None:
        self._low = low
        self._high = high
        self._floor = b'%d\n' % floor
        self._slack = slack
        self._pinned: int | None = None

    def write(self, value: int, text: bytes) -> None:
        """Pin to `value`, whose text is `text`."""
        up = value > (self._high.read_int() if self._pinned is None else self._pinned)
        self._pinned = None
        first, second = (self._high, self._low) if up else (self._low, self._high)
        try:
            first.write(text)
            second.write(text)
        except WriteRefused as error:
            if error.errno != errno.EINVAL:
                raise
            # Somebody else moved the pair in the meantime: take the order that is always safe.
            self._low.write(self._floor)
            self._high.write(text)
            self._low.write(text)

    def read(self, value: int) -> int:
        """What reads back after `value` was written: where the two differ, the one that is off."""
        high = settled(self._high.read_int, value, self._slack)
        low = settled(self._low.read_int, value, self._slack) if high == value else high
        if low == high == value:
            self._pinned = value
        return high if high != value else low


def restore_text(files: KernelFiles, path: Path, text: str) -> list[str]:
    """Write one original back and check that it reads the same; return what went wrong."""
    try:
        files.write(path, text)
        return differing(path, text)
    except DomainError as error:
        return [str(error.strerror)]


def differing(path: Path, text: str) -> list[str]:
    """One line if `path` does not (soon) read `text`, else none."""
    deadline = time.monotonic() + SETTLE_S
    try:
        while (now := read_text(path)) != text:
            if time.monotonic() > deadline:
                return [f'{path} reads {now!r} after {text!r} was written back']
            time.sleep(_POLL_S)
    except DomainError as error:
        return [str(error.strerror)]
    return []


def restore_range(
    files: KernelFiles, low: Path, high: Path, originals: tuple[str, str], floor: str
) -> list[str]:
    """Give a min/max pair back whatever it is now; return one line for each that did not come.

    What counts is how the pair reads in the end: a refused write on the way may not matter.
    """
    refusals: dict[Path, str] = {}
    for path, text in ((low, floor), (high, originals[1]), (low, originals[0])):
        try:
            files.write(path, text)
            refusals.pop(path, None)
        except DomainError as error:
            refusals[path] = str(error.strerror)
    return [
        refusals.get(path, line)
        for path, text in ((low, originals[0]), (high, originals[1]))
        for line in differing(path, text)
    ]
