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

"""The two depths that are compared, and how a virtual board runs them.

Nothing computes at the clocks of a file. On a virtual board the answers of the frames are computed
beforehand; during the comparison each segment takes as long as the board model says for the clocks
that are set, and loads the board's rails (`virtual_workload`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from e4_ros.evaluation.comparison.feed import Feed, RecordedFeed
from e4_ros.evaluation.comparison.timing import RealClock
from e4_ros.perception.setup import EngineOptions, Setup, set_up
from e4_ros.profiling.measuring.virtual_workload import VirtualWorkload
from e4_ros.vision.inference.audit import Audit
from e4_ros.vision.inference.compiled_network import Segment
from e4_ros.vision.inference.frame_result import FrameResult, OnSegment
from e4_ros.vision.inference.online_risk import OnlineRisk
from e4_ros.vision.inference.stream_engine import StreamEngine
from e4_ros.vision.model import VisionModel

_SETTLE_S = 15.0
_WARM_UPS = 3


@dataclass(frozen=True)
class Depths:
    """The network with its exits and, beside it, the full network with the same tracker.

    Attributes:
        early: With exits.
        full: Without, uncut, on the same device.
    """

    early: Setup
    full: Setup

    def of(self, exits: bool) -> Setup:
        """The one with or without exits."""
        return self.early if exits else self.full


def load(options: EngineOptions) -> Depths:
    """Load both.

    Raises:
        ValueError: it is a clip model, whose windows are no answers to single frames; or as
            `set_up`.
        OSError: a file cannot be read.
    """
    early = set_up(options)
    if early.manifest.task == 'clips':
        raise ValueError(
            f'{early.model} answers windows of frames; `e4 compare` is for single frames'
        )
    full = replace(options, exits=False, precision='fp32', device=early.engine.device)
    return Depths(early, set_up(full))


def settle(engine: StreamEngine, feed: Feed) -> None:
    """Let exits learn the stream's risk, as on a robot that has driven for a while.

    Args:
        engine: Answers the frames, at most for some seconds.
        feed: Gives them; a live camera at its own pace.
    """
    until_s = time.monotonic() + _SETTLE_S
    for row, (stamp_s, frame) in enumerate(_stamped(feed, until_s)):
        if not row:
            for _ in range(_WARM_UPS):
                engine.process_full(frame)
            engine.check_pay(frame)
        engine.audit(frame, engine.process(frame, stamp_s))
        if time.monotonic() > until_s:
            return


def rehearse(engine: StreamEngine, feed: RecordedFeed) -> list[FrameResult]:
    """The answers of all frames of a block, after the exits have settled."""
    return [engine.process(frame, stamp_s) for stamp_s, frame in _recorded(feed)]


class SimulatedEngine:
    """Answers that are known already, at the pace of a virtual board.

    Args:
        engine: Gave the answers.
        results: The answers to the frames of a block, in order.
        period_s: Seconds between two frames.
        workload: Spends the board's time and power.
    """

    def __init__(
        self,
        engine: StreamEngine,
        results: Sequence[FrameResult],
        period_s: float,
        workload: VirtualWorkload,
    ) -> None:
        self._engine, self._results = engine, results
        self.thresholds = engine.thresholds  # a controller may set others; answers are known
        self._period_s, self._workload = period_s, workload

    @property
    def model(self) -> VisionModel:
        """Preprocessing and decoding of the network."""
        return self._engine.model

    @property
    def risk(self) -> OnlineRisk | None:
        """What tracks cost and may cost."""
        return self._engine.risk

    @property
    def segments(self) -> Sequence[Segment]:
        """What each segment asks for."""
        return self._engine.segments

    @property
    def paths(self) -> Mapping[str, Sequence[int]]:
        """The segments on the way to every exit."""
        return self._engine.paths

    def process(
        self, frame: np.ndarray, stamp_s: float, on_segment: OnSegment | None = None
    ) -> FrameResult:
        """The answer that is known, when the board would have it."""
        known = self._results[round(stamp_s / self._period_s) % len(self._results)]
        took_s = []
        for segment in self.paths[known.exit]:
            if on_segment is not None:
                on_segment(segment)
            took_s.append(self._workload.once(segment))
        self._workload.rest()
        return replace(known, segment_s=took_s, latency_s=sum(took_s))

    def audit(
        self, frame: np.ndarray, result: FrameResult, on_segment: OnSegment | None = None
    ) -> Audit | None:
        """None: it would be of an answer that was given before."""
        return None


def _stamped(feed: Feed, until_s: float) -> Iterator[tuple[float, np.ndarray]]:
    if isinstance(feed, RecordedFeed):
        yield from _recorded(feed)
        return
    clock = RealClock()
    feed.begin(clock)
    while (arrived := feed.next(clock, until_s)) is not None:
        yield arrived.stamp_s, arrived.frame


def _recorded(feed: RecordedFeed) -> Iterator[tuple[float, np.ndarray]]:
    for index, frame in enumerate(feed.frames):
        yield index * feed.period_s, frame
