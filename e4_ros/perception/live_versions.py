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

"""Versions that are loaded, of which one answers; another one takes over between two frames."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np

from e4_ros.energy.board_model import SegmentWork, works_of
from e4_ros.perception.active_plan import Stream
from e4_ros.perception.controller import ControllerError
from e4_ros.perception.perceiver import Perceiver
from e4_ros.vision.inference.exit_thresholds import FULL
from e4_ros.vision.inference.stream_engine import StreamEngine

_ROUNDS = 5
_MACS_A_CYCLE = 8.0  # of a core, roughly; only to tell cheap exits from dear ones before they ran


class LiveVersions:
    """The versions of one node.

    Args:
        perceivers: version → what answers each camera's frames; the first version answers first.
        turn: held from a frame's arrival until all that comes of it is done.
        answers: called with the name of a version that answers from now on, between two frames.

    Attributes:
        answering: name of the version that answers.
        switches: how often that changed.
        switch_s: seconds that the last change took, in which no frame could be answered.
    """

    def __init__(
        self,
        perceivers: Mapping[str, Sequence[Perceiver]],
        turn: AbstractContextManager[object] | None = None,
        answers: Callable[[str], None] = lambda name: None,
    ) -> None:
        self._perceivers, self._answers = perceivers, answers
        self._turn = nullcontext() if turn is None else turn
        self.answering = next(iter(perceivers))
        self.switches, self.switch_s = 0, 0.0

    @property
    def names(self) -> list[str]:
        """Names of the versions."""
        return list(self._perceivers)

    def engines(self, name: str) -> list[StreamEngine]:
        """What runs a version, one for each camera.

        Raises:
            ControllerError: there is no such version.
        """
        if name not in self._perceivers:
            raise ControllerError(
                f'there is no version {name!r}; loaded are {", ".join(self._perceivers)}'
            )
        return [perceiver.engine for perceiver in self._perceivers[name]]

    def stream(self, name: str) -> Stream:
        """Segments of a version, and the ways through them."""
        return stream_of(self.engines(name)[0])

    def switch(self, name: str, clocks: Callable[[], None] = lambda: None) -> None:
        """Let another version answer from the next frame on; tracks go on with their ids.

        Args:
            name: of the version.
            clocks: puts the clocks of the version in force; where it raises nothing has changed.

        Raises:
            ControllerError: there is no such version.
            ValueError, OSError: of ``clocks``.
        """
        self.engines(name)
        with self._turn:
            began_s = time.perf_counter()
            clocks()
            pairs = zip(self._perceivers[name], self._perceivers[self.answering], strict=True)
            for new, old in pairs:
                new.adopt(old)
            self.answering = name
            self._answers(name)
            self.switches, self.switch_s = self.switches + 1, time.perf_counter() - began_s


def stream_of(engine: StreamEngine) -> Stream:
    """What an engine runs, for whoever sets clocks."""
    return Stream(engine.model.name, works_of(engine.segments), dict(engine.paths))


def measure_versions(
    engines: Mapping[str, StreamEngine], frame: np.ndarray, rounds: int = _ROUNDS
) -> dict[str, tuple[dict[str, float], float]]:
    """What each version takes on this machine.

    The whole network is measured, twice in a row after another version ran: the difference of the
    first and the second time is what a change costs. Cheaper exits are estimated from what their
    segments ask for; what frames really take corrects that.

    Args:
        engines: version → what runs it.
        frame: ``(H, W, 3)`` uint8 RGB, like those to come.
        rounds: how often each is measured.

    Returns:
        Version → seconds of each exit, and seconds that the first frame after a change takes more.
    """
    first: dict[str, list[float]] = {name: [] for name in engines}
    second: dict[str, list[float]] = {name: [] for name in engines}
    for _ in range(rounds):
        for name, engine in engines.items():
            for times in (first, second):
                began_s = time.perf_counter()
                engine.process_full(frame)
                times[name].append(time.perf_counter() - began_s)
    found = {}
    for name, engine in engines.items():
        full_s = statistics.median(second[name])
        extra_s = max(statistics.median(first[name]) - full_s, 0.0) if len(engines) > 1 else 0.0
        works = works_of(engine.segments)
        paths = engine.paths
        whole = _cycles(works, paths[FULL])
        exits = {exit_: full_s * _cycles(works, path) / whole for exit_, path in paths.items()}
        found[name] = exits, extra_s
    return found


def _cycles(works: Sequence[SegmentWork], path: Sequence[int]) -> float:
    return sum(works[i].macs / _MACS_A_CYCLE + works[i].host_cycles for i in path) or 1.0
