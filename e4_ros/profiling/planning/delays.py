"""Simulation of one frame under a plan, with the stall and the delay of every clock change."""

from __future__ import annotations

from collections.abc import Sequence

from e4_ros.profiling.planning.cost_table import CostTable, Indices
from e4_ros.profiling.planning.objective import Problem, SwitchCost


def play_frame(
    table: CostTable, switch: SwitchCost, rows: Sequence[int], points: Indices
) -> tuple[float, float]:
    """Latency (s) and energy (J) of a frame that runs the segments ``rows``.

    The first segment's clocks are in effect when the frame begins. A change is requested when its
    segment begins, costs the stall, and takes effect after the domain's delay, wherever the frame
    is by then. A segment progresses at the rate of the clocks in effect.

    Args:
        table: cost table.
        switch: stall and delay of every domain.
        rows: indices of the segments that run, in order.
        points: index of the operating point of each segment of the table, ``(S,)``.
    """
    strides = [int(s) for s in table.strides]
    asked = table.coordinates[points[rows[0]]].tolist()
    clocks, point = list(asked), int(points[rows[0]])
    pending: list[tuple[float, int, int]] = []  # when, domain, clock
    now_s = energy_j = 0.0
    for row in rows:
        left, stalled_s = 1.0, 0.0
        for d, clock in enumerate(table.coordinates[points[row]].tolist()):
            if clock != asked[d]:
                asked[d] = clock
                pending.append((now_s + stalled_s + switch.effect_s[d], d, clock))
                stalled_s += switch.stall_s[d]
        left += stalled_s / float(table.latency_s[row, point])
        pending.sort()
        while left > 1e-12:
            while pending and pending[0][0] <= now_s + 1e-12:
                _, d, clock = pending.pop(0)
                point += (clock - clocks[d]) * strides[d]
                clocks[d] = clock
            whole_s = float(table.latency_s[row, point])
            step_s = left * whole_s
            if pending:
                step_s = min(step_s, pending[0][0] - now_s)
            now_s += step_s
            energy_j += float(table.energy_j[row, point]) * step_s / whole_s
            left -= step_s / whole_s
    return now_s, energy_j


def slowest_path_s(problem: Problem, points: Indices) -> float:
    """Simulated latency in seconds of the slowest path, alone or right after another such frame.

    In the second case the first segment's clocks are requested only when the frame begins.
    """
    rows = problem.timed.nonzero()[0].tolist()
    alone_s, _ = play_frame(problem.table, problem.switch, rows, points)
    both_s, _ = play_frame(problem.table, problem.switch, rows * 2, points)
    return max(alone_s, both_s - alone_s)
