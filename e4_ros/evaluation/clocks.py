"""Who steps the clocks while a frame runs, and what the frame's joules are."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from e4_ros.energy.boards import Board, BoardError, load_board
from e4_ros.energy.client import ClientState, DvfsClient
from e4_ros.energy.model import BoardModel, SegmentWork
from e4_ros.energy.plan import FrequencyPlan
from e4_ros.evaluation.records import NO_SOURCE

OperatingPoint = Mapping[str, int]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Spent:
    """What a frame cost.

    Attributes:
        points: The clocks of each segment that ran; empty where nobody knows.
        energy_j: NaN where ``source`` is ``none``.
        source: ``measured``, ``modelled`` or ``none``.
    """

    points: Sequence[OperatingPoint]
    energy_j: float
    source: str


class Clocks(Protocol):
    """Steps the clocks along the segments of a frame. Its calls lie in the hot path."""

    def begin(self) -> None:
        """A frame begins."""
        ...

    def step(self, segment: int) -> None:
        """A segment is about to start; must not wait and must not raise."""
        ...

    def end(self, exit_name: str, segments: Sequence[int]) -> Spent:
        """A frame ended at ``exit_name`` after running ``segments``."""
        ...


class NoClocks:
    """A machine of whose clocks and joules nothing is known."""

    def begin(self) -> None:
        """Nothing to prepare."""

    def step(self, segment: int) -> None:
        """Nothing to step."""

    def end(self, exit_name: str, segments: Sequence[int]) -> Spent:
        """Nothing is known."""
        return Spent((), math.nan, NO_SOURCE)


class ModelledClocks:
    """A board that is not here: clocks as the plan says, joules as the board model says.

    Args:
        board: The board.
        works: What each segment of the engine asks of it.
        plan: The clocks of each segment; None: the stock system's default clocks throughout.
    """

    def __init__(
        self, board: Board, works: Sequence[SegmentWork], plan: FrequencyPlan | None = None
    ) -> None:
        if plan is not None:
            plan.check_board(board.name)
            plan.check_domains(
                {name: spec.frequencies_hz for name, spec in board.domains.items()},
                {name: spec.limits_hz for name, spec in board.domains.items()},
            )
        self._model = BoardModel(board)
        self._works = works
        self._plan = plan
        self._spent: dict[str, Spent] = {}

    def begin(self) -> None:
        """Nothing to prepare."""

    def step(self, segment: int) -> None:
        """Nothing to step: there is no such machine here."""

    def end(self, exit_name: str, segments: Sequence[int]) -> Spent:
        """The same for every frame of an exit, switches included as the planner counts them."""
        if exit_name not in self._spent:
            self._spent[exit_name] = self._cost(exit_name, segments)
        return self._spent[exit_name]

    def _cost(self, exit_name: str, segments: Sequence[int]) -> Spent:
        if self._plan is not None:
            path = self._plan.paths[exit_name]
            points = [self._model.default_point() | point for point in path.points]
            return Spent(points, path.expected_energy_j, 'modelled')
        point = self._model.default_point()
        return Spent([point] * len(segments), default_energy_j(self._model, self._works, segments),
                     'modelled')  # fmt: skip


class HelperClocks:
    """The DVFS helper's clocks: each segment is a step, joules are its meter's where it measures.

    Without a meter they are modelled at the clocks the segments really had, if the board has a
    description. When the helper is gone the frames go on without steps, and a warning says so once.

    Args:
        client: Holds the lease; `plan` is in force.
        works: What each segment of the engine asks of the board.
        plan: What is in force.
    """

    def __init__(
        self, client: DvfsClient, works: Sequence[SegmentWork], plan: FrequencyPlan
    ) -> None:
        self._client = client
        self._works = works
        self._model = _board_model(plan.board)
        self._use(plan)
        self._points: list[OperatingPoint] = []
        self._before_j = math.nan
        self._told = False

    def replace(self, plan: FrequencyPlan) -> None:
        """Put another plan in force; between two frames, never while one runs.

        Raises:
            HelperError, PlanError: the helper refuses it; the plan before stays.
        """
        self._client.set_plan(plan)
        self._use(plan)

    def begin(self) -> None:
        """Remember the meter."""
        self._points = []
        self._before_j = self._client.applied().energy_j

    def step(self, segment: int) -> None:
        """Tell the helper, and note the clocks that the segment before ended with."""
        if segment:
            self._points.append(self._client.applied().point)
        path = self._paths.get(segment)
        if path is not None:
            self._client.step(path, segment)

    def end(self, exit_name: str, segments: Sequence[int]) -> Spent:
        """Read the meter again; the next frame shall find the first segment's clocks."""
        now = self._client.applied()
        if len(segments) > 1 and 0 in self._paths:
            self._client.step(self._paths[0], 0)
        if self._client.state is not ClientState.HELD:
            if not self._told:
                _log.warning('%s: going on without clock steps', self._client.lost_because)
            self._told = True
            return Spent((), math.nan, NO_SOURCE)
        points = [*self._points, now.point]
        if now.source == 'measured':
            return Spent(points, now.energy_j - self._before_j, 'measured')
        if self._model is None:
            return Spent(points, math.nan, NO_SOURCE)
        works = [self._works[i] for i in segments]
        return Spent(points, energy_at(self._model, works, points), 'modelled')

    def _use(self, plan: FrequencyPlan) -> None:
        self._paths = _deepest_paths(plan)


def energy_at(
    model: BoardModel, works: Sequence[SegmentWork], points: Sequence[OperatingPoint]
) -> float:
    """Modelled joules of segments at the point each of them had; unknown domains are ignored."""
    return sum(
        model.segment_cost(work, {n: hz for n, hz in point.items() if n in model.domains}).energy_j
        for work, point in zip(works, points, strict=True)
    )


def default_energy_j(
    model: BoardModel, works: Sequence[SegmentWork], segments: Sequence[int]
) -> float:
    """Joules of ``segments`` at the clocks that the stock system would run them at."""
    point = model.default_point()
    return energy_at(model, [works[i] for i in segments], [point] * len(segments))


def _deepest_paths(plan: FrequencyPlan) -> dict[int, int]:
    """Segment → index of the deepest path that runs it, whose points keep the plan's deadline."""
    return {
        segment: index
        for index, path in enumerate(plan.paths.values())
        for segment in path.segments
    }


def _board_model(name: str) -> BoardModel | None:
    try:
        return BoardModel(load_board(name))
    except BoardError:
        return None
