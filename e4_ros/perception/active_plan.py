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

"""What live planning is about: a stream, a plan in force, and limits. No ROS in here."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from e4_ros.energy.board_model import BoardModel, SegmentWork
from e4_ros.energy.boards import BoardError, load_board
from e4_ros.energy.plan import FrequencyPlan, PlanError, PlanPath
from e4_ros.vision.inference.exit_thresholds import CLOSER, EDGE, FULL

Tables = Mapping[str, Sequence[int]]
"""Domain → the clocks it may have, ascending hertz."""


@dataclass(frozen=True)
class Stream:
    """What is planned for: a network's segments and the ways through them."""

    model: str
    works: Sequence[SegmentWork]
    paths: Mapping[str, Sequence[int]]

    def load(self, file: str, board: str = '', tables: Tables | None = None) -> FrequencyPlan:
        """Read a plan file and check that it fits the network and, where known, the board.

        A closer look goes the whole network's way, and what an edge server answers a part of it; a
        plan that does not know them clocks them so.

        Raises:
            PlanError: it does not.
            OSError: it cannot be read.
        """
        plan = FrequencyPlan.load(Path(file).expanduser())
        plan.check_model(self.model, [work.name for work in self.works])
        plan.check_devices([work.device for work in self.works])
        unknown = [n for n in (CLOSER, EDGE) if n in self.paths and n not in plan.paths]
        if unknown and FULL in plan.paths:
            more = dict.fromkeys(unknown, plan.paths[FULL])
            plan = plan.model_copy(update={'paths': {**more, **plan.paths}})
        if missing := sorted(set(self.paths) - set(plan.exits)):
            raise PlanError(f'plan {plan.name!r} has no path for exit {", ".join(missing)}')
        for name, path in self.paths.items():
            if plan.paths[name].segments != list(path):
                raise PlanError(
                    f'plan {plan.name!r} reaches exit {name!r} by segments '
                    f'{plan.paths[name].segments}, the model by {list(path)}; profile it again'
                )
        if board:
            plan.check_board(board)
            plan.check_domains(tables or {})
        return plan


@dataclass(frozen=True)
class ActivePlan:
    """A plan in force.

    Attributes:
        id: the same for the same plan, another for another.
        why: what it was made for.
        since_s: when it came into force, seconds since 1970.
    """

    plan: FrequencyPlan
    why: str
    since_s: float = field(default_factory=time.time)

    @cached_property  # asked on every frame
    def id(self) -> str:
        """Eight hex digits."""
        return hashlib.sha256(self.plan.model_dump_json().encode()).hexdigest()[:8]


def limits_of(tables: Tables) -> dict[str, tuple[int, int]]:
    """Domain → lowest and highest clock of a table; empty tables are left out."""
    return {name: (hz[0], hz[-1]) for name, hz in tables.items() if len(hz)}


def within(plan: FrequencyPlan, limits: Mapping[str, tuple[int, int]]) -> bool:
    """Whether all clocks of a plan lie within the limits."""
    points = [point for path in plan.paths.values() for point in path.points]
    return all(
        low <= hz <= high
        for point in points
        for name, hz in point.items()
        for low, high in [limits.get(name, (hz, hz))]
    )


def constant_plan(point: Mapping[str, int], board: str, stream: Stream) -> FrequencyPlan:
    """A plan with one operating point for everything.

    Args:
        point: domain → hertz.
        board: name of the board; where it is described, its model says what to expect, else the
            plan expects 0 seconds and 0 joules, as nobody knows.
        stream: what runs.
    """
    costs = [(0.0, 0.0)] * len(stream.works)
    with contextlib.suppress(BoardError):
        model = BoardModel(load_board(board))
        full = model.default_point() | {n: hz for n, hz in point.items() if n in model.domains}
        found = [model.segment_cost(work, full) for work in stream.works]
        costs = [(cost.latency_s, cost.energy_j) for cost in found]
    paths = {
        name: PlanPath(
            segments=list(path),
            points=[dict(point)] * len(path),
            expected_latency_s=sum(costs[i][0] for i in path),
            expected_energy_j=sum(costs[i][1] for i in path),
        )
        for name, path in stream.paths.items()
    }
    return FrequencyPlan(
        name=', '.join(f'{name} at {hz / 1e6:g} MHz' for name, hz in point.items()),
        board=board,
        model=stream.model,
        segments=[work.name for work in stream.works],
        devices=[work.device for work in stream.works],
        paths=paths,
        source='modelled',
    )


def deepest_points(plan: FrequencyPlan) -> dict[int, Mapping[str, int]]:
    """Segment → its operating point on the deepest path that runs it, which keeps the deadline."""
    return {
        segment: point
        for path in plan.paths.values()
        for segment, point in zip(path.segments, path.points, strict=True)
    }
