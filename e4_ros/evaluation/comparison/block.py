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

"""One block: an arm answers frames at the camera's pace while a meter counts joules."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from e4_ros.energy.meters.meters import EnergyReading
from e4_ros.evaluation.comparison.feed import Arrived, Feed
from e4_ros.evaluation.comparison.timing import Clock
from e4_ros.vision.detections import Detections

_SILENT_SHARE = 0.1  # of a block, for which a rail may not answer


class BlockError(OSError):
    """A block that does not count; the message says why. It is repeated."""


class EnergyReader(Protocol):
    """A meter."""

    def read(self) -> EnergyReading:
        """The joules so far."""
        ...


@dataclass(frozen=True)
class Answered:
    """What an arm made of a frame.

    Attributes:
        exit: The exit that answered.
        detections: The answer.
    """

    exit: str
    detections: Detections


Answer = Callable[[Arrived], Answered]
"""An arm: answers a frame, which takes its time. Raises `BlockError` where it lost its clocks."""


@dataclass(frozen=True)
class Block:
    """What one block gave; only what came after its warm-up counts.

    Attributes:
        arm: Name of the arm.
        round: Number of the round, from 0.
        began_s: When it began, by the clock.
        seconds: Seconds that count.
        energy_j: Joules in that time; NaN without a meter.
        received: Frames that the camera gave in that time.
        late: Frames that were answered too late.
        missed: Frames that were never looked at, because a newer one was there.
        exits: Exit → frames that it answered.
        latency_s: Mean seconds from a frame's arrival to its answer.
        before_c, after_c: Thermal zone → degrees Celsius.
        exact_w: The watts that a virtual board's model really had; NaN elsewhere.
        notes: What happened, in sentences.
        answers: Index of the frame → the answer; not written to files.
    """

    arm: str
    round: int
    began_s: float
    seconds: float
    energy_j: float
    received: int
    late: int
    missed: int
    exits: Mapping[str, int]
    latency_s: float
    before_c: Mapping[str, float] = field(default_factory=dict)
    after_c: Mapping[str, float] = field(default_factory=dict)
    exact_w: float = math.nan
    notes: tuple[str, ...] = ()
    answers: Mapping[int, Detections] = field(default_factory=dict, repr=False)

    @property
    def power_w(self) -> float:
        """Mean watts."""
        return self.energy_j / self.seconds

    @property
    def late_share(self) -> float:
        """Share of the camera's frames that had no answer in time."""
        return (self.late + self.missed) / self.received if self.received else math.nan


@dataclass(frozen=True)
class Timing:
    """The lengths that all blocks share.

    Attributes:
        warm_up_s: Seconds that do not count.
        counted_s: Seconds that do.
        deadline_s: Seconds from a frame's arrival within which its answer is in time.
    """

    warm_up_s: float
    counted_s: float
    deadline_s: float


def play(
    name: str,
    number: int,
    feed: Feed,
    answer: Answer,
    meter: EnergyReader,
    clock: Clock,
    timing: Timing,
    exact_j: Callable[[], float] = lambda: math.nan,
    sample: Callable[[float], None] = lambda watts: None,
) -> Block:
    """Run a block.

    Args:
        name: Name of the arm.
        number: Number of the round.
        feed: Gives the frames.
        answer: The arm.
        meter: Counts the joules.
        clock: The time.
        timing: The lengths.
        exact_j: Reads the exact joules of a virtual board.
        sample: Receives what the meter shows, during the warm-up.

    Raises:
        BlockError: the meter did not answer, or the arm lost its clocks.
        FeedError: the camera gives no frames.
    """
    feed.begin(clock)
    began_s = clock.now()
    counts_s = began_s + timing.warm_up_s
    while (arrived := feed.next(clock, counts_s)) is not None:
        answer(arrived)
        sample(meter.read().power_w)
    before, exact, exact_s = meter.read(), exact_j(), clock.now()
    end_s = counts_s + timing.counted_s
    received = late = missed = 0
    first = latest = -1
    exits: Counter[str] = Counter()
    answers: dict[int, Detections] = {}
    delays_s = 0.0
    while (arrived := feed.next(clock, end_s)) is not None:
        if first < 0:
            first = latest = arrived.index
        missed += max(arrived.index - latest - 1, 0)
        latest = arrived.index
        answered = answer(arrived)
        delay_s = clock.now() - arrived.due_s
        delays_s += delay_s
        late += delay_s > timing.deadline_s
        exits[answered.exit] += 1
        answers[arrived.index] = answered.detections
    after = meter.read()
    exact_w = (exact_j() - exact) / (clock.now() - exact_s)
    if not answers:
        raise BlockError('not one frame was answered while the block counted')
    received = latest - first + 1
    seconds = after.time_s - before.time_s
    if after.missing_s - before.missing_s > _SILENT_SHARE * seconds:
        raise BlockError('the power rails stopped answering')
    return Block(
        name, number, began_s, seconds, after.energy_j - before.energy_j, received, late, missed,
        dict(exits), delays_s / len(answers), exact_w=exact_w, answers=answers,
    )  # fmt: skip
