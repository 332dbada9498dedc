"""What a plan is worth: expected energy over the exits, under a latency bound, switches included.

A switch costs its stall, and until it takes effect the segment runs at the old clock. The planner
charges that per switch and domain, never counting a delay as a gain::

    latency + effect delay * max(0, 1 - t_new / t_old)
    energy  + effect delay / t_old * max(0, e_old - e_new)

so that a plan's cost is a sum over neighbouring segments, which exact search needs. What really
happens to a frame is played by `profiling.delays`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from e4_ros.energy.boards import Board
from e4_ros.profiling.planning.cost_table import CostTable, Floats, Indices

_ORIN_NANO_STALL_S = 1e-4
_ORIN_NANO_EFFECT_S = {'cpu': 1e-3, 'gpu': 5e-3, 'emc': 8e-3}


class PlanningError(ValueError):
    """No plan can be made of this; the message says why and what would help."""


@dataclass(frozen=True)
class SwitchCost:
    """Seconds per domain: the caller's stall, and the delay until the clock has changed."""

    stall_s: tuple[float, ...]
    effect_s: tuple[float, ...]

    @classmethod
    def of_board(cls, board: Board, domains: Sequence[str]) -> SwitchCost:
        """The figures of a board's file."""
        switches = [board.domains[name].switch for name in domains]
        return cls(
            tuple(s.stall_s.value for s in switches), tuple(s.effect_s.value for s in switches)
        )

    @classmethod
    def assumed(cls, domains: Sequence[str]) -> SwitchCost:
        """For a machine that nobody has described: as measured on an Orin Nano (2606.16106 v1)."""
        effects = [_ORIN_NANO_EFFECT_S[name.rstrip('0123456789')] for name in domains]
        return cls((_ORIN_NANO_STALL_S,) * len(domains), tuple(effects))

    @classmethod
    def none(cls, domains: Sequence[str]) -> SwitchCost:
        """An ideal machine: clocks change at once and for nothing."""
        return cls((0.0,) * len(domains), (0.0,) * len(domains))


@dataclass(frozen=True, eq=False)
class Problem:
    """One planning problem.

    Attributes:
        reach: ``(S,)`` probability that a frame runs the segment.
        timed: ``(S,)`` whether the segment lies on the slowest path, which the deadline binds.
        idle_w: power that the board would draw anyway and that the objective leaves out; 0 counts
            everything from the start of a frame to its answer.
    """

    table: CostTable
    reach: Floats
    timed: Floats
    deadline_s: float
    switch: SwitchCost
    idle_w: float = 0.0

    @cached_property
    def energy_j(self) -> Floats:
        """Energy above idle of every cell, ``(S, P)``."""
        return self.table.energy_j - self.idle_w * self.table.latency_s

    @cached_property
    def fastest(self) -> int:
        """The point at which the slowest path is quickest when all segments run at it."""
        return int(np.argmin(self.timed @ self.table.latency_s))

    @cached_property
    def fastest_s(self) -> float:
        """Shortest latency of the slowest path at one fixed point."""
        return float(self.timed @ self.table.latency_s[:, self.fastest])

    def transition(
        self,
        segment: Indices,
        old: Indices,
        new: Indices,
        cells: NDArray[np.bool_] | None = None,
    ) -> tuple[Floats, Floats]:
        """Extra seconds and joules of going from point ``old`` to ``new`` before ``segment``.

        The indices broadcast against each other; the cells looked at are marked in ``cells``.
        """
        table, where = self.table, self.table.coordinates
        latency, energy = table.latency_s, self.energy_j
        new_s, new_j = latency[segment, new], energy[segment, new]
        extra_s, extra_j = 0.0, 0.0
        for d, stride in enumerate(table.strides):
            step = where[old, d] - where[new, d]
            mixed = new + step * stride  # the new point, with this domain still at its old clock
            if cells is not None:
                cells[segment, mixed] = True
            mixed_s = latency[segment, mixed]
            window = self.switch.effect_s[d] / mixed_s
            late_s = window * np.maximum(mixed_s - new_s, 0)
            late_j = window * np.maximum(energy[segment, mixed] - new_j, 0)
            stall = self.switch.stall_s[d]
            changed = step != 0
            extra_s = extra_s + changed * (stall + late_s)
            extra_j = extra_j + changed * (stall * new_j / new_s + late_j)
        return np.asarray(extra_s), np.asarray(extra_j)

    def evaluate(
        self, points: Indices, cells: NDArray[np.bool_] | None = None
    ) -> tuple[Floats, Floats]:
        """Worst latency (s) and expected energy (J) of plans, ``points`` being ``(..., S)``."""
        rows = np.arange(points.shape[-1])
        if cells is not None:
            cells[rows, points] = True
        extra_s, extra_j = self.transition(rows[1:], points[..., :-1], points[..., 1:], cells)
        latency_s, energy_j = self.table.latency_s[rows, points], self.energy_j[rows, points]
        seconds = latency_s @ self.timed + extra_s @ self.timed[1:]
        return seconds, energy_j @ self.reach + extra_j @ self.reach[1:]

    def cost(self, points: Indices) -> tuple[float, float]:
        """Worst latency (s) and expected energy (J) of one plan."""
        seconds, joules = self.evaluate(points)
        return float(seconds), float(joules)

    def fixed(self) -> tuple[Floats, Floats]:
        """Latency and energy of every plan that never switches, ``(P,)`` each."""
        return self.timed @ self.table.latency_s, self.reach @ self.energy_j


def make_problem(
    table: CostTable,
    exit_paths: Mapping[str, Sequence[int]],
    exit_shares: Mapping[str, float],
    deadline_s: float,
    switch: SwitchCost | None = None,
    idle_w: float = 0.0,
) -> Problem:
    """Build a problem, checking everything a user can get wrong.

    Args:
        table: costs.
        exit_paths: exit → indices of the segments that run on the way to it.
        exit_shares: exit → how often a frame stops there; need not sum to 1.
        deadline_s: bound for the slowest path; 0 means three times the fastest possible latency.
        switch: what switching costs; none: an ideal machine.
        idle_w: see :class:`Problem`.

    Raises:
        PlanningError: no exits, unknown exits, senseless shares, or a deadline nothing can meet.
    """
    shares = _normalised(exit_paths, exit_shares)
    reach, timed = np.zeros(len(table.segments)), np.zeros(len(table.segments))
    for name, path in exit_paths.items():
        if not path or min(path) < 0 or max(path) >= len(reach):
            raise PlanningError(f'exit {name!r}: path {list(path)} leaves {len(reach)} segments')
        reach[list(path)] += shares.get(name, 0.0)
    quickest = table.latency_s.min(axis=1)
    slowest = max(exit_paths, key=lambda e: quickest[list(exit_paths[e])].sum())
    timed[list(exit_paths[slowest])] = 1.0
    switch = switch or SwitchCost.none(table.domains)
    problem = Problem(table, reach, timed, deadline_s, switch, idle_w)
    if deadline_s == 0:
        problem = Problem(table, reach, timed, 3 * problem.fastest_s, switch, idle_w)
    if not problem.deadline_s >= problem.fastest_s:
        raise PlanningError(
            f'no operating point of {table.board} runs {table.model} within '
            f'{1e3 * deadline_s:.3g} ms; the fastest needs {1e3 * problem.fastest_s:.3g} ms'
        )
    return problem


def with_pause(problem: Problem, idle_w: Floats, pause_s: float) -> Problem:
    """Count what a camera's pace brings: the board waits at the first segment's clocks.

    Frames come when they come, so time that a frame takes is time that the board does not wait:
    only what it draws above its least idle power counts.

    Args:
        problem: of frames alone.
        idle_w: ``(P,)`` watts of the waiting board at every point.
        pause_s: mean time from an answer to the next frame.
    """
    least_w = float(idle_w.min())
    energy_j = problem.table.energy_j.copy()
    energy_j[0] += pause_s * (idle_w - least_w)
    return replace(problem, table=replace(problem.table, energy_j=energy_j), idle_w=least_w)


def _normalised(
    exit_paths: Mapping[str, Sequence[int]], exit_shares: Mapping[str, float]
) -> dict[str, float]:
    if not exit_paths:
        raise PlanningError('the model has no exits to plan for')
    if unknown := sorted(set(exit_shares) - set(exit_paths)):
        raise PlanningError(
            f'unknown exit {", ".join(unknown)}; the model has {", ".join(exit_paths)}'
        )
    total = float(sum(exit_shares.values()))
    if not (np.isfinite(total) and total > 0 and min(exit_shares.values()) >= 0):
        raise PlanningError(
            f'exit shares {dict(exit_shares)} make no distribution; give at least one above 0, '
            'and none below'
        )
    return {name: share / total for name, share in exit_shares.items()}
