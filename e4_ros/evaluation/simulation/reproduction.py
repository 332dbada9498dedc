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

"""The scenes of `e4 reproduce`: boards x backbones x workloads x paces, on played boards.

A board is in the power mode in which it ships, or in another. The camera gives a frame every 1.5
times the fastest latency of the full network there, or more rarely, and the deadline is the next
frame. ``steady`` frames come in time; ``bursty`` ones come twenty in a
row, a fifth of a period early or late, and then the camera rests for twenty periods. Energy is all
that the board draws, pauses included, over the frames.

A scene is played with several streams: the record of exits as it is, and others drawn from it in
blocks of neighbouring frames; the bursts' jitter differs between them as well. Plans know the
record's shares, not those of the stream.

Stock Jetsons scale the memory's clock by themselves, below the governors. So do they here; and each
governor may also play with that clock at its top, as `jetson_clocks` pins it. Plans choose it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from e4_ros.energy.board_model import SegmentWork
from e4_ros.energy.boards import Board, load_board
from e4_ros.energy.plan import FrequencyPlan
from e4_ros.evaluation.metrics.intervals import BLOCK
from e4_ros.evaluation.simulation.machine import Frame, Machine
from e4_ros.evaluation.simulation.playback import MemoryGovernor, Played, play
from e4_ros.perception.active_plan import Stream
from e4_ros.perception.controller import Controller, Wishes
from e4_ros.perception.controllers.context import Context, Learnt
from e4_ros.perception.controllers.governors import PINNED, SETS, TegraActmon
from e4_ros.profiling.planning.objective import Problem, SwitchCost, make_problem, with_pause

Workload = Literal['steady', 'bursty']
WORKLOADS: tuple[Workload, ...] = ('steady', 'bursty')
PACES = (1.5, 2.0, 3.0, 5.0)  # period, in times of the fastest latency
TOP_MODE = 'top'
"""Stands for the power mode of a board that allows the most."""
BURST = 20
JITTER = 0.2  # of a period; whoever plans leaves it free

DOMAINS = ('cpu', 'gpu', 'emc')
TOP = f'performance{PINNED}'  # what `jetson_clocks` does
STOCK = 'nvhost_podgov'  # the governors of a Jetson as it comes
GOVERNORS = tuple(SETS)
LEARNED = {'ztt': 'ztt', 'ring_dvfs_like': 'reliability'}


@dataclass(frozen=True)
class ExitTrace:
    """Where the frames of a real stream left a network, and what that was worth.

    Attributes:
        paths: exit → indices of its segments.
        exits: the exit of each frame.
        agreement: how often the answers equal the full network's, 0 to 1.
    """

    paths: dict[str, list[int]]
    exits: tuple[str, ...]
    agreement: float

    def depths(self) -> list[int]:
        """Number of segments that each frame runs."""
        return [len(self.paths[exit_name]) for exit_name in self.exits]

    def shares(self) -> dict[str, float]:
        """Exit → share of frames."""
        return {e: self.exits.count(e) / len(self.exits) for e in self.paths}

    def drawn(self, seed: int) -> ExitTrace:
        """Another stream of the kind: blocks of neighbouring frames; the record itself for 0."""
        if seed == 0:
            return self
        count = len(self.exits)
        starts = np.random.default_rng(seed).integers(count, size=-(-count // BLOCK))
        at = (starts[:, None] + np.arange(BLOCK)).ravel()[:count] % count
        return replace(self, exits=tuple(self.exits[i] for i in at))


@dataclass(frozen=True)
class Backbone:
    """A network to reproduce with: what its segments ask for, and how a stream left it."""

    name: str
    works: Sequence[SegmentWork]
    e4: ExitTrace
    eenet: ExitTrace


@dataclass(frozen=True)
class Scene:
    """One board, backbone, workload and pace."""

    backbone: Backbone
    machine: Machine
    workload: Workload
    period_s: float
    pace: float

    @classmethod
    def of(
        cls,
        board: str,
        backbone: Backbone,
        workload: Workload,
        pace: float = PACES[0],
        mode: str = '',
    ) -> Scene:
        """Build the machine and find the period; `board_in` says what modes there are."""
        found = board_in(board, mode)
        domains = [name for name in DOMAINS if name in found.domains]
        machine = Machine.of(found, backbone.works, backbone.name, domains)
        fastest_s = float(machine.table.latency_s.sum(axis=0).min())
        return cls(backbone, machine, workload, pace * fastest_s, pace)

    def frames(self, trace: ExitTrace, seed: int = 0) -> list[Frame]:
        """The camera's frames, which leave the network as ``trace`` says where they may."""
        rng = np.random.default_rng(seed)
        count = len(trace.exits)
        at = np.arange(count, dtype=float)
        if self.workload == 'bursty':
            at = at + BURST * (np.arange(count) // BURST)
            at = np.maximum(at + rng.uniform(-JITTER, JITTER, count), 0.0)
        depths = trace.depths()
        return [
            Frame(float(t) * self.period_s, depth, exit_name)
            for t, depth, exit_name in zip(at, depths, trace.exits, strict=True)
        ]

    def play(
        self,
        controller: Controller,
        trace: ExitTrace,
        plan: FrequencyPlan | None = None,
        seed: int = 0,
    ) -> Played:
        """Let a controller decide; a memory clock that it leaves out scales by itself.

        Args:
            controller: who decides.
            trace: where the frames leave the network, if the controller lets them.
            plan: the plan that the user gives the controller, if any.
            seed: number of the stream.
        """
        frames = self.frames(trace.drawn(seed), seed)
        end_s = frames[-1].arrival_s + self.period_s
        wishes = Wishes(self.period_s, plan, 'the scene', replan=plan is None)
        return play(self.machine, frames, controller, wishes, end_s, self.memory())

    def context(self, trace: ExitTrace, learnt: Mapping[str, Learnt] | None = None) -> Context:
        """What controllers of this scene are made for."""
        backbone = self.backbone
        stream = Stream(backbone.name, backbone.works, trace.paths)
        return Context(stream, self.machine.table.domains, learnt=learnt or {})

    def memory(self) -> MemoryGovernor | None:
        """What scales the memory's clock of a stock system, new for every stream."""
        table = self.machine.table
        if table.domains[-1] != 'emc':
            return None
        clocks = dict(zip(table.domains, table.axes_hz, strict=True))
        return TegraActmon(clocks['emc'], clocks.get('gpu', ()))

    def problem(self, trace: ExitTrace, switch: SwitchCost) -> Problem:
        """Planning problem of the scene; between frames the first segment's clocks idle on."""
        machine = self.machine
        bound_s = self.period_s * (1 - JITTER if self.workload == 'bursty' else 1.0)
        problem = make_problem(machine.table, trace.paths, trace.shares(), bound_s, switch)
        busy_s = float(problem.reach @ machine.table.latency_s[:, problem.fastest])
        pause_s = max(self._pace() * self.period_s - busy_s, 0.0)
        return with_pause(problem, machine.waiting_w[machine.depth(pause_s)], pause_s)

    def _pace(self) -> float:
        """Mean time between frames, in periods."""
        return 2.0 if self.workload == 'bursty' else 1.0


def board_in(name: str, mode: str = '') -> Board:
    """A board in one of its power modes.

    Args:
        name: of the board.
        mode: name of the mode; empty: the one in which it ships; ``top``: the one with the highest
            clocks and the most cores. Boards without power modes are what they are.

    Raises:
        BoardError: there is no such board, or it has no such mode.
    """
    board = load_board(name)
    if not mode or (mode == TOP_MODE and not board.power_modes):
        return board
    return board.in_mode(_top_mode(board) if mode == TOP_MODE else mode)


def _top_mode(board: Board) -> str:
    def allowed(mode: str) -> tuple[float, ...]:
        there = board.in_mode(mode)
        tops = [spec.allowed_hz[-1] for name, spec in there.domains.items() if name in DOMAINS]
        online = board.power_modes[mode].cpus_online
        cores = np.inf if online is None else len(online)
        return float(np.prod(tops, dtype=float)), cores

    return max(board.power_modes, key=allowed)
