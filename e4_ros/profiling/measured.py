"""The cost table of a machine, measured through the helper and the meter.

A segment's energy is too short for a sensor that refreshes every 7 ms, so each cell repeats its
segment for a while: latency is the median of the repeats (outliers do not count), energy the mean
power of the while times that latency. Cells are sampled on a few lines and a coarse grid, a fitted
surface (`profiling.fit`) fills in the rest, and the cells that a plan would use are measured until
the plan rests on measurements alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from e4_ros.energy.client import DvfsClient
from e4_ros.energy.meters import EnergyReading
from e4_ros.energy.plan import FrequencyPlan, PlanPath
from e4_ros.profiling.cost_table import CostTable, Indices
from e4_ros.profiling.fit import complete
from e4_ros.profiling.objective import Problem
from e4_ros.profiling.planner import search
from e4_ros.profiling.search import SearchResult, best_fixed

CELL_S = 0.1  # of measuring a cell: many refreshes of the slowest sensor
SETTLE_S = 0.02  # after a change of clocks, longer than any effect delay
_ROUNDS = 6
_SILENT_SHARE = 0.2  # of a cell's time that a rail may be without an answer


class MeasurementError(OSError):
    """A measurement cannot be believed; the message says why and what to do."""


class Workload(Protocol):
    """The segments, each of which can be run alone.

    Attributes:
        model: name of the network.
        segments: names, in order.
    """

    model: str
    segments: tuple[str, ...]

    def run(self, segment: int, seconds: float) -> Sequence[float]:
        """Repeat a segment for about ``seconds`` (at least once); seconds of each repeat."""
        ...


class Meter(Protocol):
    """Joules so far."""

    def read(self) -> EnergyReading:
        """Sample now."""
        ...


@dataclass(frozen=True)
class Measured:
    """A plan that rests on measurements.

    Attributes:
        problem: with the measured table, filled in where nothing was measured.
        found: the plan.
        cells: number of cells that were measured.
        seconds: that all took.
    """

    problem: Problem
    found: SearchResult
    cells: int
    seconds: float


class Prober:
    """Sets points and measures cells.

    Args:
        client: holds the lease.
        meter: of the whole board.
        workload: what to run.
        table_domains: the domains to clock.
        axes_hz: allowed frequencies of each.
    """

    def __init__(
        self,
        client: DvfsClient,
        meter: Meter,
        workload: Workload,
        table_domains: Sequence[str],
        axes_hz: Sequence[Sequence[int]],
    ) -> None:
        self._client, self._meter, self._workload = client, meter, workload
        self.domains = tuple(table_domains)
        self.axes_hz = tuple(tuple(axis) for axis in axes_hz)
        shape = tuple(len(axis) for axis in self.axes_hz)
        self.shape = shape
        size = (len(workload.segments), int(np.prod(shape)))
        self.latency_s, self.energy_j = np.full(size, np.nan), np.full(size, np.nan)
        self._at = -1

    def measure(self, cells: Sequence[tuple[int, int]], tell: Callable[[int], None]) -> None:
        """Measure (segment, point) cells that are not known yet, point by point.

        Raises:
            MeasurementError: the clocks do not hold, or the meter does not answer.
        """
        missing = [c for c in dict.fromkeys(cells) if np.isnan(self.latency_s[c])]
        for done, (segment, point) in enumerate(sorted(missing, key=lambda cell: cell[1])):
            self._go(point)
            self._cell(segment, point)
            tell(done + 1)

    def table(self) -> CostTable:
        """The table with its holes filled in."""
        return complete(
            self._client.board,
            self._workload.model,
            self._workload.segments,
            self.domains,
            self.axes_hz,
            self.latency_s,
            self.energy_j,
        )

    def _point(self, index: int) -> dict[str, int]:
        where = np.unravel_index(index, self.shape)
        return {n: a[int(i)] for n, a, i in zip(self.domains, self.axes_hz, where, strict=True)}

    def _go(self, index: int) -> None:
        point, names = self._point(index), list(self._workload.segments)
        if index != self._at:
            path = PlanPath(
                segments=list(range(len(names))),
                points=[point] * len(names),
                expected_latency_s=0.0,
                expected_energy_j=0.0,
            )
            self._client.set_plan(
                FrequencyPlan(
                    name='measuring',
                    board=self._client.board,
                    model=self._workload.model,
                    segments=names,
                    paths={'at': path},
                    source='measured',
                )
            )
        self._client.step(0, 0)  # also tells the watchdog that somebody is there
        until_s = time.monotonic() + 1.0
        while not self._holds(point):
            if time.monotonic() > until_s:
                raise MeasurementError(
                    f'asked for {point}, but the clocks are {self._client.applied().point}: '
                    'the board throttles or its limits are lower; cool it or change the power mode'
                )
            time.sleep(0.001)
        if index != self._at:
            time.sleep(SETTLE_S)
            self._at = index

    def _holds(self, point: dict[str, int]) -> bool:
        now = self._client.applied().point
        return all(now.get(name) == hz for name, hz in point.items())

    def _cell(self, segment: int, point: int) -> None:
        self._workload.run(segment, 0.0)  # warm up
        time.sleep(SETTLE_S)
        before, began_s = self._meter.read(), time.monotonic()
        repeats = self._workload.run(segment, CELL_S)
        after, seconds = self._meter.read(), time.monotonic() - began_s
        joules = after.energy_j - before.energy_j
        if after.missing_s - before.missing_s > _SILENT_SHARE * seconds or not joules > 0:
            raise MeasurementError(
                'the power rails stopped answering while measuring; look at `e4 doctor`'
            )
        if not self._holds(self._point(point)):
            raise MeasurementError(
                f'the clocks moved to {self._client.applied().point} while measuring '
                f'{self._point(point)}: the board throttles; cool it and try again'
            )
        self.latency_s[segment, point] = float(np.median(repeats))
        self.energy_j[segment, point] = joules / seconds * float(np.median(repeats))


def measured_plan(
    prober: Prober,
    make: Callable[[CostTable], Problem],
    on_progress: Callable[[str, float, float], None] | None = None,
) -> Measured:
    """Sample, fit, plan, measure what the plan rests on, and again until it rests on measurements.

    Args:
        prober: measures.
        make: states the planning problem over a table.
        on_progress: told phase, progress 0 to 1 and the least energy so far.

    Raises:
        MeasurementError: see :class:`Prober`.
        PlanningError: the deadline cannot be met.
    """
    tell = on_progress or (lambda phase, progress, energy_j: None)
    began = time.monotonic()
    rows = range(len(prober.latency_s))
    cells = [(s, p) for p in _design(prober.shape) for s in rows]
    prober.measure(cells, lambda done: tell('sampling', 0.6 * done / len(cells), float('nan')))
    for round_ in range(_ROUNDS):
        problem = make(prober.table())
        found, fixed = search(problem), best_fixed(problem)
        wanted = [(s, int(p)) for plan in (found, fixed) for s, p in enumerate(plan.points)]
        tell('measuring the plan', 0.6 + 0.4 * round_ / _ROUNDS, found.energy_j)
        if all(np.isfinite(prober.latency_s[cell]) for cell in wanted):
            break
        prober.measure(wanted, lambda _: None)
    problem = make(prober.table())
    found = search(problem)
    tell('done', 1.0, found.energy_j)
    count = int(np.isfinite(prober.latency_s).sum())
    return Measured(problem, found, count, time.monotonic() - began)


def _design(shape: Sequence[int]) -> list[int]:
    """Points to sample first: a 4-step grid over the axes (their ends included)."""
    axes = [np.unique(np.linspace(0, size - 1, 4).round().astype(int)) for size in shape]
    grid: Indices = np.stack(np.meshgrid(*axes, indexing='ij'), axis=-1).reshape(-1, len(shape))
    return [int(np.ravel_multi_index(tuple(where), tuple(shape))) for where in grid]
