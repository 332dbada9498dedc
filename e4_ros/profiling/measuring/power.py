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

"""Watts while a segment runs: from a meter, or from a board's model where nothing measures them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol

from typing_extensions import override

from e4_ros.energy.board_model import BoardModel, SegmentWork
from e4_ros.energy.client.client import DvfsClient
from e4_ros.energy.meters.meters import EnergyReading

CELL_S = 0.1  # time to measure a cell: many refreshes of the slowest rail
_EDGE_S = 0.5  # the slowest counter moves at least so often
_SILENT_SHARE = 0.2  # share of a cell's time in which a rail may fail to answer

Run = Callable[[float], Sequence[float]]
"""Function that repeats a segment for some seconds and returns the seconds of each repeat."""


class MeasurementError(OSError):
    """A measurement is not valid; the message says why and what to do."""


class EnergyReader(Protocol):
    """A meter: `energy.meters.Meter`, or the daemon's by its status page."""

    def read(self) -> EnergyReading:
        """Sample now and return the joules so far."""
        ...


class PowerSource(Protocol):
    """A source of the watts of a cell.

    Attributes:
        name: name of the source, for people.
        source: whether its watts are measured or modelled.
    """

    name: str
    source: Literal['measured', 'modelled']

    def during(
        self, segment: int, point: Mapping[str, int], run: Run
    ) -> tuple[Sequence[float], float]:
        """Run a segment at a point for :data:`CELL_S`.

        Args:
            segment: index of the segment.
            point: domain → frequency in hertz, already set.
            run: function that repeats the segment.

        Returns:
            Seconds of each repeat, and the mean power meanwhile (watts, whole board).

        Raises:
            MeasurementError: no sensor answers.
        """
        ...


class MeteredPower(PowerSource):
    """A meter's joules from one refresh to another.

    Some counters move only every 20 to 100 ms (NVML). The segment runs on until the counter has
    moved, before and after, so that joules and seconds belong together.

    Args:
        meter: meter of the whole board, or of the part of it that has sensors.
        name: name of the meter, for people.
    """

    source: Literal['measured', 'modelled'] = 'measured'

    def __init__(self, meter: EnergyReader, name: str) -> None:
        self._meter, self.name = meter, name

    @override
    def during(
        self, segment: int, point: Mapping[str, int], run: Run
    ) -> tuple[Sequence[float], float]:
        before = self._edge(run)
        repeats = run(CELL_S)
        after = self._edge(run)
        seconds = after.time_s - before.time_s
        joules = after.energy_j - before.energy_j
        if after.missing_s - before.missing_s > _SILENT_SHARE * seconds or not joules > 0:
            raise MeasurementError(
                'the power rails stopped answering while measuring; look at `e4 doctor`'
            )
        return repeats, joules / seconds

    def _edge(self, run: Run) -> EnergyReading:
        first = self._meter.read()
        while True:
            now = self._meter.read()
            if now.energy_j != first.energy_j or now.time_s > first.time_s + _EDGE_S:
                return now
            run(0.0)


class ModelledPower(PowerSource):
    """A board model's power at the point, for machines whose joules nothing measures.

    Args:
        board_model: model of this board, or of a similar one; it may lack some of the point's
            domains.
        works: work of each segment.
    """

    source: Literal['measured', 'modelled'] = 'modelled'

    def __init__(self, board_model: BoardModel, works: Sequence[SegmentWork]) -> None:
        self.name = f'the power model of {board_model.board.name}'
        self._model, self._works = board_model, works

    @override
    def during(
        self, segment: int, point: Mapping[str, int], run: Run
    ) -> tuple[Sequence[float], float]:
        known = {name: hz for name, hz in point.items() if name in self._model.domains and hz > 0}
        cost = self._model.segment_cost(self._works[segment], known)
        return run(CELL_S), cost.energy_j / cost.latency_s


class PageMeter(EnergyReader):
    """The joules that a running daemon shows: RAPL is often readable by root alone.

    Args:
        client: client that holds the lease.
    """

    def __init__(self, client: DvfsClient) -> None:
        self._client = client

    @override
    def read(self) -> EnergyReading:
        # A daemon whose meter does not answer continues to show the same joules.
        now = self._client.applied()
        source: Literal['measured', 'modelled'] = (
            'measured' if now.source == 'measured' else 'modelled'
        )
        return EnergyReading(now.energy_j, 0.0, {}, {}, source, time_s=time.monotonic())
