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

"""The clocks that a stock kernel's governors would choose: one governor a domain.

Rules follow the kernel's sources (cpufreq_schedutil.c and util_est in fair.c,
governor_simpleondemand.c, tegra30-devfreq.c) and those of NVIDIA's kernel (governor_pod_scaling.c,
with the settings that Tegras give it), reduced to what matters at this scale. All but
``performance`` and ``powersave`` look at how busy a domain was, which only the simulator can say;
on a robot the kernel's own governors do this better wherever the clocks are left alone (controllers
``full`` and ``exits``).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from e4_ros.perception.controller import Decision, Observation, OperatingPoint
from e4_ros.perception.controllers.base import DepthOnly


class Governor(Protocol):
    """Chooses one domain's clock."""

    def choose(self, busy: float, cycles: float, clock: int) -> int:
        """Index of the next clock.

        Args:
            busy: share of the last interval, 0 to 1, in which the domain worked.
            cycles: the same, times the clock's share of the top clock.
            clock: index of the clock now.

        Returns:
            An index into the governor's table.
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
    """``1.25 * top * utilisation``, the utilisation decaying with PELT's half-life of 32 ms.

    A task that wakes is taken for as large as it was when it last went to sleep (util_est): up at
    once, down by a quarter of the difference. So a pause between two frames is not forgotten work.
    """

    table: Sequence[int]
    interval_s: float
    level: float = 1.0
    estimate: float = 1.0

    def choose(self, busy: float, cycles: float, clock: int) -> int:
        """Index of the next clock."""
        keep = 0.5 ** (self.interval_s / 0.032)
        self.level = keep * self.level + (1 - keep) * cycles
        if busy < 1.0:  # it slept
            slowly = self.estimate + (self.level - self.estimate) / 4
            self.estimate = max(self.level, slowly)
        level = max(self.level, self.estimate) if busy > 0 else self.level
        return _at_least(self.table, 1.25 * level * self.table[-1])


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
class Podgov:
    """The Jetson GPU's, which keeps its load near 70 % of the highest of the last 100 windows.

    Above 90 % it goes up by a third of the top clock. Otherwise 80 % of what the target lacks is
    added, or taken away; of that 70 % at once and the rest by an average over ten windows.
    """

    table: Sequence[int]
    wanted: float = 0.0  # the average, hertz
    loads: deque[float] = field(default_factory=lambda: deque(maxlen=100))  # hertz that worked

    def choose(self, busy: float, cycles: float, clock: int) -> int:
        """Index of the next clock."""
        hz, most = self.table[clock], self.table[-1] / 3
        self.loads.append(busy * hz)
        if busy > 0.9:
            boost, at_once = most, 1.0
        else:
            load = max(self.loads) / hz
            boost, at_once = min(0.8 * hz * (load - 0.7) / 0.7, most), 0.7
        wanted = hz + boost
        self.wanted = (10 * self.wanted + wanted) / 11
        return _at_least(self.table, at_once * wanted + (1 - at_once) * self.wanted)


_CPU_ASKS = ((1344.0, 408), (1651.2, 665), (1958.4, 800), (2112.0, 1600))
"""From which CPU clock on the memory has at least which clock, megahertz: opp-peak-kBps of the
mainline kernel's tegra234.dtsi, four bytes a cycle; taken for other Tegras, too (assumed)."""


@dataclass
class TegraActmon:
    """The memory's: by the activity monitor, up at once, down slowly, and never below a floor.

    The bandwidth manager keeps the memory at what CPU and GPU ask for with their clocks. What
    today's GPUs ask for is not public; here it is linear, from the lowest clock at the GPU's lowest
    to the top at its top, as older Tegras had it (nvhost_scale_emc).

    Args:
        table: the memory's clocks, hertz.
        gpu: the GPU's clocks, hertz; empty where there is none.
    """

    table: Sequence[int]
    gpu: Sequence[int] = ()
    level: float = 0.0
    interval_s: float = 0.02

    def choose(self, busy: float, cycles: float, clock: int) -> int:
        """Index of the next clock."""
        self.level = busy if busy > self.level else 0.75 * self.level + 0.25 * busy
        wanted = _at_least(self.table, self.level * self.table[clock] / 0.7)
        return wanted if wanted > clock else max(wanted, clock - 1)

    def floor(self, point: OperatingPoint) -> int:
        """Index of the lowest clock that is allowed at the other domains' clocks."""
        cpu_hz = point.get('cpu', 0)
        asked = max((1e6 * mhz for cpu, mhz in _CPU_ASKS if cpu_hz >= 1e6 * cpu), default=0.0)
        if len(self.gpu) and 'gpu' in point:
            ends, to = (self.gpu[0], self.gpu[-1]), (self.table[0], self.table[-1])
            asked = max(asked, float(np.interp(point['gpu'], ends, to)))
        return _at_least(self.table, asked)


class Governors(DepthOnly):
    """One governor a domain, each looking at its own interval, a multiple of the controller's.

    Args:
        names: domain → name of its governor; domains that are not named, or that the board lacks,
            are left alone.
        exits: whether frames may stop early.
    """

    interval_s: float | None = 0.01

    def __init__(self, names: Mapping[str, str], exits: bool) -> None:
        super().__init__(exits)
        self._names = dict(names)
        self._tables: dict[str, Sequence[int]] = {}

    def decide(self, seen: Observation) -> Decision:
        """Ask the governors whose interval is over; at first, as if all were fully busy."""
        board = seen.board
        tables = {n: board.tables[n] for n in self._names if len(board.tables.get(n, ()))}
        if not tables:
            return Decision(self.thresholds)
        if tables != self._tables:
            return self._begin(tables)
        point = {}
        self._ticks += 1
        for name, governor in self._governors.items():
            sums, table = self._sums[name], tables[name]
            sums += (
                board.window_s,
                board.utilisation.get(name, 0.0) * board.window_s,
                board.invariant_utilisation.get(name, 0.0) * board.window_s,
            )
            clock = _index(table, board.point.get(name, table[-1]))
            if self._ticks % _EVERY[self._names[name]] == 0:
                if sums[0] > 0:
                    clock = governor.choose(sums[1] / sums[0], sums[2] / sums[0], clock)
                sums[:] = 0.0
            point[name] = int(table[clock])
        return Decision(self.thresholds, point=point, why='as the kernel would')

    def _begin(self, tables: dict[str, Sequence[int]]) -> Decision:
        self._tables, self._ticks = tables, 0
        self._governors = {n: _GOVERNORS[self._names[n]](table) for n, table in tables.items()}
        self._sums = {name: np.zeros(3) for name in tables}
        point = {
            name: int(table[self._governors[name].choose(1.0, 1.0, len(table) - 1)])
            for name, table in tables.items()
        }
        return Decision(self.thresholds, point=point, why='as the kernel would')


STOCK = {'cpu': 'schedutil', 'gpu': 'nvhost_podgov'}  # of a Jetson
PINNED = '@emc_top'
PAIRS: dict[str, dict[str, str]] = {
    'performance': {'cpu': 'performance', 'gpu': 'performance'},
    'schedutil': {'cpu': 'schedutil', 'gpu': 'performance'},
    'simple_ondemand': {'cpu': 'schedutil', 'gpu': 'simple_ondemand'},
    'nvhost_podgov': STOCK,
}
SETS: dict[str, dict[str, str]] = {
    **PAIRS,
    **{f'{name}{PINNED}': {**pair, 'emc': 'performance'} for name, pair in PAIRS.items()},
    'powersave': dict.fromkeys(('cpu', 'gpu', 'emc'), 'powersave'),
}

_GOVERNORS: dict[str, Callable[[Sequence[int]], Governor]] = {
    'performance': Performance,
    'powersave': Powersave,
    'schedutil': lambda table: Schedutil(table, 0.01),
    'simple_ondemand': SimpleOndemand,
    'nvhost_podgov': Podgov,
}
_EVERY = {  # ticks of 10 ms between two looks
    'performance': 1,
    'powersave': 1,
    'schedutil': 1,
    'simple_ondemand': 5,
    'nvhost_podgov': 5,
}


def _index(table: Sequence[int], hertz: int) -> int:
    """Index of a clock, or of the next higher one where it is none of the table's."""
    return min(int(np.searchsorted(table, hertz)), len(table) - 1)


def _at_least(table: Sequence[int], hz: float) -> int:
    return min(int(np.searchsorted(table, hz)), len(table) - 1)
