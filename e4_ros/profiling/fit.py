"""Fill the holes of a measured cost table with a fitted surface, and say how far off it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from scipy.interpolate import RBFInterpolator

from e4_ros.profiling.cost_table import CostTable, CostTableError, Floats

_SMOOTHING = 1e-3
_FEWEST = 8  # cells a segment needs before a surface means anything


def complete(
    board: str,
    model: str,
    segments: Sequence[str],
    domains: Sequence[str],
    axes_hz: Sequence[Sequence[int]],
    latency_s: Floats,
    energy_j: Floats,
    source: Literal['measured', 'modelled'] = 'measured',
) -> CostTable:
    """A whole table from cells of which some are NaN.

    A thin-plate spline in logarithms of clocks and costs, one per segment: costs are near power
    laws of the clocks. Measured cells stay as they are. ``error_percent`` of the table is the mean
    error at measured cells that the fit did not see (leave one out); NaN if nothing was missing.

    Raises:
        CostTableError: a segment has too few cells.
    """
    grid = np.stack(np.meshgrid(*[np.log(a) for a in axes_hz], indexing='ij'), axis=-1)
    where = grid.reshape(-1, len(domains))
    span = np.ptp(where, axis=0)
    where = (where - where.min(axis=0)) / np.where(span > 0, span, 1.0)
    errors: list[float] = []
    filled = []
    for cells in (latency_s, energy_j):
        rows = []
        for name, row in zip(segments, cells, strict=True):
            known = np.flatnonzero(np.isfinite(row))
            if len(known) == len(row):
                rows.append(row)
                continue
            if len(known) < _FEWEST:
                raise CostTableError(
                    f'segment {name!r} has {len(known)} measured cells; a fit needs {_FEWEST}'
                )
            if (row[known] <= 0).any():
                raise CostTableError(f'segment {name!r}: costs must be positive')
            surface = np.exp(_surface(where[known], np.log(row[known]), where))
            surface[known] = row[known]
            rows.append(surface)
            errors += _left_out(where[known], np.log(row[known]))
        filled.append(np.array(rows))
    return CostTable(
        board,
        model,
        tuple(segments),
        tuple(domains),
        tuple(tuple(axis) for axis in axes_hz),
        filled[0],
        filled[1],
        source,
        float(100 * np.mean(errors)) if errors else math.nan,
    )


def _surface(known: Floats, values: Floats, wanted: Floats) -> Floats:
    degree = 1 if len(np.unique(known, axis=0)) > known.shape[1] + 1 else 0
    spline = RBFInterpolator(known, values, smoothing=_SMOOTHING, degree=degree)
    return np.asarray(spline(wanted))


def _left_out(known: Floats, values: Floats) -> list[float]:
    errors = []
    for i in range(len(known)):
        others = np.arange(len(known)) != i
        guess = _surface(known[others], values[others], known[i : i + 1])[0]
        errors.append(abs(float(np.expm1(guess - values[i]))))
    return errors
