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

"""The objective: expected energy over the exits under a latency bound, clock changes included.

A switch costs its stall, and until it takes effect the segment runs at the old clock. The planner
charges that per switch and domain, never counting a delay as a gain::

    latency + effect delay * max(0, 1 - t_new / t_old)
    energy  + effect delay / t_old * max(0, e_old - e_new)

so that a plan's cost is a sum over neighbouring segments, which exact search needs. The exact
course of a frame is simulated by `delays`.
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
    """No plan can be made; the message says why and what would help."""


@dataclass(frozen=True)
class SwitchCost:
    """The cost of a clock change.

    Attributes:
        stall_s: seconds that the caller waits, for each domain.
        effect_s: seconds until the clock has changed, for each domain.
    """

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
        """The figures for an unknown machine: as measured on an Orin Nano (2606.16106 v1)."""
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
        table: cost table of S segments at P operating points.
        reach: probability that a frame runs each segment, ``(S,)``.
        timed: 1 for the segments of the slowest path, which the deadline binds, else 0, ``(S,)``.
        deadline_s: bound for the latency of the slowest path, in seconds.
        switch: cost of a clock change.
        idle_w: power in watts that the board would draw anyway and that the objective leaves out; 0
            counts everything from the start of a frame to its answer.
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
        """Index of the single point at which the slowest path is fastest."""
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
        """Extra seconds and joules of a change of operating point before a segment.

        The indices broadcast against each other.

        Args:
            segment: indices of segments.
            old: indices of the points before.
            new: indices of the points of the segments.
            cells: mask ``(S, P)`` in which the cells that were looked up are set.
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
        """Worst latency (s) and expected energy (J) of plans.

        Args:
            points: index of the operating point of each segment, ``(..., S)``.
            cells: mask ``(S, P)`` in which the cells that were looked up are set.
        """
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
) -> Problem:
    """Build a problem, checking everything a user can get wrong.

    Args:
        table: cost table.
        exit_paths: exit → indices of the segments that run on the way to it.
        exit_shares: exit → share (or count) of the frames that stop there.
        deadline_s: bound for the slowest path in seconds; 0: three times the fastest possible.
        switch: cost of a clock change; None for an ideal machine.

    Raises:
        PlanningError: no exits, unknown exits, shares that make no sense, or a deadline that no
            operating point meets.
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
    problem = Problem(table, reach, timed, deadline_s, switch)
    if deadline_s == 0:
        problem = Problem(table, reach, timed, 3 * problem.fastest_s, switch)
    if not problem.deadline_s >= problem.fastest_s:
        raise PlanningError(
            f'no operating point of {table.board} runs {table.model} within '
            f'{1e3 * deadline_s:.3g} ms; the fastest needs {1e3 * problem.fastest_s:.3g} ms'
        )
    return problem


def with_pause(problem: Problem, idle_w: Floats, pause_s: float) -> Problem:
    """Add the energy of the wait between frames, at the clocks of the first segment.

    The frame rate is fixed, so the board does not wait while it computes: only its power above the
    least idle power counts.

    Args:
        problem: planning problem of frames without waits.
        idle_w: watts of the idle board at every operating point, ``(P,)``.
        pause_s: mean time in seconds from an answer to the next frame.
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
