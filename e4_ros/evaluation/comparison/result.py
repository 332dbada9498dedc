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

"""What a comparison found, in figures with intervals."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from e4_ros.evaluation.comparison.arms import Arm
from e4_ros.evaluation.comparison.battery import Runtime
from e4_ros.evaluation.comparison.block import Block
from e4_ros.evaluation.comparison.intervals import (
    Interval,
    meter_step,
    of_rounds,
    of_share,
    saved_amount,
    saved_share,
)
from e4_ros.evaluation.comparison.likeness import likeness
from e4_ros.evaluation.comparison.runner import Measured
from e4_ros.evaluation.comparison.schedule import Schedule


@dataclass(frozen=True)
class ArmResult:
    """What one arm did; energies are None where nothing tells them.

    Attributes:
        arm: The arm.
        energy_j: Joules for each frame that the camera gave.
        power_w: Watts.
        late: Share of the camera's frames without an answer in time.
        agreement: How alike the answers are to the stock arm's on the same frames; None for that
            arm itself, and where blocks had different frames or nothing was to be found.
        saved: Share of the stock arm's energy that it saves, paired by round.
        saved_w: Watts that it saves, paired by round.
        exact: The share that it saves by the exact joules of a virtual board; None elsewhere.
        latency_s: Mean seconds from a frame's arrival to its answer.
        exits: Exit → share of the answers.
    """

    arm: Arm
    energy_j: Interval | None
    power_w: Interval | None
    late: Interval
    agreement: Interval | None
    saved: Interval | None
    saved_w: Interval | None
    exact: float | None
    latency_s: float
    exits: Mapping[str, float]


@dataclass(frozen=True)
class Facts:
    """What is to be known of the machine and the run.

    Attributes:
        board: Name of the board.
        machine: Processor and number of CPUs.
        model: Name of the network.
        device: Device that ran it.
        source: Name of the source.
        same_frames: Whether all blocks had the same frames.
        period_s: Seconds between two of the camera's frames.
        deadline_s: Seconds within which an answer is in time.
        meter: Name of the meter; empty without.
        measured: Whether joules are measured.
        rails: Rail → watts, as seen before the first block.
        power_mode: The power mode that the board is in; empty where it has none.
        no_clocks: Why no arm has clocks; empty where two have.
        plans: Arm → the clocks that its plan asked for last, for people.
        virtual: Whether the board is a simulated one.
        notes: What else is to be said, in sentences.
    """

    board: str
    machine: str
    model: str
    device: str
    source: str
    same_frames: bool
    period_s: float
    deadline_s: float
    meter: str
    measured: bool
    rails: Mapping[str, float] = field(default_factory=dict)
    power_mode: str = ''
    no_clocks: str = ''
    plans: Mapping[str, str] = field(default_factory=dict)
    virtual: bool = False
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Result:
    """The whole comparison.

    Attributes:
        facts: The machine and the run.
        plan: Lengths and orders of the blocks.
        measured: The blocks.
        arms: The arms' figures, stock first.
        idle_w: Watts of the waiting board before the first block; None where nothing tells them.
        step_w: Step of the meter in watts, as seen; 0 for one that counts joules.
        runtime: What the saving means to a battery; None without one, or without a saving.
    """

    facts: Facts
    plan: Schedule
    measured: Measured
    arms: Sequence[ArmResult]
    idle_w: float | None
    step_w: float
    runtime: Runtime | None = None

    @property
    def stock(self) -> ArmResult:
        """What the others are compared with."""
        return self.arms[0]

    @property
    def best(self) -> ArmResult:
        """The arm that an owner would run: exits, and clocks where they can be set."""
        return self.arms[-1]

    @property
    def rounds(self) -> int:
        """Finished rounds."""
        return len(self.measured.rounds)

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain values."""
        return _plain(self)


def evaluate(
    measured: Measured, plan: Schedule, facts: Facts, task: str, min_score: float
) -> Result:
    """Make figures of the blocks.

    Args:
        measured: The blocks.
        plan: Lengths and orders of the blocks.
        facts: The machine and the run.
        task: Task of the network, ``detect`` or ``classify``.
        min_score: Least score of a box that counts for agreement.
    """
    steps = facts.measured and facts.meter == 'ina'
    step_w = meter_step(measured.shown_w) if steps else 0.0
    stock = [blocks[measured.arms[0].name] for blocks in measured.rounds]
    arms = [
        _arm(
            arm, [blocks[arm.name] for blocks in measured.rounds], stock, facts, step_w,
            task, min_score,
        )
        for arm in measured.arms
    ]  # fmt: skip
    idle_w = measured.idle_w if facts.meter and math.isfinite(measured.idle_w) else None
    return Result(facts, plan, measured, arms, idle_w, step_w)


def _arm(
    arm: Arm, blocks: Sequence[Block], stock: Sequence[Block], facts: Facts, step_w: float,
    task: str, min_score: float,
) -> ArmResult:  # fmt: skip
    watts, stock_w = [b.power_w for b in blocks], [b.power_w for b in stock]
    other = blocks is not stock and arm.name != stock[0].arm
    energy = power = saved = saved_w = None
    if facts.meter and all(w > 0 for w in (*watts, *stock_w)):
        power = of_rounds(watts, step_w / math.sqrt(12))
        energy = power.scaled(facts.period_s)
        if other:
            saved = saved_share(stock_w, watts, step_w)
            saved_w = saved_amount(stock_w, watts, step_w)
    exits: Counter[str] = Counter()
    for block in blocks:
        exits.update(block.exits)
    frames = sum(block.received for block in blocks)
    return ArmResult(
        arm=arm,
        energy_j=energy,
        power_w=power,
        late=of_share([b.late_share for b in blocks], frames),
        agreement=likeness(blocks, stock, task, min_score) if other and facts.same_frames else None,
        saved=saved,
        saved_w=saved_w,
        exact=_exact(blocks, stock) if other else None,
        latency_s=float(np.mean([b.latency_s for b in blocks])),
        exits={name: count / exits.total() for name, count in exits.most_common()},
    )


def _exact(blocks: Sequence[Block], stock: Sequence[Block]) -> float | None:
    """Mean saving over the rounds by a virtual board's exact joules, as the measured one is."""
    ratios = [ours.exact_w / theirs.exact_w for ours, theirs in zip(blocks, stock, strict=True)]
    return 1 - math.exp(float(np.mean(np.log(ratios)))) if np.isfinite(ratios).all() else None


def _plain(result: Result) -> dict[str, Any]:
    facts, plan = result.facts, result.plan
    best = result.best
    claim = best.saved if facts.measured else None
    return {
        'source': 'measured' if facts.measured else ('modelled' if facts.meter else 'none'),
        'saving': None if claim is None else _interval(claim),
        'board': facts.board,
        'machine': facts.machine,
        'virtual': facts.virtual,
        'power_mode': facts.power_mode,
        'model': facts.model,
        'device': facts.device,
        'footage': facts.source,
        'same_frames': facts.same_frames,
        'fps': 1 / facts.period_s,
        'deadline_s': facts.deadline_s,
        'meter': {'name': facts.meter, 'step_w': result.step_w, 'rails_w': dict(facts.rails)},
        'idle_w': result.idle_w,
        'no_clocks': facts.no_clocks,
        'clocks': dict(facts.plans),
        'rounds': result.rounds,
        'ended': result.measured.ended,
        'repeated': result.measured.repeated,
        'block_s': plan.block_s,
        'warm_up_s': plan.warm_up_s,
        'arms': [_arm_plain(arm) for arm in result.arms],
        'battery': None if result.runtime is None else _runtime_plain(result.runtime),
        'blocks': [_block_plain(block) for block in result.measured.blocks],
        'notes': list(facts.notes),
    }


def _interval(found: Interval | None) -> dict[str, float | None] | None:
    if found is None:
        return None
    return {'value': found.value, 'low': found.low, 'high': found.high}


def _arm_plain(found: ArmResult) -> dict[str, Any]:
    return {
        'name': found.arm.name,
        'title': found.arm.title,
        'energy_j': _interval(found.energy_j),
        'power_w': _interval(found.power_w),
        'late': _interval(found.late),
        'agreement': _interval(found.agreement),
        'saved': _interval(found.saved),
        'saved_w': _interval(found.saved_w),
        'exact': found.exact,
        'latency_s': found.latency_s,
        'exits': dict(found.exits),
    }


def _runtime_plain(found: Runtime) -> dict[str, Any]:
    return {
        'name': found.battery.name,
        'full_wh': found.battery.full_wh,
        'draw_w': found.draw_w,
        'whole_robot': found.whole_robot,
        'stock_minutes': found.stock_minutes,
        'gained_minutes': _interval(found.gained_minutes),
    }


def _block_plain(block: Block) -> dict[str, Any]:
    return {
        'arm': block.arm,
        'round': block.round,
        'began_s': block.began_s,
        'seconds': block.seconds,
        'energy_j': _finite(block.energy_j),
        'exact_w': _finite(block.exact_w),
        'received': block.received,
        'late': block.late,
        'missed': block.missed,
        'latency_s': block.latency_s,
        'exits': dict(block.exits),
        'before_c': dict(block.before_c),
        'after_c': dict(block.after_c),
        'notes': list(block.notes),
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
