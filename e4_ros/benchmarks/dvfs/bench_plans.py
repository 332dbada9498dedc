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

"""Plans that nobody profiled, for driving the daemon hard."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from e4_ros.energy.plan import FrequencyPlan, PlanPath

Tables = Mapping[str, Sequence[int]]


def random_plan(rng: random.Random, board: str, tables: Tables) -> FrequencyPlan:
    """A plan over some of the domains, with random paths and random points."""
    domains = rng.sample(sorted(tables), rng.randint(1, len(tables)))
    segments = rng.randint(1, 12)

    def path() -> PlanPath:
        chosen = sorted(rng.sample(range(segments), rng.randint(1, segments)))
        points = [{name: rng.choice(tables[name]) for name in domains} for _ in chosen]
        return _path(chosen, points)

    paths = {f'exit{i}': path() for i in range(rng.randint(1, 4))}
    return _plan('random', board, segments, paths)


def alternating_plan(board: str, tables: Tables) -> FrequencyPlan:
    """Two segments whose points differ in every domain, so that each step writes all of them."""
    points = [{name: table[i % len(table)] for name, table in tables.items()} for i in (0, -1)]
    return _plan('alternating', board, 2, {'full': _path([0, 1], points)})


def _path(segments: list[int], points: list[dict[str, int]]) -> PlanPath:
    return PlanPath(segments=segments, points=points, expected_latency_s=0.0, expected_energy_j=0.0)


def _plan(name: str, board: str, segments: int, paths: dict[str, PlanPath]) -> FrequencyPlan:
    return FrequencyPlan(
        name=name,
        board=board,
        model='none',
        segments=[f's{i}' for i in range(segments)],
        devices=['cpu'] * segments,
        paths=paths,
        source='modelled',
    )
