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

"""Cells of a machine's cost table, measured one by one at clocks that the daemon sets.

A segment is over sooner than a rail refreshes (every 7 ms), so a cell repeats it for a while:
latency is the median of the repeats (outliers do not count), energy the mean power meanwhile times
that latency.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np

from e4_ros.energy.client.client import ClientState, DvfsClient
from e4_ros.energy.plan import FrequencyPlan, PlanPath
from e4_ros.profiling.measuring.power import MeasurementError, PowerSource
from e4_ros.profiling.planning.cost_surface import complete
from e4_ros.profiling.planning.cost_table import CostTable

SETTLE_S = 0.02  # after a change of clocks, longer than any effect delay
_HOLD_S = 1.0  # a clock that is not reached by then will not be

Cell = tuple[int, int]
"""Index of a segment and index of an operating point."""


class Workload(Protocol):
    """The segments, each of which can be run alone.

    Attributes:
        model: name of the network.
        segments: names of the segments, in the order in which they run.
        devices: device that runs each segment, in the same order.
    """

    model: str
    segments: tuple[str, ...]
    devices: tuple[str, ...]

    def run(self, segment: int, seconds: float) -> Sequence[float]:
        """Repeat a segment for about ``seconds``, at least once; return the seconds of each."""
        ...


class Prober:
    """Sets points and measures cells.

    Args:
        client: client that holds the lease.
        power: source of the watts.
        workload: segments to run.
        axes_hz: domain → its frequencies in hertz, ascending.
        clocks: function that reads the clocks, domain → hertz; by default the daemon's status page.

    Attributes:
        axes_hz: domain → its frequencies in hertz, ascending.
        shape: number of frequencies of each domain.
        latency_s, energy_j: costs ``(S, P)`` of segments at points, NaN where not measured yet.
    """

    def __init__(
        self,
        client: DvfsClient,
        power: PowerSource,
        workload: Workload,
        axes_hz: Mapping[str, Sequence[int]],
        clocks: Callable[[], Mapping[str, int]] | None = None,
    ) -> None:
        self._client, self._power, self._workload = client, power, workload
        self._clocks = clocks or (lambda: client.applied().point)
        self.axes_hz = {name: tuple(axis) for name, axis in axes_hz.items()}
        self.shape = tuple(len(axis) for axis in self.axes_hz.values())
        size = (len(workload.segments), int(np.prod(self.shape)))
        self.latency_s, self.energy_j = np.full(size, np.nan), np.full(size, np.nan)
        self._at = -1
        self._first: Cell | None = None

    def measure(self, cells: Sequence[Cell], tell: Callable[[int], None]) -> None:
        """Measure those cells that are not measured yet, point by point.

        Args:
            cells: cells to measure.
            tell: function that receives the number of cells measured so far.

        Raises:
            MeasurementError: the clocks do not hold, the meter does not answer, or the daemon ended
                the lease.
        """
        missing = [c for c in dict.fromkeys(cells) if np.isnan(self.latency_s[c])]
        for done, cell in enumerate(sorted(missing, key=lambda cell: cell[1])):
            self._first = self._first or cell
            self.latency_s[cell], self.energy_j[cell] = self._measure(cell)
            tell(done + 1)

    def drift(self) -> float:
        """Relative difference between the first cell's latency now and then: heat, other loads.

        Raises:
            MeasurementError: as for :meth:`measure`, or nothing was measured yet.
        """
        if self._first is None:
            raise MeasurementError('nothing was measured yet')
        return self._measure(self._first)[0] / float(self.latency_s[self._first]) - 1

    def table(self) -> CostTable:
        """The cost table, with unmeasured cells filled in by a fit."""
        return complete(
            self._client.board,
            self._workload.model,
            self._workload.segments,
            self._workload.devices,
            tuple(self.axes_hz),
            tuple(self.axes_hz.values()),
            self.latency_s,
            self.energy_j,
            self._power.source,
        )

    def _measure(self, cell: Cell) -> tuple[float, float]:
        segment, point = cell
        wanted = self._point(point)
        self._set_point(point, wanted, segment)
        repeats, watts = self._power.during(
            segment, wanted, lambda seconds: self._run(segment, seconds)
        )
        if not self._holds(wanted):
            raise MeasurementError(
                f'the clocks moved to {_readable(self._clocks())} while measuring at '
                f'{_readable(wanted)}: the board throttles; cool it and try again'
            )
        latency_s = float(np.median(repeats))
        return latency_s, watts * latency_s

    def _set_point(self, index: int, wanted: dict[str, int], segment: int) -> None:
        """Set the clocks of a point, with the segment running, and let them settle."""
        moving = index != self._at
        if moving:
            self._client.set_plan(self._everywhere(wanted))
        until_s = time.monotonic() + _HOLD_S
        self._run(segment, 0.0)  # also warms the caches
        while not self._holds(wanted):
            if time.monotonic() > until_s:
                raise MeasurementError(
                    f'asked for {_readable(wanted)}, but the clocks are '
                    f'{_readable(self._clocks())}: the board throttles or its limits are lower; '
                    'cool it or change the power mode'
                )
            self._run(segment, 0.0)
        if moving:
            time.sleep(SETTLE_S)
            self._at = index

    def _run(self, segment: int, seconds: float) -> Sequence[float]:
        # A step also keeps the daemon's watchdog from firing.
        if not self._client.step(0, 0) and self._client.state is ClientState.LOST:
            raise MeasurementError(f'the daemon ended the lease: {self._client.lost_because}')
        return self._workload.run(segment, seconds)

    def _holds(self, wanted: Mapping[str, int]) -> bool:
        """Whether each clock is nearer to the entry asked for than to any other of its table."""
        now = self._clocks()
        return all(
            min(self.axes_hz[name], key=lambda entry: abs(entry - now.get(name, 0))) == hz
            for name, hz in wanted.items()
        )

    def _point(self, index: int) -> dict[str, int]:
        where = np.unravel_index(index, self.shape)
        return {n: a[int(i)] for (n, a), i in zip(self.axes_hz.items(), where, strict=True)}

    def _everywhere(self, point: dict[str, int]) -> FrequencyPlan:
        names = list(self._workload.segments)
        path = PlanPath(
            segments=list(range(len(names))),
            points=[point] * len(names),
            expected_latency_s=0.0,
            expected_energy_j=0.0,
        )
        return FrequencyPlan(
            name='measuring',
            board=self._client.board,
            model=self._workload.model,
            segments=names,
            devices=list(self._workload.devices),
            paths={'at': path},
            source='measured',
        )


def _readable(point: Mapping[str, int]) -> str:
    return ', '.join(f'{name} {hz / 1e6:g} MHz' for name, hz in point.items()) or 'unknown'
