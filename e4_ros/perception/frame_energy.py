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

"""What frames and the waits between them cost by the board's model, worked out once a point.

A frame's joules are on its telemetry, so they are wanted before it is published; the model itself
takes longer than everything else that is said about a frame. But a plan has few operating points.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from e4_ros.energy.board_model import BoardModel, Cost, SegmentWork

OperatingPoint = Mapping[str, int]
T = TypeVar('T')

_MOST = 1024  # remembered; governors that wander through a long table begin anew


class FrameEnergy:
    """The model's answers for one network on one board, remembered.

    Args:
        model: model of the board.
        works: what each segment of the network asks of it.
    """

    def __init__(self, model: BoardModel, works: Sequence[SegmentWork]) -> None:
        self._model, self._works = model, works
        self._frames: dict[tuple[object, ...], Cost] = {}
        self._idle_w: dict[tuple[object, ...], float] = {}

    def frame(self, segments: Sequence[int], points: Sequence[OperatingPoint]) -> Cost:
        """Modelled seconds and joules of a frame.

        Args:
            segments: indices of the segments that ran.
            points: clocks that each of them had; domains that the board lacks do not count.
        """
        key = (*segments, *(tuple(point.items()) for point in points))
        cost = self._frames.get(key)
        if cost is None:
            cost = cost_at(self._model, [self._works[i] for i in segments], points)
            _keep(self._frames, key, cost)
        return cost

    def wait_j(self, point: OperatingPoint, wait_s: float) -> float:
        """Modelled joules of a wait, as `waiting_j` has them."""
        if wait_s <= 0:
            return 0.0
        long_enough = sum(wait_s >= length_s for length_s in self._model.wait_lengths_s)
        key = (long_enough, *point.items())
        idle_w = self._idle_w.get(key)
        if idle_w is None:
            idle_w = waiting_j(self._model, point, wait_s) / wait_s
            _keep(self._idle_w, key, idle_w)
        return idle_w * wait_s


def cost_at(
    model: BoardModel, works: Sequence[SegmentWork], points: Sequence[OperatingPoint]
) -> Cost:
    """Modelled cost of segments at the point each of them had; unknown domains are ignored."""
    costs = [
        model.segment_cost(work, _known(model, point))
        for work, point in zip(works, points, strict=True)
    ]
    return Cost(sum(c.latency_s for c in costs), sum(c.energy_j for c in costs))


def waiting_j(model: BoardModel, point: OperatingPoint, wait_s: float) -> float:
    """Modelled joules of a board that waits; domains that are not in ``point`` at the lowest."""
    if wait_s <= 0:
        return 0.0
    return model.idle_w(model.idle_point() | _known(model, point), wait_s) * wait_s


def default_cost(model: BoardModel, works: Sequence[SegmentWork], segments: Sequence[int]) -> Cost:
    """Cost of ``segments`` at the clocks that the stock system would run them at."""
    point = model.default_point()
    return cost_at(model, [works[i] for i in segments], [point] * len(segments))


def _known(model: BoardModel, point: OperatingPoint) -> dict[str, int]:
    return {name: hz for name, hz in point.items() if name in model.domains}


def _keep(memory: dict[tuple[object, ...], T], key: tuple[object, ...], what: T) -> None:
    if len(memory) >= _MOST:
        memory.clear()
    memory[key] = what
