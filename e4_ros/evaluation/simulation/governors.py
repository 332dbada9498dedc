"""The clocks that a stock kernel would choose, and plans, as policies for `profiling.playback`.

A governor here sees one domain; a policy puts one on each. Rules follow the kernel's sources
(cpufreq_schedutil.c, governor_simpleondemand.c) and NVIDIA's nvhost_podgov, reduced to what matters
at this scale.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from e4_ros.evaluation.simulation.machine import Machine
from e4_ros.evaluation.simulation.watch import Window


class Governor(Protocol):
    """Chooses one domain's clock."""

    def choose(self, busy: float, cycles: float, clock: int) -> int:
        """Index of the next clock.

        Args:
            busy: share of the last interval in which the domain worked.
            cycles: the same, times the clock's share of the top clock.
            clock: index of the clock now.
        """
        ...


@dataclass
class Performance:
    """Always the top clock."""

    table: Sequence[int]

    def choose(self, busy: float, cycles: float, clock: int) -> int:
        """Index of the next clock."""
        return len(self.table) - 1


@dataclass
class Powersave:
    """Always the lowest clock."""

    table: Sequence[int]

    def choose(self, busy: float, cycles: float, clock: int) -> int:
        """Index of the next clock."""
        return 0


@dataclass
class Schedutil:
    """``1.25 * top * utilisation``, the utilisation decaying with PELT's half-life of 32 ms."""

    table: Sequence[int]
    interval_s: float
    level: float = 1.0

    def choose(self, busy: float, cycles: float, clock: int) -> int:
        """Index of the next clock."""
        keep = 0.5 ** (self.interval_s / 0.032)
        self.level = keep * self.level + (1 - keep) * cycles
        return _at_least(self.table, 1.25 * self.level * self.table[-1])


@dataclass
class SimpleOndemand:
    """Top above 90 % load; otherwise down to where the load would be 87.5 %."""

    table: Sequence[int]

    def choose(self, busy: float, cycles: float, clock: int) -> int:
        """Index of the next clock."""
        if busy > 0.9:
            return len(self.table) - 1
        if busy > 0.85:
            return clock
        return _at_least(self.table, busy * self.table[clock] / 0.875)


@dataclass
class LoadTarget:
    """The Jetson GPU's: keeps the smoothed load near 70 %, stepping up at once, down slowly."""

    table: Sequence[int]
    level: float = 0.0

    def choose(self, busy: float, cycles: float, clock: int) -> int:
        """Index of the next clock."""
        self.level = busy if busy > self.level else 0.75 * self.level + 0.25 * busy
        wanted = _at_least(self.table, self.level * self.table[clock] / 0.7)
        return wanted if wanted > clock else max(wanted, clock - 1)


class TegraActmon(LoadTarget):
    """The memory's: by the activity monitor, up at once, down slowly (tegra30-devfreq.c).

    It counts memory accesses, as `LoadTarget` counts the GPU's busy time, and keeps as much room.
    """

    interval_s = 0.02


class Governors:
    """One governor a domain, looking at its own interval (a multiple of the policy's)."""

    interval_s = 0.01

    def __init__(self, *names: str) -> None:
        self.names = names

    def start(self, machine: Machine) -> tuple[int, ...]:
        """Clocks at the beginning: what the governors choose under full load."""
        self._governors = [
            _GOVERNORS[name](axis)
            for name, axis in zip(self.names, machine.table.axes_hz, strict=False)
        ]
        self._every = [_EVERY[name] for name in self.names[: len(self._governors)]]
        self._sums = np.zeros((len(self._every), 3))
        self._ticks = 0
        return tuple(
            governor.choose(1.0, 1.0, size - 1)
            for governor, size in zip(self._governors, machine.table.shape, strict=False)
        )

    def tick(self, window: Window) -> tuple[int, ...] | None:
        """Ask the governors whose interval is over."""
        self._ticks += 1
        wanted = list(window.clocks[: len(self._every)])
        for d, (governor, every) in enumerate(zip(self._governors, self._every, strict=True)):
            self._sums[d] += (window.seconds, window.busy_s[d], window.cycles[d])
            if self._ticks % every == 0:
                seconds, busy, cycles = self._sums[d]
                wanted[d] = governor.choose(busy / seconds, cycles / seconds, window.clocks[d])
                self._sums[d] = 0.0
        return tuple(wanted)

    def segment(self, index: int) -> None:
        """Governors know nothing of segments."""

    def frame_end(self, latency_s: float, deadline_s: float) -> None:
        """Nor of frames."""


_GOVERNORS: dict[str, Callable[[Sequence[int]], Governor]] = {
    'performance': Performance,
    'powersave': Powersave,
    'schedutil': lambda table: Schedutil(table, 0.01),
    'simple_ondemand': SimpleOndemand,
    'nvhost_podgov': LoadTarget,
}
_EVERY = {  # ticks of 10 ms between two looks
    'performance': 1,
    'powersave': 1,
    'schedutil': 1,
    'simple_ondemand': 5,
    'nvhost_podgov': 3,
}


class Planned:
    """A frequency plan: each segment has its clocks, and the first one's are set in the pauses."""

    interval_s = 3600.0

    def __init__(self, clocks: Sequence[tuple[int, ...]]) -> None:
        self._clocks = [tuple(int(c) for c in clock) for clock in clocks]

    def start(self, machine: Machine) -> tuple[int, ...]:
        """The first segment's clocks."""
        return self._clocks[0]

    def tick(self, window: Window) -> None:
        """Nothing to do between segments."""

    def segment(self, index: int) -> tuple[int, ...]:
        """The segment's clocks."""
        return self._clocks[index]

    def frame_end(self, latency_s: float, deadline_s: float) -> tuple[int, ...]:
        """Back to the first segment's clocks, so that they are there when the next frame comes."""
        return self._clocks[0]


def _at_least(table: Sequence[int], hz: float) -> int:
    return min(int(np.searchsorted(table, hz)), len(table) - 1)
