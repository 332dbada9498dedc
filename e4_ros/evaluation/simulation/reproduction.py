"""E4 against the governors: boards x backbones x workloads x policies, on played boards.

The camera is demanding: it gives a frame every 1.5 times the fastest latency of the full network,
and the deadline is the next frame. ``steady`` frames come in time; ``bursty`` ones come twenty in a
row, a fifth of a period early or late, and then the camera rests for twenty periods. Energy is all
that the board draws, pauses included, over the frames.

Stock Jetsons scale the memory's clock by themselves, below the governors. So do they here; and each
governor may also play with that clock at its top, as `jetson_clocks` pins it. Plans choose it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from e4_ros.energy.board_model import SegmentWork
from e4_ros.energy.boards import load_board
from e4_ros.evaluation.simulation.governors import Governors, Planned, TegraActmon
from e4_ros.evaluation.simulation.machine import Frame, Machine
from e4_ros.evaluation.simulation.playback import MemoryGovernor, Played, Policy, play
from e4_ros.profiling.planning.objective import Problem, SwitchCost, make_problem, with_pause
from e4_ros.profiling.planning.planner import search
from e4_ros.profiling.planning.search import best_fixed, coordinate_descent

Workload = Literal['steady', 'bursty']
WORKLOADS: tuple[Workload, ...] = ('steady', 'bursty')
PERIODS = 1.5  # of the fastest latency
BURST = 20
JITTER = 0.2  # of a period; whoever plans leaves it free

DOMAINS = ('cpu', 'gpu', 'emc')
PINNED = '@emc_top'
TOP = f'performance{PINNED}'  # what `jetson_clocks` does
STOCK = ('schedutil', 'nvhost_podgov')
_PAIRS = {
    'performance': ('performance', 'performance'),
    'schedutil': ('schedutil', 'performance'),
    'simple_ondemand': ('schedutil', 'simple_ondemand'),
    'nvhost_podgov': STOCK,
}
GOVERNORS: dict[str, tuple[str, ...]] = {
    **_PAIRS,
    **{f'{name}{PINNED}': (*pair, 'performance') for name, pair in _PAIRS.items()},
    'powersave': ('powersave', 'powersave', 'powersave'),
}
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

    def frames(self, depths: Sequence[int], seed: int = 0) -> list[Frame]:
        """The camera's frames."""
        rng = np.random.default_rng(seed)
        at = np.arange(len(depths), dtype=float)
        if self.workload == 'bursty':
            at = at + BURST * (np.arange(len(depths)) // BURST)
            at = np.maximum(at + rng.uniform(-JITTER, JITTER, len(depths)), 0.0)
        return [Frame(float(t) * self.period_s, d) for t, d in zip(at, depths, strict=True)]

    def play(self, policy: Policy, depths: Sequence[int], machine: Machine | None = None) -> Played:
        """Run a policy; a memory clock that it leaves out scales by itself."""
        frames, machine = self.frames(depths), machine or self.machine
        end_s = frames[-1].arrival_s + self.period_s
        return play(machine, frames, policy, self.period_s, end_s, self.memory())

    def memory(self) -> MemoryGovernor | None:
        """What scales the memory's clock of a stock system, new for every stream."""
        table = self.machine.table
        return TegraActmon(table.axes_hz[-1]) if table.domains[-1] == 'emc' else None

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
    scene: Scene, train: Callable[[Scene, str], Policy] | None, tell: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Play every policy in a scene.

    Args:
        scene: where.
        train: makes a learning governor by its reward's name; none leaves them out.
        tell: told which policy comes.
    """
    backbone, machine = scene.backbone, scene.machine
    full = [len(backbone.works)] * len(backbone.e4.exits)
    e4, eenet = backbone.e4, backbone.eenet
    found: list[dict[str, Any]] = []

    def add(name: str, played: Played, agreement: float) -> None:
        found.append(_row(scene, name, played, agreement))

    def planned(problem: Problem, kind: str) -> Planned:
        finder = {'fixed': best_fixed, 'aware': search, 'blind': coordinate_descent}[kind]
        return Planned([tuple(c) for c in machine.table.coordinates[finder(problem).points]])

    for name, pair in GOVERNORS.items():
        tell(name)
        add(name, scene.play(Governors(*pair), full), 1.0)
    for name, reward in LEARNED.items() if train is not None else ():
        tell(name)
        assert train is not None
        add(name, scene.play(train(scene, reward), full), 1.0)
    tell('plans')
    everything = ExitTrace({'full': list(range(len(backbone.works)))}, ('full',), 1.0)
    free = SwitchCost.none(machine.table.domains)
    add('fixed_pair', scene.play(planned(scene.problem(everything, free), 'fixed'), full), 1.0)
    add('eenet_exits', scene.play(Governors(*STOCK), eenet.depths()), eenet.agreement)
    for name, pair in GOVERNORS.items():
        add(f'{name}+exits', scene.play(Governors(*pair), e4.depths()), e4.agreement)
    aware, blind = scene.problem(e4, machine.switch), scene.problem(e4, free)
    add('fixed_pair+exits', scene.play(planned(aware, 'fixed'), e4.depths()), e4.agreement)
    add('e4_published', scene.play(planned(blind, 'blind'), e4.depths()), e4.agreement)
    add('e4', scene.play(planned(aware, 'aware'), e4.depths()), e4.agreement)
    ideal = replace(machine, switch=free)
    add('e4_ideal', scene.play(planned(blind, 'blind'), e4.depths(), ideal), e4.agreement)
    if 'emc' in machine.table.domains:
        add('e4_emc_top', _without_memory_clock(scene), e4.agreement)
    return found


def _without_memory_clock(scene: Scene) -> Played:
    """E4 that plans CPU and GPU only, the memory's clock at its top."""
    backbone, board = scene.backbone, scene.machine.board
    machine = Machine.of(board, backbone.works, backbone.name, DOMAINS[:2])
    narrower = replace(scene, machine=machine)
    points = search(narrower.problem(backbone.e4, machine.switch)).points
    clocks = [tuple(c) for c in machine.table.coordinates[points]]
    return narrower.play(Planned(clocks), backbone.e4.depths())


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
