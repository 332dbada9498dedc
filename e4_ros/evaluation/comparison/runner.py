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

"""The rounds of a comparison: blocks in turn, bad ones again, and what was finished is kept."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Protocol

from e4_ros.evaluation.comparison.arms import Arm
from e4_ros.evaluation.comparison.block import (
    Answer,
    Answered,
    Block,
    BlockError,
    EnergyReader,
    Timing,
    play,
)
from e4_ros.evaluation.comparison.feed import Arrived, Feed
from e4_ros.evaluation.comparison.schedule import Schedule, places
from e4_ros.evaluation.comparison.timing import Clock

_TRIES = 3
_COOL_S = 60.0  # at most, before a block that was hot is tried again
_LOOK_S = 1.0

OnProgress = Callable[[float, str], None]
"""Called with the seconds that are done, and a few words."""


def silent(seconds: float, words: str) -> None:
    """Show no progress."""


class Machine(Protocol):
    """What a comparison runs on."""

    @property
    def clock(self) -> Clock:
        """Its time."""
        ...

    @property
    def meter(self) -> EnergyReader:
        """Its joules; NaN where nothing tells them."""
        ...

    def arm(self, arm: Arm) -> AbstractContextManager[Answer]:
        """Make the machine answer as the arm does, within the ``with`` block.

        Raises:
            BlockError: the clocks cannot be had.
        """
        ...

    def temperatures_c(self) -> Mapping[str, float]:
        """Thermal zone → degrees Celsius."""
        ...

    def hot(self) -> str:
        """Which zone is at the point where the board slows down by itself; empty: none."""
        ...

    def exact_j(self) -> float:
        """The joules that a virtual board's model really had; NaN elsewhere."""
        ...


@dataclass
class Measured:
    """What the blocks gave, as far as they came.

    Attributes:
        arms: The arms; the first is what the others are compared with.
        rounds: Finished rounds: the blocks by name of their arm.
        idle_w: Watts of the waiting board; NaN without a meter.
        shown_w: What the meter showed during warm-ups, in watts.
        repeated: What was repeated, and why, in sentences.
        ended: Why it ended early; empty if it did not.
    """

    arms: Sequence[Arm]
    rounds: list[dict[str, Block]] = field(default_factory=list)
    idle_w: float = math.nan
    shown_w: list[float] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    ended: str = ''

    @property
    def blocks(self) -> list[Block]:
        """All that count, in the order in which they ran."""
        found = [block for blocks in self.rounds for block in blocks.values()]
        return sorted(found, key=lambda block: block.began_s)


def measure(
    machine: Machine,
    feed: Feed,
    arms: Sequence[Arm],
    plan: Schedule,
    deadline_s: float,
    on_progress: OnProgress = silent,
) -> Measured:
    """Run the blocks. Ctrl-C ends it early and keeps the rounds that were finished.

    Arms with planned clocks run a block first that does not count: a plan follows the stream, and
    learns the camera's pace and the exits from it.

    Args:
        machine: What it runs on.
        feed: Gives the frames.
        arms: The arms; the first is what the others are compared with.
        plan: Which runs when.
        deadline_s: Seconds within which an answer is in time.
        on_progress: Receives the progress.

    Raises:
        BlockError: a block failed again and again before a round was finished.
        FeedError: the camera gives no frames.
        KeyboardInterrupt: before a round was finished.
    """
    found = Measured(arms)
    timing = Timing(plan.warm_up_s, plan.counted_s, deadline_s)
    done_s, unfinished = 0.0, {}
    try:
        for arm in (arm for arm in arms if arm.clocks):
            on_progress(0.0, f'practice of {arm.name}, not counted')
            _block(machine, feed, arm, -1, timing, found, lambda seconds: None)
        on_progress(0.0, 'the waiting board')
        found.idle_w = _idle_w(machine, plan.idle_s, found.shown_w)
        done_s = plan.idle_s
        for number, index in places(plan.orders):
            arm = arms[index]
            words = f'round {number + 1} of {len(plan.orders)}: {arm.name}'
            on_progress(done_s, words)

            def tell(seconds: float, words: str = words, done_s: float = done_s) -> None:
                on_progress(done_s + min(seconds, plan.block_s), words)

            unfinished[arm.name] = _block(machine, feed, arm, number, timing, found, tell)
            done_s += plan.block_s
            if len(unfinished) == len(arms):
                found.rounds.append(unfinished)
                unfinished = {}
    except KeyboardInterrupt:
        found.ended = 'interrupted'
        if not found.rounds:
            raise
    except BlockError as error:
        found.ended = str(error)
        if not found.rounds:
            raise
    on_progress(plan.total_s, found.ended or 'done')
    return found


def _idle_w(machine: Machine, seconds: float, shown_w: list[float]) -> float:
    """Watts of the board while nothing of ours runs."""
    before = machine.meter.read()
    until_s = machine.clock.now() + seconds
    while (now_s := machine.clock.now()) < until_s:
        machine.clock.sleep_until(min(now_s + _LOOK_S / 2, until_s))
        shown_w.append(machine.meter.read().power_w)
    after = machine.meter.read()
    if after.time_s <= before.time_s:
        return math.nan
    return (after.energy_j - before.energy_j) / (after.time_s - before.time_s)


def _block(
    machine: Machine, feed: Feed, arm: Arm, number: int, timing: Timing, found: Measured,
    tell: Callable[[float], None],
) -> Block:  # fmt: skip
    """One block that counts; ``tell`` receives the seconds that it has run."""
    notes: list[str] = []
    for attempt in range(_TRIES):
        before_c = machine.temperatures_c()
        began_s = machine.clock.now()
        try:
            with machine.arm(arm) as answer:

                def told(
                    arrived: Arrived, answer: Answer = answer, began_s: float = began_s
                ) -> Answered:
                    tell(machine.clock.now() - began_s)
                    return answer(arrived)

                block = play(
                    arm.name, number, feed, told, machine.meter, machine.clock, timing,
                    machine.exact_j, found.shown_w.append,
                )  # fmt: skip
        except BlockError as error:
            why = str(error)
            if attempt == _TRIES - 1:
                raise BlockError(f'a block of {arm.name!r} failed {_TRIES} times: {why}') from error
        else:
            why = machine.hot()
            if not why or attempt:
                notes += [f'hot: {why}'] if why else []
                after_c = machine.temperatures_c()
                return replace(block, before_c=before_c, after_c=after_c, notes=tuple(notes))
        found.repeated.append(f'{_round(number)}, {arm.name}: {why}')
        notes.append(f'repeated: {why}')
        _cool(machine)
    raise AssertionError('the last try returns or raises')


def _round(number: int) -> str:
    return f'round {number + 1}' if number >= 0 else 'practice'


def _cool(machine: Machine) -> None:
    """Wait until the board is no longer hot, for a while."""
    until_s = machine.clock.now() + _COOL_S
    while machine.hot() and machine.clock.now() < until_s:
        machine.clock.sleep_until(machine.clock.now() + _LOOK_S)
