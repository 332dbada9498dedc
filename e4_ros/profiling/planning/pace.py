"""The camera's pace in a planning problem: what the board draws between two frames, and the bound.

Beside a stream that mostly waits, a plan that counts frames alone is not the cheapest one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from e4_ros.profiling.planning.cost_table import CostTable
from e4_ros.profiling.planning.objective import Problem, with_pause
from e4_ros.profiling.planning.planner import search, to_plan

OF_PERIOD = 0.9
"""Share of the period that a frame may take: frames do not arrive exactly on time."""

IdleW = Callable[[Mapping[str, int]], float]
"""Function from an operating point to the watts of the waiting board."""


@dataclass(frozen=True)
class Paced:
    """A problem at a pace.

    Attributes:
        frames: the frames alone, within the time that the pace leaves them.
        problem: the same with the waits, of the energy above the least idle power.
        pause_s: mean time in seconds from an answer to the next frame.
    """

    frames: Problem
    problem: Problem
    pause_s: float


def at_pace(
    problem: Problem,
    exit_paths: Mapping[str, Sequence[int]],
    exit_shares: Mapping[str, float],
    period_s: float,
    idle_w: IdleW | None,
    bound: bool,
) -> Paced:
    """Count the waits that a good plan leaves.

    Args:
        problem: planning problem of frames without waits.
        exit_paths: exit → indices of the segments that run on the way to it.
        exit_shares: exit → share (or count) of the frames that stop there.
        period_s: seconds from one frame to the next; 0: nobody knows, and nothing changes.
        idle_w: what the waiting board draws; None: nobody knows, and the waits do not count.
        bound: whether a plan has to be done before the next frame, as nobody gave a deadline.
    """
    if period_s <= 0:
        return Paced(problem, problem, 0.0)
    frames = problem
    if bound:
        longest_s = max(min(problem.deadline_s, OF_PERIOD * period_s), problem.fastest_s)
        frames = replace(problem, deadline_s=longest_s)
    if idle_w is None:
        return Paced(frames, frames, 0.0)
    table, total = frames.table, sum(exit_shares.values())
    watts = np.array([idle_w(table.point(p)) for p in range(len(table.coordinates))])
    counted, pause_s = frames, 0.0
    for _ in range(2):  # a plan changes the waits that it should have counted
        plan = to_plan(frames, exit_paths, search(counted).points)
        frame_s = sum(
            exit_shares.get(name, 0.0) / total * path.expected_latency_s
            for name, path in plan.paths.items()
        )
        if period_s <= frame_s:
            return Paced(frames, frames, 0.0)
        pause_s = period_s - frame_s
        counted = with_pause(frames, watts, pause_s)
    return Paced(frames, counted, pause_s)


def lowest(table: CostTable) -> dict[str, int]:
    """The lowest clocks of a table, at which governors wait."""
    return {name: axis[0] for name, axis in zip(table.domains, table.axes_hz, strict=True)}


def governed_cost(
    paced: Paced, latency_s: float, energy_j: float, mean_s: float, idle_w: float
) -> tuple[float, float]:
    """Latency (s) and energy (J) of a system whose governors wait at the lowest clocks.

    Args:
        paced: the problem that it is compared in.
        latency_s: its latency on the slowest path.
        energy_j: joules of its mean frame.
        mean_s: seconds of its mean frame.
        idle_w: watts of the waiting board at the lowest clocks.
    """
    least_w = paced.problem.idle_w
    return latency_s, energy_j - least_w * mean_s + paced.pause_s * (idle_w - least_w)


def waits_note(paced: Paced, period_s: float) -> list[str]:
    """A sentence for the reader about the waits; none where nobody knows the pace."""
    if period_s <= 0:
        return []
    if not paced.pause_s:
        return [
            f'A frame comes every {1e3 * period_s:.3g} ms; what the board draws between frames is '
            'not counted: nobody knows it, or there is no such time.'
        ]
    return [
        f'A frame comes every {1e3 * period_s:.3g} ms. Energy counts the wait for it, and of '
        f'everything what is above the least idle power, {paced.problem.idle_w:.2f} W.'
    ]
