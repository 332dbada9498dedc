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

"""The rows of `e4 reproduce`: every policy in a scene, each with all streams.

Whoever has exits here has the same ones, E4's as recorded (tracker included), and so the same
quality; only ``eenet_exits`` has its own. Learning governors come as published (the whole network,
clocks of CPU and GPU) and once more with the exits and the memory's clock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from e4_ros.evaluation.simulation.machine import Machine
from e4_ros.evaluation.simulation.playback import Played
from e4_ros.evaluation.simulation.reproduction import (
    DOMAINS,
    GOVERNORS,
    LEARNED,
    STOCK,
    ExitTrace,
    Scene,
)
from e4_ros.perception.controller import Controller
from e4_ros.perception.controllers import WITH_EXITS, make_controller
from e4_ros.perception.controllers.context import Learnt
from e4_ros.perception.controllers.fixed import Fixed
from e4_ros.profiling.planning.objective import Problem, SwitchCost
from e4_ros.profiling.planning.planner import search, to_plan
from e4_ros.profiling.planning.search import SearchResult, best_fixed, coordinate_descent

Trainer = Callable[[Scene, str, bool], Learnt]
"""From a scene, a reward's name and whether there are exits, and the memory's clock to move."""


def rows(scene: Scene, train: Trainer | None = None, streams: int = 1) -> list[dict[str, Any]]:
    """Play every policy in a scene.

    Args:
        scene: where.
        train: trains learning governors; none leaves them out.
        streams: how many streams each policy is played with.
    """
    backbone, machine = scene.backbone, scene.machine
    e4, eenet = backbone.e4, backbone.eenet
    found: list[dict[str, Any]] = []

    def add(
        name: str,
        make: Callable[[], Controller],
        agreement: float = 1.0,
        trace: ExitTrace = e4,
        where: Scene = scene,
        search_result: SearchResult | None = None,
    ) -> None:
        plan = None
        if search_result is not None:
            problem = where.problem(e4, where.machine.switch)
            plan = to_plan(problem, e4.paths, search_result.points)
        played = [where.play(make(), trace, plan, seed) for seed in range(streams)]
        row = _row(scene, name, played, agreement)
        if search_result is not None:
            row['clocks_per_segment'] = len(set(search_result.points.tolist())) > 1
        found.append(row)

    def named(name: str, trace: ExitTrace = e4, learnt: Learnt | None = None) -> None:
        known = {} if learnt is None else {name.removesuffix(WITH_EXITS): learnt}
        agreement = trace.agreement if name.endswith(WITH_EXITS) else 1.0
        add(name, lambda: make_controller(name, scene.context(trace, known)), agreement, trace)

    def fixed(name: str, problem: Problem, agreement: float = 1.0) -> None:
        point = machine.table.point(int(best_fixed(problem).points[0]))
        add(name, lambda: Fixed(point, name.endswith(WITH_EXITS)), agreement)

    def planned(name: str, where: Scene, result: SearchResult) -> None:
        add(
            name,
            lambda: make_controller('e4', where.context(e4)),
            e4.agreement,
            where=where,
            search_result=result,
        )

    for name in GOVERNORS:
        named(name)
        named(f'{name}{WITH_EXITS}')
    for name, reward in LEARNED.items() if train is not None else ():
        assert train is not None
        named(name, learnt=train(scene, reward, False))
        named(f'{name}{WITH_EXITS}', learnt=train(scene, reward, True))
    free = SwitchCost.none(machine.table.domains)
    add(
        'eenet_exits',
        lambda: make_controller(f'{STOCK}{WITH_EXITS}', scene.context(eenet)),
        eenet.agreement,
        eenet,
    )
    everything = ExitTrace({'full': list(range(len(backbone.works)))}, ('full',), 1.0)
    aware, blind = scene.problem(e4, machine.switch), scene.problem(e4, free)
    fixed('fixed_point', scene.problem(everything, free))
    fixed(f'fixed_point{WITH_EXITS}', aware, e4.agreement)
    planned('e4_published', scene, coordinate_descent(blind))
    planned('e4', scene, search(aware))
    ideal = replace(scene, machine=replace(machine, switch=free))
    planned('e4_ideal', ideal, coordinate_descent(blind))
    if 'emc' in machine.table.domains:
        narrower = _without_memory_clock(scene)
        planned('e4_emc_top', narrower, search(narrower.problem(e4, narrower.machine.switch)))
    return found


def _without_memory_clock(scene: Scene) -> Scene:
    """The scene with CPU and GPU to plan only, the memory's clock at its top."""
    backbone, board = scene.backbone, scene.machine.board
    machine = Machine.of(board, backbone.works, backbone.name, DOMAINS[:2])
    return replace(scene, machine=machine)


def _row(scene: Scene, policy: str, played: Sequence[Played], agreement: float) -> dict[str, Any]:
    latency_s = np.concatenate([one.latency_s for one in played])
    p50, p99 = (1e3 * float(x) for x in np.percentile(latency_s, (50, 99)))
    idle_w, streams_j = float(scene.machine.idle_w.min()), [p.energy_j_per_frame for p in played]
    idle_j = idle_w * sum(one.seconds for one in played) / len(latency_s)
    late = [one.miss_percent(scene.period_s * (1 + 1e-6)) for one in played]
    return {
        'board': scene.machine.board.name,
        'power_mode': scene.machine.board.mode,
        'backbone': scene.backbone.name,
        'workload': scene.workload,
        'pace': scene.pace,
        'policy': policy,
        'energy_j_per_frame': float(np.mean(streams_j)),
        'energy_j_of_streams': streams_j,
        'above_idle_j_per_frame': float(np.mean(streams_j)) - idle_j,
        'latency_ms': {'p50': p50, 'p99': p99},
        'deadline_ms': 1e3 * scene.period_s,
        'deadline_miss_percent': float(np.mean(late)),
        'agreement': agreement,
        'switches_per_frame': sum(one.switches for one in played) / len(latency_s),
        'energy_source': 'modelled',
    }
