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

"""Profiling the machine itself: the real network, its own clocks, joules from its own sensors.

The clocks change only through the DVFS daemon (one that runs, or one in this process), so whatever
ends the measurement, they are restored. A virtual board's root is measured the same way, but
nothing computes at the clocks of a file: there the segments are simulated (`virtual_workload`).
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from e4_ros.energy.board_model import BoardModel, works_of
from e4_ros.energy.daemon.daemon import DaemonConfig
from e4_ros.energy.daemon.hold_point import leased
from e4_ros.energy.domains.discovery import discover
from e4_ros.energy.domains.domain import Domain
from e4_ros.energy.identify import identify
from e4_ros.energy.power_mode import read_power_mode
from e4_ros.energy.virtual.board import board_of
from e4_ros.profiling.measuring.host import (
    NothingToSetError,
    axes_of,
    may_set,
    model_of,
    open_power,
    switch_cost,
)
from e4_ros.profiling.measuring.measured_search import MeasuredPlan, measured_plan
from e4_ros.profiling.measuring.power import PowerSource
from e4_ros.profiling.measuring.prober import Prober, Workload
from e4_ros.profiling.measuring.virtual_workload import VirtualWorkload
from e4_ros.profiling.planning.cost_table import CostTable, CostTableError, Floats
from e4_ros.profiling.planning.exit_shares import even_shares
from e4_ros.profiling.planning.objective import Problem, make_problem
from e4_ros.profiling.planning.pace import (
    Paced,
    at_pace,
    governed_cost,
    lowest,
    waits_note,
)
from e4_ros.profiling.profile import OnProgress, Profile, run_profile
from e4_ros.vision.inference.segment_runner import SegmentRunner
from e4_ros.vision.inference.stream_engine import StreamEngine

_BASELINE_S = 0.3  # per segment: a governor needs a while to follow the load
_DRIFTED = 0.05

ReadClocks = Callable[[], Mapping[str, int]]
"""Function that reads the clocks: domain → frequency in hertz."""


@dataclass(frozen=True, eq=False)
class Baseline:
    """Costs of the segments at the clocks that the machine chooses by itself.

    Attributes:
        segments: names of the segments, in the order in which they run.
        latency_s: latency of each segment in seconds, ``(S,)``.
        energy_j: energy of each segment in joules, ``(S,)``; NaN without a source of watts.
        clocks_hz: domain → frequency in hertz that was read last.
    """

    segments: tuple[str, ...]
    latency_s: Floats
    energy_j: Floats
    clocks_hz: dict[str, int]


@dataclass(frozen=True, eq=False)
class HostProfile:
    """The profile of this machine.

    Attributes:
        board: name of the board.
        model: name of the network.
        power: name of the source of joules; empty without one.
        exit_paths: exit → indices of the segments that run on the way to it.
        baseline: costs at the clocks that the machine chooses by itself.
        profile: the profile by measured costs; None where nothing can be planned.
        why_no_plan: why ``profile`` is None; else empty.
    """

    board: str
    model: str
    power: str
    exit_paths: Mapping[str, Sequence[int]]
    baseline: Baseline
    profile: Profile | None = None
    why_no_plan: str = ''

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain values."""
        found = self.baseline
        costs = zip(found.segments, found.latency_s.tolist(), found.energy_j.tolist(), strict=True)
        return {
            'board': self.board,
            'model': self.model,
            'power': self.power,
            'why_no_plan': self.why_no_plan,
            'exit_paths': {name: list(path) for name, path in self.exit_paths.items()},
            'as_found': {
                'clocks_hz': found.clocks_hz,
                'segments': [
                    {'name': n, 'latency_s': s, 'energy_j': None if math.isnan(j) else j}
                    for n, s, j in costs
                ],
            },
        } | (self.profile.as_dict() if self.profile else {})


def profile_this_machine(
    built: StreamEngine,
    exit_shares: Mapping[str, float] | None = None,
    deadline_s: float = 0.0,
    domains: Sequence[str] = (),
    *,
    config: DaemonConfig | None = None,
    frames: Sequence[np.ndarray] = (),
    power_like: str = '',
    bundle: str = '',
    period_s: float = 0.0,
    yardstick: bool = True,
    on_progress: OnProgress | None = None,
) -> HostProfile:
    """Measure this machine and plan for it.

    Args:
        built: the network with its exits, as it is to be measured.
        exit_shares: exit → share (or count) of the frames that stop there; None: equal shares.
        deadline_s: bound for the slowest path in seconds; 0: three times the fastest possible.
        domains: names of the domains to clock; empty: ``cpu`` and, where there is one, ``gpu``.
        config: settings of the daemon: where it listens, and the root of the machine's files.
        frames: frames ``(H, W, 3)`` uint8 RGB to run the network on; a virtual board needs none.
        power_like: name of a board whose power model is used where there is no sensor.
        bundle: fingerprint of the network, for the table.
        period_s: seconds from one frame to the next, so that the waits count; 0: nobody knows.
        yardstick: whether to find the exact optimum of the measured table, too.
        on_progress: function that receives the progress.

    Raises:
        ValueError: names, exits or deadline make no sense.
        OSError: the daemon refuses, or a measurement is not valid; the message says why.
    """
    tell = on_progress or (lambda phase, progress, energy_j: None)
    config = config or DaemonConfig()
    board = config.board or identify(config.root)
    model = built.model.name
    shares = exit_shares or even_shares(built.paths)
    works = works_of(built.segments)
    found = {domain.name: domain for domain in discover(config.root)}
    clocked = _clocked(found, domains)

    def clocks() -> dict[str, int]:
        return {name: domain.current_hz() for name, domain in found.items()}

    workload = _workload(built, config, frames, clocks)
    with contextlib.ExitStack() as stack:
        client, why = None, ''
        try:
            may_set(clocked, config)
            client = stack.enter_context(leased(config, 'e4 profile'))
        except NothingToSetError as error:
            why = str(error)
        power, meter_problem = open_power(stack, config.root, client, board, works, power_like)
        why = why or meter_problem
        tell('measuring the baseline', 0.02, math.nan)
        baseline = _measure_baseline(workload, power, clocks)
        source = power.name if power else ''
        unplanned = HostProfile(board, model, source, built.paths, baseline, None, why)
        if client is None or power is None or why:
            return unplanned
        axes = axes_of(clocked, client)
        switch, switch_note = switch_cost(board, tuple(axes))
        prober = Prober(client, power, workload, axes, clocks)

        def make(table: CostTable) -> Problem:
            return make_problem(table, built.paths, shares, deadline_s, switch)

        measured = measured_plan(
            prober, make, lambda phase, share, energy_j: tell(phase, 0.05 + 0.85 * share, energy_j)
        )
    notes = [*_notes(measured, power, prober), switch_note]
    if board_of(config.root) is not None:
        notes.append(
            'This is a virtual board: its segments were simulated with the latency of the board '
            'model and noise; nothing was computed at its clocks.'
        )
    mode = read_power_mode(config.root)
    table = replace(measured.problem.table, power_mode=mode.key if mode else '', bundle=bundle)
    problem = replace(measured.problem, table=table)
    waiting = model_of(table)
    paced = at_pace(problem, built.paths, shares, period_s, waiting, bound=not deadline_s)
    profile = run_profile(
        paced.problem,
        built.paths,
        shares,
        baseline.clocks_hz,
        default_cost=_cost_of_baseline(paced, baseline, waiting),
        default_name='as it was found',
        notes=[*(note for note in notes if note), *waits_note(paced, period_s)],
        yardstick=yardstick,
        frames=paced.frames,
        period_s=period_s,
        on_progress=lambda phase, share, energy_j: tell(phase, 0.9 + 0.1 * share, energy_j),
    )
    return replace(unplanned, profile=profile)


def _clocked(found: Mapping[str, Domain], names: Sequence[str]) -> dict[str, Domain]:
    if unknown := [name for name in names if name not in found]:
        raise CostTableError(
            f'this machine has no domain {", ".join(unknown)}, only {", ".join(found) or "none"}'
        )
    wanted = names or [name for name in ('cpu', 'gpu') if name in found] or list(found)
    return {name: found[name] for name in wanted}


def _workload(
    built: StreamEngine,
    config: DaemonConfig,
    frames: Sequence[np.ndarray],
    clocks: ReadClocks,
) -> Workload:
    if (virtual := board_of(config.root)) is None:
        return SegmentRunner(built, frames)
    works = works_of(built.segments)
    return VirtualWorkload(virtual, config.root, works, built.model.name, clocks)


def _measure_baseline(
    workload: Workload, power: PowerSource | None, clocks: ReadClocks
) -> Baseline:
    size = len(workload.segments)
    latency_s, energy_j = np.full(size, np.nan), np.full(size, np.nan)
    seen: dict[str, int] = {}
    for row in range(size):
        repeats = workload.run(row, _BASELINE_S)
        seen = dict(clocks())
        if power is not None:
            repeats, watts = power.during(row, seen, lambda s, row=row: workload.run(row, s))  # type: ignore[misc]
            energy_j[row] = watts * np.median(repeats)
        latency_s[row] = np.median(repeats)
    return Baseline(workload.segments, latency_s, energy_j, seen)


def _cost_of_baseline(
    paced: Paced, found: Baseline, model: BoardModel | None
) -> tuple[float, float]:
    problem = paced.frames
    latency_s = float(problem.timed @ found.latency_s)
    energy_j = float(problem.reach @ found.energy_j)
    if model is None or not paced.pause_s:
        return latency_s, energy_j
    mean_s = float(problem.reach @ found.latency_s)
    idle_w = model.idle_w(lowest(problem.table), paced.pause_s)
    return governed_cost(paced, latency_s, energy_j, mean_s, idle_w)


def _notes(measured: MeasuredPlan, power: PowerSource, prober: Prober) -> list[str]:
    """Sentences for the reader about the measurement."""
    table = measured.problem.table
    filled = ''
    if not math.isnan(table.error_percent):
        filled = f'; a fitted surface fills in the rest (mean error {table.error_percent:.1f} %)'
    notes = [
        f'Measured on this machine: {measured.cells} of {table.latency_s.size} cells in '
        f'{measured.seconds:.0f} s{filled}.',
        f'Latency and energy are measured ({power.name}).'
        if power.source == 'measured'
        else f'Latency is measured, energy is modelled ({power.name}).',
    ]
    rows = np.arange(len(table.segments))
    if np.isnan(prober.latency_s[rows, measured.found.points]).any():
        notes.append('Part of the plan rests on the fitted surface, not on measurements.')
    if abs(measured.drift) > _DRIFTED:
        notes.append(
            f'The first cell took {100 * measured.drift:+.0f} % when it was measured again at the '
            'end: heat or other loads. Measure again on a quiet, warmed-up machine.'
        )
    return notes
