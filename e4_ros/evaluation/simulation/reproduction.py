"""E4 against the governors: boards x backbones x workloads x controllers, on played boards.

The camera is demanding: it gives a frame every 1.5 times the fastest latency of the full network,
and the deadline is the next frame. ``steady`` frames come in time; ``bursty`` ones come twenty in a
row, a fifth of a period early or late, and then the camera rests for twenty periods. Energy is all
that the board draws, pauses included, over the frames.

Stock Jetsons scale the memory's clock by themselves, below the governors. So do they here; and each
governor may also play with that clock at its top, as `jetson_clocks` pins it. Plans choose it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from e4_ros.energy.board_model import SegmentWork
from e4_ros.energy.boards import load_board
from e4_ros.energy.plan import FrequencyPlan
from e4_ros.evaluation.simulation.machine import Frame, Machine
from e4_ros.evaluation.simulation.playback import MemoryGovernor, Played, play
from e4_ros.perception.active_plan import Stream
from e4_ros.perception.controller import Controller, Wishes
from e4_ros.perception.controllers import WITH_EXITS, make_controller
from e4_ros.perception.controllers.context import Context, Learnt
from e4_ros.perception.controllers.fixed import Fixed
from e4_ros.perception.controllers.governors import PINNED, SETS, TegraActmon
from e4_ros.profiling.planning.objective import Problem, SwitchCost, make_problem, with_pause
from e4_ros.profiling.planning.planner import search, to_plan
from e4_ros.profiling.planning.search import SearchResult, best_fixed, coordinate_descent

Workload = Literal['steady', 'bursty']
WORKLOADS: tuple[Workload, ...] = ('steady', 'bursty')
PERIODS = 1.5  # of the fastest latency
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


@dataclass(frozen=True)
class Backbone:
    """A network to reproduce with: what its segments ask for, and how a stream left it."""

    name: str
    works: Sequence[SegmentWork]
    e4: ExitTrace
    eenet: ExitTrace


@dataclass(frozen=True)
class Scene:
    """One board, backbone and workload."""

    backbone: Backbone
    machine: Machine
    workload: Workload
    period_s: float

    @classmethod
    def of(cls, board: str, backbone: Backbone, workload: Workload) -> Scene:
        """Build the machine and find the period."""
        found = load_board(board)
        domains = [name for name in DOMAINS if name in found.domains]
        machine = Machine.of(found, backbone.works, backbone.name, domains)
        fastest_s = float(machine.table.latency_s.sum(axis=0).min())
        return cls(backbone, machine, workload, PERIODS * fastest_s)

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
        self, controller: Controller, trace: ExitTrace, plan: FrequencyPlan | None = None
    ) -> Played:
        """Let a controller decide; a memory clock that it leaves out scales by itself.

        Args:
            controller: who decides.
            trace: where the frames leave the network, if the controller lets them.
            plan: the plan that the user gives the controller, if any.
        """
        frames = self.frames(trace)
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
        return with_pause(problem, machine.idle_w, pause_s)

    def _pace(self) -> float:
        """Mean time between frames, in periods."""
        return 2.0 if self.workload == 'bursty' else 1.0


def rows(
    scene: Scene, train: Callable[[Scene, str], Learnt] | None, tell: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Play every controller in a scene.

    Args:
        scene: where.
        train: trains a learning governor by its reward's name; none leaves them out.
        tell: told which controller comes.
    """
    backbone, machine = scene.backbone, scene.machine
    e4, eenet = backbone.e4, backbone.eenet
    found: list[dict[str, Any]] = []

    def add(name: str, played: Played, agreement: float) -> None:
        found.append(_row(scene, name, played, agreement))

    def named(name: str, trace: ExitTrace = e4, learnt: Learnt | None = None) -> Played:
        known = {} if learnt is None else {name: learnt}
        return scene.play(make_controller(name, scene.context(trace, known)), trace)

    def fixed(problem: Problem, exits: bool) -> Played:
        point = machine.table.point(int(best_fixed(problem).points[0]))
        return scene.play(Fixed(point, exits), e4)

    def planned(where: Scene, problem: Problem, find: Callable[[Problem], SearchResult]) -> Played:
        plan = to_plan(problem, e4.paths, find(problem).points)
        return where.play(make_controller('e4', where.context(e4)), e4, plan)

    for name in GOVERNORS:
        tell(name)
        add(name, named(name), 1.0)
    for name, reward in LEARNED.items() if train is not None else ():
        tell(name)
        assert train is not None
        add(name, named(name, learnt=train(scene, reward)), 1.0)
    tell('plans')
    everything = ExitTrace({'full': list(range(len(backbone.works)))}, ('full',), 1.0)
    free = SwitchCost.none(machine.table.domains)
    add('fixed_pair', fixed(scene.problem(everything, free), exits=False), 1.0)
    add('eenet_exits', named(f'{STOCK}{WITH_EXITS}', eenet), eenet.agreement)
    for name in GOVERNORS:
        add(f'{name}{WITH_EXITS}', named(f'{name}{WITH_EXITS}'), e4.agreement)
    aware, blind = scene.problem(e4, machine.switch), scene.problem(e4, free)
    add('fixed_pair+exits', fixed(aware, exits=True), e4.agreement)
    add('e4_published', planned(scene, blind, coordinate_descent), e4.agreement)
    add('e4', planned(scene, aware, search), e4.agreement)
    ideal = replace(scene, machine=replace(machine, switch=free))
    add('e4_ideal', planned(ideal, blind, coordinate_descent), e4.agreement)
    if 'emc' in machine.table.domains:
        narrower = _without_memory_clock(scene)
        narrow = narrower.problem(e4, machine.switch)
        add('e4_emc_top', planned(narrower, narrow, search), e4.agreement)
    return found


def _without_memory_clock(scene: Scene) -> Scene:
    """The scene with CPU and GPU to plan only, the memory's clock at its top."""
    backbone, board = scene.backbone, scene.machine.board
    machine = Machine.of(board, backbone.works, backbone.name, DOMAINS[:2])
    return replace(scene, machine=machine)


def _row(scene: Scene, policy: str, played: Played, agreement: float) -> dict[str, Any]:
    p50, p99 = (1e3 * float(x) for x in np.percentile(played.latency_s, (50, 99)))
    idle_j = float(scene.machine.idle_w.min()) * played.seconds / len(played.latency_s)
    return {
        'board': scene.machine.board.name,
        'backbone': scene.backbone.name,
        'workload': scene.workload,
        'policy': policy,
        'energy_j_per_frame': played.energy_j_per_frame,
        'above_idle_j_per_frame': played.energy_j_per_frame - idle_j,
        'latency_ms': {'p50': p50, 'p99': p99},
        'deadline_ms': 1e3 * scene.period_s,
        'deadline_miss_percent': played.miss_percent(scene.period_s * (1 + 1e-6)),
        'agreement': agreement,
        'switches_per_frame': played.switches / len(played.latency_s),
        'energy_source': 'modelled',
    }
