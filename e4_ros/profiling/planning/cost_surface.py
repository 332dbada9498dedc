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

"""Fill the holes of a measured cost table with a fitted surface, and estimate its error.

What hardware does gives the shape: time is a sum of cycles over clocks (a roofline whose roofs add
up), and energy is that time spent at powers between proportional to the clock (fixed voltage) and
to its third power (voltage proportional to the clock). Non-negative least squares finds the
weights, and a thin-plate spline in logarithms fits the residual.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from scipy.interpolate import RBFInterpolator
from scipy.optimize import nnls

from e4_ros.profiling.planning.cost_table import CostTable, CostTableError, Floats, Indices

_SMOOTHING = 1e-3
_FEWEST = 8  # cells that a segment needs before a surface means anything


def complete(
    board: str,
    model: str,
    segments: Sequence[str],
    devices: Sequence[str],
    domains: Sequence[str],
    axes_hz: Sequence[Sequence[int]],
    latency_s: Floats,
    energy_j: Floats,
    source: Literal['measured', 'modelled'] = 'measured',
) -> CostTable:
    """A whole table from cells of which some are NaN.

    Measured cells stay as they are. ``error_percent`` of the table is the mean leave-one-out error
    at measured cells; NaN if no cell was missing.

    Args:
        board: name of the board.
        model: name of the network.
        segments: names of the segments, in the order in which they run.
        devices: device that runs each segment, in the same order.
        domains: names of the domains.
        axes_hz: ascending frequencies of each domain in hertz.
        latency_s: latency of each cell in seconds, ``(S, P)``.
        energy_j: energy of each cell in joules, ``(S, P)``.
        source: whether the cells are measured or modelled.

    Raises:
        CostTableError: a segment has too few cells.
    """
    grid = np.stack(np.meshgrid(*axes_hz, indexing='ij'), axis=-1).reshape(-1, len(domains))
    clocks = grid / grid.max(axis=0)  # 1 at the top
    errors: list[float] = []
    latency, energy = latency_s.copy(), energy_j.copy()
    for row, name in enumerate(segments):
        known = np.flatnonzero(np.isfinite(latency[row]) & np.isfinite(energy[row]))
        if len(known) == len(clocks):
            continue
        if len(known) < _FEWEST:
            raise CostTableError(
                f'segment {name!r} has {len(known)} measured cells; a fit needs {_FEWEST}'
            )
        if min(latency[row, known].min(), energy[row, known].min()) <= 0:
            raise CostTableError(f'segment {name!r}: costs must be positive')
        times = _times(clocks, known, latency[row, known])
        for cells, terms in ((latency, times), (energy, _energies(clocks, times))):
            values = cells[row, known]
            errors += _left_out(clocks, terms, known, values)
            cells[row] = _surface(clocks, terms, known, values)(np.arange(len(clocks)))
            cells[row, known] = values
    return CostTable(
        board,
        model,
        tuple(segments),
        tuple(devices),
        tuple(domains),
        tuple(tuple(axis) for axis in axes_hz),
        latency,
        energy,
        source,
        float(100 * np.mean(errors)) if errors else math.nan,
    )


def _times(clocks: Floats, known: Indices, values: Floats) -> Floats:
    """Terms of latency: a constant, and one over each clock, ``(P, D + 1)``.

    Memory may be the bottleneck from some clock on, above which a faster clock does not help: that
    clock is chosen for each domain to fit the measured cells best.
    """
    ones = np.ones((len(clocks), 1))
    knees = np.ones(clocks.shape[1])
    for d in range(clocks.shape[1]):

        def misses(knee: float, d: int = d) -> float:
            knees[d] = knee
            return _weights(np.hstack([ones, 1 / np.minimum(clocks, knees)])[known], values)[1]

        knees[d] = min(np.unique(clocks[:, d])[::-1].tolist(), key=misses)
    return np.hstack([ones, 1 / np.minimum(clocks, knees)])


def _energies(clocks: Floats, times: Floats) -> Floats:
    """Terms of energy: each of latency times each of power (constant, clock, clock³)."""
    powers = np.hstack([np.ones((len(clocks), 1)), clocks, clocks**3])
    return (times[:, :, None] * powers[:, None, :]).reshape(len(clocks), -1)


def _weights(terms: Floats, values: Floats) -> tuple[Floats, float]:
    """Non-negative weights of the terms that fit the values, and the residual.

    The errors are relative, so that fast cells count as much as slow ones.
    """
    weights, misses = nnls(terms / values[:, None], np.ones(len(values)))
    return weights, float(misses)


def _surface(
    clocks: Floats, terms: Floats, known: Indices, values: Floats
) -> Callable[[Indices], Floats]:
    """The surface through the known cells, as a function of point indices."""
    weights, _ = _weights(terms[known], values)
    base = np.maximum(terms @ weights, 1e-3 * values.min())
    where = np.log(clocks)
    span = np.ptp(where, axis=0)
    where = where / np.where(span > 0, span, 1.0)
    spread = len(np.unique(where[known], axis=0)) > clocks.shape[1] + 1
    rest = RBFInterpolator(
        where[known], np.log(values / base[known]), smoothing=_SMOOTHING, degree=int(spread)
    )
    return lambda points: np.asarray(base[points] * np.exp(rest(where[points])))


def _left_out(clocks: Floats, terms: Floats, known: Indices, values: Floats) -> list[float]:
    errors = []
    for i in range(len(known)):
        surface = _surface(clocks, terms, np.delete(known, i), np.delete(values, i))
        errors.append(abs(float(surface(known[i : i + 1])[0] / values[i]) - 1))
    return errors
