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

"""Coordinate descent over segments and clocks: near the optimum from a small part of the cells.

The deadline is priced: with ``price`` (watts) a plan is worth ``energy + price * latency``. The
search starts from the best single points and a mixture of them, descends (`descent`) at the price
that meets the deadline, and polishes the result.

A *cell* is a (segment, point) pair; on a real board each one that is looked up is a measurement.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from e4_ros.profiling.planning.cost_table import Indices
from e4_ros.profiling.planning.descent import Descent
from e4_ros.profiling.planning.objective import PlanningError, Problem


@dataclass(frozen=True, eq=False)
class SearchResult:
    """A plan and how it was found.

    Attributes:
        points: index of the operating point of each segment, ``(S,)``.
        latency_s: latency of the slowest path, in seconds.
        energy_j: expected energy of a frame, in joules.
        cells: mask ``(S, P)`` of the cells that were looked up.
        descent: (latency_s, energy_j) of each plan that was the best so far, in order.
    """

    points: Indices
    latency_s: float
    energy_j: float
    cells: NDArray[np.bool_]
    descent: tuple[tuple[float, float], ...] = ()

    @property
    def cells_share(self) -> float:
        """Share of the table's cells that were looked up."""
        return float(self.cells.mean())


def best_fixed(problem: Problem) -> SearchResult:
    """The one point for all segments with the least energy that meets the deadline (exact)."""
    latency_s, energy_j = problem.fixed()
    meets = latency_s <= problem.deadline_s
    if not meets.any():
        raise PlanningError(
            f'no fixed point meets {1e3 * problem.deadline_s:.3g} ms; '
            f'the fastest needs {1e3 * problem.fastest_s:.3g} ms'
        )
    best = int(np.argmin(np.where(meets, energy_j, np.inf)))
    return SearchResult(
        np.full(len(problem.reach), best),
        float(latency_s[best]),
        float(energy_j[best]),
        np.ones_like(problem.table.latency_s, bool),
    )


def coordinate_descent(problem: Problem) -> SearchResult:
    """Search from the best single points and a mixture of them."""
    descent = Descent(problem)
    descent.keep(np.full(len(problem.reach), problem.fastest))
    descent.single(problem.fastest)
    descent.settle(0.0)
    descent.meet_deadline()
    seconds, joules, points = descent.polish()
    return SearchResult(points, seconds, joules, descent.cells, tuple(descent.path))
