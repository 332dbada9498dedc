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

"""Ways to answer a stream, all behind one call, and those of perception itself."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple, Protocol

import numpy as np
from typing_extensions import override

from e4_ros.perception.setup import EngineOptions, set_up
from e4_ros.vision.detections import Detections
from e4_ros.vision.inference.exit_thresholds import DEFAULT_RISK
from e4_ros.vision.inference.stream_engine import StreamEngine

MIN_SCORE = 0.3
"""Score from which a detection is published, by whatever way, and so judged."""

ASKED = (0.05, 0.1, 0.2)
"""Risks that are asked for, to see whether the loss stays below."""

RISKS = tuple(sorted({*ASKED, DEFAULT_RISK}))
PASSES = (0.33, 0.5, 1.0)  # of the network a frame, that closer looks fill up to
BETWEEN = 'between'
"""Exit of a frame on which a network that is asked every k-th time was not."""


class Key(NamedTuple):
    """A way, and its setting."""

    way: str
    setting: float = 0.0


FULL_TRACKED, BARE_FULL = Key('full_tracked'), Key('full')


class Said(NamedTuple):
    """One answer, and the exit that gave it."""

    detections: Detections
    exit: str


class Way(Protocol):
    """Answers the frames of one stream."""

    def begin(self, frame: np.ndarray, fps: float) -> None:
        """A new stream begins.

        Args:
            frame: its first, ``(H, W, 3)`` uint8 RGB.
            fps: frames a second.
        """
        ...

    def answer(self, frame: np.ndarray, stamp_s: float) -> Said:
        """Answer the next frame."""
        ...

    def after(self, frame: np.ndarray) -> None:
        """What is done once the answer is out, and is in no latency."""
        ...


class Engine(Way):
    """An engine as perception runs it, with audits and a look at what pays.

    Args:
        options: of the engine; made anew for each stream, so nothing is known of the last one.
    """

    def __init__(self, options: EngineOptions) -> None:
        self._options = options

    @override
    def begin(self, frame: np.ndarray, fps: float) -> None:
        self.engine: StreamEngine = set_up(self._options).engine
        self.engine.process_full(frame)
        self.engine.check_pay(frame)
        self.engine.reset()

    @override
    def answer(self, frame: np.ndarray, stamp_s: float) -> Said:
        self._last = self.engine.process(frame, stamp_s)
        return Said(self._last.detections, self._last.exit)

    @override
    def after(self, frame: np.ndarray) -> None:
        self.engine.audit(frame, self._last)


def ladders(model: str, threads: int, risks: tuple[float, ...] = RISKS) -> dict[Key, Way]:
    """The full network with the tracker, and the ladder at several risks."""
    options = EngineOptions(model, threads=threads, min_score=MIN_SCORE)
    ways: dict[Key, Way] = {FULL_TRACKED: Engine(replace(options, exits=False))}
    return ways | {Key('ladder', risk): Engine(replace(options, risk=risk)) for risk in risks}


def closers(model: str, threads: int) -> dict[Key, Way]:
    """The ladder with closer looks, at several budgets."""
    options = EngineOptions(model, threads=threads, min_score=MIN_SCORE)
    return {Key('closer', passes): Engine(replace(options, passes=passes)) for passes in PASSES}
