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

"""A comparison, assembled from a few names: footage, networks, machine, arms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace

from e4_ros.energy.board_model import SegmentWork, works_as_if_on, works_of
from e4_ros.energy.daemon.daemon import DaemonConfig
from e4_ros.energy.virtual.board import board_of
from e4_ros.evaluation.comparison.arms import ARMS, Arm
from e4_ros.evaluation.comparison.battery import Battery, Runtime, read_battery, runtime
from e4_ros.evaluation.comparison.engines import (
    Depths,
    SimulatedEngine,
    load,
    rehearse,
    settle,
)
from e4_ros.evaluation.comparison.feed import Feed, FeedError, LiveFeed, RecordedFeed, record
from e4_ros.evaluation.comparison.host import Host
from e4_ros.evaluation.comparison.result import Facts, Result, evaluate
from e4_ros.evaluation.comparison.runner import OnProgress, measure
from e4_ros.evaluation.comparison.schedule import Schedule, schedule
from e4_ros.evaluation.sources import Source
from e4_ros.perception.controller import Wishes
from e4_ros.perception.perceiver import Perceiver
from e4_ros.perception.records import machine_name
from e4_ros.perception.setup import EngineOptions
from e4_ros.profiling.measuring.virtual_workload import VirtualWorkload

_OF_PERIOD = 0.9  # of the time between two frames, within which a plan must answer


@dataclass(frozen=True)
class CompareOptions:
    """What to compare, and for how long.

    Attributes:
        engine: The network.
        config: Settings of the daemon: where it listens, and the root of the machine's files.
        minutes: How long the blocks take together.
        block_s: Seconds of a block; 0: as long as five rounds allow.
        fps: Frames a second to play a recording at; None: its own pace.
        deadline_s: Seconds within which an answer is in time, and which plans keep; 0: the time
            between two frames, of which plans use nine tenths.
        domains: Names of the domains that plans clock.
        board_device: Device that a virtual board runs the network on; empty: the one that runs it.
        power_like: Name of a board whose power model is used where there is no meter.
        battery_wh: Watt-hours of the robot's battery; 0: what its bag says, else the kernel.
        battery: The battery as a bag tells of it; None: no bag does.
        others_w: Watts of the rest of the robot; None: what the battery says.
        seed: Seed of the order of blocks.
    """

    engine: EngineOptions
    config: DaemonConfig
    minutes: float = 5.0
    block_s: float = 0.0
    fps: float | None = None
    deadline_s: float = 0.0
    domains: Sequence[str] = ('cpu', 'gpu')
    board_device: str = ''
    power_like: str = ''
    battery_wh: float = 0.0
    battery: Battery | None = None
    others_w: float | None = None
    seed: int = 0
    arms: Sequence[Arm] = field(default=ARMS)


def compare(options: CompareOptions, source: Source, on_progress: OnProgress) -> Result:
    """Compare.

    Args:
        options: What and for how long.
        source: Gives the frames.
        on_progress: Receives seconds done and words; the seconds are those of the schedule.

    Raises:
        ValueError: the options make no sense, or the source cannot be compared on.
        OSError: the machine does not do as asked.
        KeyboardInterrupt: before a round was finished.
    """
    plan = schedule(options.minutes, len(options.arms), options.seed, options.block_s)
    virtual = board_of(options.config.root)
    if virtual is None and options.board_device:
        raise ValueError('--board-device is for a virtual board; here --device says what computes')
    on_progress(0.0, f'loading {options.engine.model}')
    depths = load(options.engine)
    with (
        closing(_feed(options, source, plan, virtual is not None)) as feed,
        closing(Host(options.config, options.power_like)) as host,
    ):
        return _compare(options, plan, depths, feed, host, virtual, on_progress)


def _compare(
    options: CompareOptions, plan: Schedule, depths: Depths, feed: Feed, host: Host,
    virtual: str | None, on_progress: OnProgress,
) -> Result:  # fmt: skip
    works = {exits: _works(depths, exits, options.board_device) for exits in (True, False)}
    players = {}
    for exits in (True, False):
        engine = depths.of(exits).engine
        on_progress(0.0, f'getting used to {feed.name}')
        settle(engine, feed)
        if virtual is not None:
            assert isinstance(feed, RecordedFeed), 'checked when it was opened'
            workload = VirtualWorkload(
                virtual, host.root, works[exits], engine.model.name, host.clocks_hz,
                seed=options.seed,
            )  # fmt: skip
            results = rehearse(engine, feed)
            engine = SimulatedEngine(engine, results, feed.period_s, workload)  # type: ignore[assignment]
        players[exits] = Perceiver(engine)
    wishes = [Wishes(options.deadline_s)]
    if not options.deadline_s:
        # As perception has it, of the camera's pace; where no clocks can keep it, its own choice.
        wishes.insert(0, Wishes(_OF_PERIOD * feed.period_s))
    no_clocks = host.prepare(players, works, options.arms, options.domains, wishes)
    arms = [arm for arm in options.arms if not (arm.clocks and no_clocks)]
    if len(arms) < len(options.arms):
        plan = schedule(options.minutes, len(arms), options.seed, options.block_s)
    rails = host.rails()
    measured = measure(host, feed, arms, plan, options.deadline_s or feed.period_s, on_progress)
    facts = Facts(
        board=host.board,
        machine=machine_name(),
        model=depths.early.model,
        device=options.board_device or depths.early.engine.device,
        source=feed.name,
        same_frames=feed.same_frames,
        period_s=feed.period_s,
        deadline_s=options.deadline_s or feed.period_s,
        meter=host.meter_name,
        measured=host.measured,
        rails=rails,
        power_mode=host.power_mode(),
        no_clocks=no_clocks,
        plans=host.plans(),
        virtual=virtual is not None,
        notes=feed.notes,
    )
    task = depths.early.manifest.task
    found = evaluate(measured, plan, facts, task, options.engine.min_score)
    return replace(found, runtime=_runtime(found, options, host))


def _works(depths: Depths, exits: bool, board_device: str) -> list[SegmentWork]:
    works = works_of(depths.of(exits).engine.segments)
    return works_as_if_on(board_device, works) if board_device else works


def _feed(options: CompareOptions, source: Source, plan: Schedule, virtual: bool) -> Feed:
    if source.repeatable:
        return record(source.name, source, plan.block_s, options.fps, source.fps)
    if virtual:
        raise FeedError(
            'on a virtual board nothing computes, so its answers are computed beforehand: give a '
            'recording instead of a camera'
        )
    if options.fps:
        raise FeedError('a camera has its own pace; --fps is for recordings')
    return LiveFeed(source.name, source)


def _runtime(found: Result, options: CompareOptions, host: Host) -> Runtime | None:
    """What the saving means to the battery; None where it is none or there is none."""
    battery = options.battery or read_battery(host.root)
    if options.battery_wh:
        draw_w = None if battery is None else battery.draw_w
        battery = Battery('as given', options.battery_wh, draw_w)
    stock, best = found.stock, found.best
    if battery is None or not found.facts.measured or stock.power_w is None:
        return None
    if best.saved_w is None or not math.isfinite(best.saved_w.value):
        return None
    return runtime(battery, stock.power_w.value, best.saved_w, options.others_w)
