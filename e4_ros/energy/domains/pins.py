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
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Protocol

from typing_extensions import override

from e4_ros.energy.domains.sysfs import KernelFile
from e4_ros.energy.errors import Check, DomainError, Write, WriteRefused

SETTLE_S = 0.002
"""How long a value that reads back differently may take to be applied before it is reported."""

POLL_S = 0.0001


class Pin(Protocol):
    """The files that pin one clock; values are in the files' unit."""

    def write(self, value: int) -> None:
        """Pin to `value`, whatever the files hold."""

    def read(self, value: int) -> int:
        """The value that reads back after `value` was written, once it has settled."""

    def transition_writes(self, before: int, value: int) -> tuple[Write, ...]:
        """The writes that change the pin from `before` to `value`."""

    def checks(self, before: int) -> tuple[Check, ...]:
        """What files hold unless others have written what such writes must not overlook."""


def at_most(table: Sequence[int], value: int) -> int:
    """Highest entry of an ascending table that is not above `value`; the first if all are."""
    return table[max(bisect_right(table, value) - 1, 0)]


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


class Guard:
    """A file in which others set a limit: what it held when it was last looked at.

    Args:
        file: the open file; it must be readable.
    """

    def __init__(self, file: KernelFile) -> None:
        self._file = file
        self._seen = file.read_int()

    def look(self) -> bool:
        """Read it; whether it has changed. One that cannot be read now has not."""
        try:
            before, self._seen = self._seen, self._file.read_int()
        except DomainError:
            return False
        return before != self._seen

    def check(self) -> Check:
        """With this a step sees, before it writes, whether it has changed since."""
        return self._file.check_of(self._seen, 0)


class ValuePin(Pin):
    """A file that takes the frequency itself.

    Args:
        file: the open file.
        guard: file of a limit beside it, which steps must not overlook; None where there is none.
    """

    def __init__(self, file: KernelFile, guard: Guard | None = None) -> None:
        self._file = file
        self._guard = guard

    @override
    def write(self, value: int) -> None:
        self._file.write(b'%d\n' % value)

    @override
    def read(self, value: int) -> int:
        return settled(self._file.read_int, value)

    @override
    def transition_writes(self, before: int, value: int) -> tuple[Write, ...]:
        return (self._file.write_of(b'%d\n' % value),)

    @override
    def checks(self, before: int) -> tuple[Check, ...]:
        return () if self._guard is None else (self._guard.check(),)


class RangePin(Pin):
    """A min/max pair.

    Args:
        low: open file of the lower limit.
        high: open file of the upper limit.
        floor: value that the lower limit always accepts.
        slack: largest difference between the value written and the value read back that counts as
            equal (devfreq rounds to kHz).
    """

    def __init__(self, low: KernelFile, high: KernelFile, floor: int, slack: int = 0) -> None:
        self._low = low
        self._high = high
        self._floor = floor
        self._slack = slack

    @override
    def write(self, value: int) -> None:
        text = b'%d\n' % value
        try:
            for file in self._order(self._high.read_int(), value):
                file.write(text)
        except WriteRefused as error:
            if error.errno != errno.EINVAL:
                raise
            # Another process changed the pair in the meantime: use the order that is always safe.
            self._low.write(b'%d\n' % self._floor)
            self._high.write(text)
            self._low.write(text)

    @override
    def read(self, value: int) -> int:
        # Where the two limits differ, the one that is not `value` is what the caller must see.
        high = settled(self._high.read_int, value, self._slack)
        return high if high != value else settled(self._low.read_int, value, self._slack)

    @override
    def transition_writes(self, before: int, value: int) -> tuple[Write, ...]:
        return tuple(file.write_of(b'%d\n' % value) for file in self._order(before, value))

    @override
    def checks(self, before: int) -> tuple[Check, ...]:
        return (self._high.check_of(before, self._slack),)

    def _order(self, before: int, value: int) -> tuple[KernelFile, KernelFile]:
        return (self._high, self._low) if value > before else (self._low, self._high)


class RoundedPin(Pin):
    """A pin with a table of its own, to whose entries the values are rounded down.

    Args:
        pin: the pin itself.
        table: entries that it takes, ascending.
    """

    def __init__(self, pin: Pin, table: Sequence[int]) -> None:
        self._pin = pin
        self._table = table

    @override
    def write(self, value: int) -> None:
        self._pin.write(at_most(self._table, value))

    @override
    def read(self, value: int) -> int:
        own = at_most(self._table, value)
        seen = self._pin.read(own)
        return value if seen == own else seen

    @override
    def transition_writes(self, before: int, value: int) -> tuple[Write, ...]:
        start, end = at_most(self._table, before), at_most(self._table, value)
        return () if start == end else self._pin.transition_writes(start, end)

    @override
    def checks(self, before: int) -> tuple[Check, ...]:
        return self._pin.checks(at_most(self._table, before))


Span = tuple[int, int]


def others_range(saved: Span, now: Span, ours: tuple[Span, Span], slack: int = 0) -> Span:
    """A min/max pair as others left it, from what is read while it may be pinned.

    Args:
        saved: the lower and the upper limit before.
        now: both as they are read now.
        ours: what either may read, from least to most, if nobody else has written it. That is more
            than one value where the kernel did not take a pin whole, as under heat.
        slack: largest difference that counts as equal.

    Returns:
        What others set last. A lower limit that is read as the upper one may only be held down by
        it, and stays.
    """
    (low_least, low_most), (high_least, high_most) = ours
    kept = high_least - slack <= now[1] <= high_most + slack
    high = saved[1] if kept else now[1]
    low_kept = low_least - slack <= now[0] <= low_most + slack
    held_down = abs(now[0] - now[1]) <= slack and now[1] <= low_most
    return (saved[0] if low_kept or held_down else now[0]), high
