"""Which way is better at the same mean latency: fronts of quality over cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

Point = Mapping[str, Any]
"""Has ``speedup``, ``f1_reference`` and ``early_share``; so has a point of the JSON's curves."""

Front = list[tuple[float, float]]
"""Cost (mean latency in units of the full network's) and quality, both rising."""


def front_of(points: Iterable[Point]) -> Front:
    """The points that no other point beats in both cost and quality, the cheapest first."""
    front: Front = []
    costs = sorted((1 / p['speedup'], -p['f1_reference']) for p in points)
    for cost, lacking in costs:
        if not front or -lacking > front[-1][1]:
            front.append((cost, -lacking))
    return front


def quality_at(front: Front, cost: float) -> float | None:
    """The front's quality at a cost, linear between its points; None below its cheapest.

    A stream that takes one setting for some of its time and the next for the rest lies on the line
    between the two. What a setting gives it also gives at a higher cost.
    """
    if not front or cost < front[0][0]:
        return None
    for (low, worse), (high, better) in pairwise(front):
        if cost < high:
            return worse + (better - worse) * (cost - low) / (high - low)
    return front[-1][1]


def compare(curves: Mapping[str, Sequence[Point]], ours: str = 'cascade') -> dict[str, list[Any]]:
    """Hold every point of the other curves against ours at equal mean latency.

    A setting that never answers early is the full network and is left out.

    Returns:
        For each other curve one entry a point: ``setting``, ``speedup``, ``f1_reference``, ours at
        the same cost (None where nothing of ours is as fast) and whether it is higher.
    """
    front = front_of(curves[ours])
    compared: dict[str, list[Any]] = {}
    for name, points in curves.items():
        if name == ours:
            continue
        compared[name] = []
        for point in points:
            if not point['early_share']:
                continue
            best = quality_at(front, 1 / point['speedup'])
            compared[name].append(
                {
                    'setting': point['setting'],
                    'speedup': point['speedup'],
                    'f1_reference': point['f1_reference'],
                    ours: best,
                    'beaten': best is not None and best > point['f1_reference'],
                }
            )
    return compared


def no_loss(points: Sequence[Point], bar: float) -> Point | None:
    """The fastest setting whose quality is at least the full network's."""
    fine = [point for point in points if point['f1_reference'] >= bar]
    return max(fine, key=lambda point: point['speedup'], default=None)


def best(points: Sequence[Point]) -> Point | None:
    """The setting of the highest quality among those not slower than the full network."""
    fine = [point for point in points if point['speedup'] >= 1]
    return max(fine, key=lambda point: point['f1_reference'], default=None)
