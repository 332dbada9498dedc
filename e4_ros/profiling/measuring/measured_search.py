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

"""A plan that rests on measurements: sample, fit, plan, measure what the plan uses, plan again.

Cells are sampled on a coarse grid, a fitted surface (`cost_surface`) fills in the rest, and the
cells that a plan would use are measured until the plan rests on measurements alone.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from e4_ros.profiling.measuring.prober import Prober
from e4_ros.profiling.planning.cost_table import CostTable, Indices
from e4_ros.profiling.planning.objective import Problem
from e4_ros.profiling.planning.planner import search
from e4_ros.profiling.planning.search import SearchResult, best_fixed

_ROUNDS = 6
_SAMPLED = 12  # points at least, where there are so many; a fit needs 8
_SAMPLING = 0.6  # of the progress

OnProgress = Callable[[str, float, float], None]


@dataclass(frozen=True)
class MeasuredPlan:
    """A plan that rests on measurements.

    Attributes:
        problem: planning problem over the measured table, with unmeasured cells filled in.
        found: the plan.
        cells: number of cells that were measured.
        seconds: duration of the whole search.
        drift: relative difference between the first cell's latency at the end and at the beginning.
    """

    problem: Problem
    found: SearchResult
    cells: int
    seconds: float
    drift: float


def measured_plan(
    prober: Prober,
    make: Callable[[CostTable], Problem],
    on_progress: OnProgress | None = None,
) -> MeasuredPlan:
    """Measure what a plan needs, and plan.

    Args:
        prober: prober that measures cells.
        make: function that states the planning problem over a table.
        on_progress: function that receives the phase, the progress 0 to 1, and the least energy so
            far in joules (NaN at first).

    Raises:
        MeasurementError: the clocks do not hold, the meter does not answer, or the lease was lost.
        PlanningError: the deadline cannot be met.
    """
    tell = on_progress or (lambda phase, progress, energy_j: None)
    began = time.monotonic()
    rows = range(len(prober.latency_s))
    cells = [(s, p) for p in design(list(prober.axes_hz.values())) for s in rows]
    prober.measure(
        cells,
        lambda done: tell('measuring a grid', _SAMPLING * done / len(cells), float('nan')),
    )
    for round_ in range(_ROUNDS):
        problem = make(prober.table())
        found, fixed = search(problem), best_fixed(problem)
        wanted = [(s, int(p)) for plan in (found, fixed) for s, p in enumerate(plan.points)]
        share = _SAMPLING + (1 - _SAMPLING) * round_ / _ROUNDS
        tell('measuring the plan', share, found.energy_j)
        if all(np.isfinite(prober.latency_s[cell]) for cell in wanted):
            break
        prober.measure(wanted, lambda _: None)
    problem = make(prober.table())
    found = search(problem)
    drift = prober.drift()
    tell('measured', 1.0, found.energy_j)
    count = int(np.isfinite(prober.latency_s).sum())
    return MeasuredPlan(problem, found, count, time.monotonic() - began, drift)


def design(axes_hz: Sequence[Sequence[int]]) -> list[int]:
    """Points to sample first: a grid over the axes, their ends included, as coarse as a fit allows.

    The grid is geometric, because costs are close to power laws of the clocks.

    Args:
        axes_hz: frequencies of each domain in hertz, ascending.

    Returns:
        Indices of operating points.
    """
    steps = math.ceil(_SAMPLED ** (1 / len(axes_hz)))
    while True:
        chosen = [_spread(axis, steps) for axis in axes_hz]
        enough = math.prod(len(indices) for indices in chosen) >= _SAMPLED
        if enough or all(len(i) == len(axis) for i, axis in zip(chosen, axes_hz, strict=True)):
            break
        steps += 1
    shape = tuple(len(axis) for axis in axes_hz)
    grid: Indices = np.stack(np.meshgrid(*chosen, indexing='ij'), axis=-1).reshape(-1, len(shape))
    return [int(np.ravel_multi_index(tuple(where), shape)) for where in grid]


def _spread(axis: Sequence[int], steps: int) -> Indices:
    """Indices of the entries nearest to ``steps`` geometric ones; all of a short axis."""
    if steps >= len(axis):
        return np.arange(len(axis))
    wanted = np.geomspace(axis[0], axis[-1], steps)
    near = np.abs(np.log(np.array(axis)[:, None] / wanted[None])).argmin(axis=0)
    return np.unique(near)
