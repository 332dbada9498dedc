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

"""Policies of offloading on the same worlds: what each costs, how good, how late it answers.

`e4 bench offload-policies` (`benchmarks.offloading`) does the same for a link of one's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from e4_ros import console
from e4_ros.benchmarks.siblings.regret import Run, Timed, regret_rows
from e4_ros.benchmarks.siblings.regret import show as show_rows
from e4_ros.evaluation.simulation.edge_play import Answer, bound, late_percent, mean_cost, play
from e4_ros.evaluation.simulation.edge_policies import baselines
from e4_ros.evaluation.simulation.edge_traces import Weather
from e4_ros.evaluation.simulation.edge_world import Conditions, Scenario
from e4_ros.offload.request import EDGE
from e4_ros.perception.controller import Controller
from e4_ros.perception.controllers import make_controller
from e4_ros.perception.controllers.dvfo.costs import Price
from e4_ros.perception.controllers.dvfo.learned import shipped

AGAINST = 'dvfo:exact'
BOUND = 'bound: knows all that will come'
_OWN = ('dvfo:exact', 'dvfo:greedy', 'dvfo:learned')
_SEEDS, _FRAMES = 6, 1000
_QUICK_SEEDS, _QUICK_FRAMES = 2, 150

SCENARIOS: dict[str, Scenario] = {
    'wifi': Scenario(),
    'narrow': Scenario(weather=Weather((8.0, 4.0, 2.0, 1.0, 0.5, 0.0))),
    'gpu': Scenario('jetson_orin_nano', 'cuda', 1.0, price=Price(deadline_s=0.1), period_s=0.1),
}
"""Worlds: a TX2 of which perception has a quarter of the CPU, on a link of 2 to 40 Mbit/s and on
one of 0.5 to 8 (the paper's range); and an Orin Nano whose GPU has nothing else to do, on the first
link. All have outages, and a server that others use."""


def measure(quick: bool) -> list[dict[str, Any]]:
    """Play every policy on every kind of world.

    Returns:
        Rows of `regret_rows`, with ``world``, ``f1``, ``late_percent`` and ``edge_percent``.
    """
    seeds = range(1, 1 + (_QUICK_SEEDS if quick else _SEEDS))
    frames = _QUICK_FRAMES if quick else _FRAMES
    rows: list[dict[str, Any]] = []
    with console.Phases() as phases:
        for name, scenario in SCENARIOS.items():

            def told(done: int, of: int, name: str = name) -> None:
                phases(f'policies on {name}', done, of)

            rows += [{'world': name, **row} for row in compare(scenario, seeds, frames, told)]
    return rows


def compare(
    scenario: Scenario,
    seeds: Sequence[int],
    frames: int,
    told: Callable[[int, int], None] = lambda done, of: None,
) -> list[dict[str, Any]]:
    """Rows of one kind of world.

    Args:
        scenario: the kind.
        seeds: one world each.
        frames: frames of each world.
        told: is told how many policies were played on how many worlds, of how many.
    """
    makers = _makers(scenario)
    runs: dict[str, list[Run]] = {name: [] for name in [BOUND, *makers]}
    total, done = len(seeds) * len(makers), 0
    for seed in seeds:
        world = Conditions.of(scenario, seed, frames)
        runs[BOUND].append(Run(float(bound(world).mean())))
        for name, make in makers.items():
            told(done, total)
            timed = Timed(make())
            answers = play(world, timed)
            runs[name].append(_run(answers, scenario, timed, name))
            done += 1
    told(total, total)
    return regret_rows(runs, AGAINST)


def show(found: Sequence[Mapping[str, Any]]) -> None:
    """Print a table for each kind of world."""
    for name in dict.fromkeys(row['world'] for row in found):
        rows = [
            {key: value for key, value in row.items() if key != 'world'}
            for row in found
            if row['world'] == name
        ]
        show_rows(rows, f'offloading: {name}')


def _makers(scenario: Scenario) -> dict[str, Callable[[], Controller]]:
    """The robot's own policies, and what they are compared with."""
    own = [n for n in _OWN if n != 'dvfo:learned' or shipped(scenario.board) is not None]

    def maker(name: str) -> Callable[[], Controller]:
        return lambda: make_controller(name, scenario.context())

    return {**{name: maker(name) for name in own}, **baselines(scenario)}


def _run(answers: Sequence[Answer], scenario: Scenario, timed: Timed, name: str) -> Run:
    net = shipped(scenario.board) if name == 'dvfo:learned' else None
    return Run(
        mean_cost(answers),
        timed.decision_us,
        net.frames if net is not None else 0,
        {
            'f1': float(np.mean([answer.f1 for answer in answers])),
            'late_percent': late_percent(answers, scenario.price),
            'edge_percent': 100 * float(np.mean([answer.place == EDGE for answer in answers])),
        },
    )
