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

"""Ways that answer the same stream in turns, so that all of them see the same machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from e4_ros.benchmarks.exits.streams import Stream
from e4_ros.benchmarks.exits.ways import Key, Said, Way

TURN = 5
"""Frames that a way answers before it is the next one's turn: a slow moment of the machine hits all
of them, and yet each has its memory in the processor's caches as it has on a robot."""


@dataclass
class Answered:
    """What a way said of a stream, and how long it took, frame by frame."""

    said: list[Said] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    @property
    def mean_s(self) -> float:
        """Mean latency."""
        return float(np.mean(self.seconds))

    def share(self, *exits: str) -> float:
        """Share of frames that these exits answered."""
        return float(np.mean([one.exit in exits for one in self.said]))


def in_turns(
    ways: Mapping[Key, Way],
    stream: Stream,
    progress: Callable[[int, int], None] = lambda done, total: None,
    turn: int = TURN,
) -> dict[Key, Answered]:
    """Answer a stream by each way.

    Args:
        ways: by name and setting; who goes first changes from turn to turn.
        stream: what is answered.
        progress: called with frames done and their number.
        turn: frames of a turn.
    """
    clip, found = stream.clip, {key: Answered() for key in ways}
    span_s = clip[-1][0] - clip[0][0]
    fps = (len(clip) - 1) / span_s if span_s > 0 else 10.0
    for way in ways.values():
        way.begin(clip[0][1], fps)
    order = list(ways.items())
    for start in range(0, len(clip), turn):
        for key, way in order:
            answered = found[key]
            for stamp_s, frame in clip[start : start + turn]:
                began = time.perf_counter()
                said = way.answer(frame, stamp_s)
                answered.seconds.append(time.perf_counter() - began)
                answered.said.append(said)
                way.after(frame)
        order.append(order.pop(0))
        progress(min(start + turn, len(clip)), len(clip))
    return found
