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

from __future__ import annotations

import math
import tempfile
import time
from pathlib import Path

import pytest

from e4_ros.energy.board_model import SegmentWork
from e4_ros.energy.client.client import DvfsClient
from e4_ros.energy.daemon.daemon import Daemon, DaemonConfig
from e4_ros.energy.virtual.mount import mounted
from e4_ros.perception.frequency_control import DaemonControl
from e4_ros.perception.metered_frames import Aside, MeteredFrames
from e4_ros.profiling.planning import planner

FRAME_S, FRAME_W = 0.010, 8.0
ASIDE_S, ASIDE_W = 0.030, 10.0
PERIOD_S, WAITING_W = 0.100, 4.2
WHOLE_J = FRAME_S * FRAME_W + (PERIOD_S - FRAME_S) * WAITING_W


class Meter:
    """A meter and a clock that a test moves."""

    def __init__(self) -> None:
        self.now = (0.0, 0.0)

    def spend(self, seconds: float, watts: float) -> None:
        self.now = (self.now[0] + seconds, self.now[1] + seconds * watts)


def _run(every: int, frames: int = 20) -> tuple[list[float], list[Aside], float]:
    """Joules of frames, what ran beside each `every`-th, and all that the meter said."""
    meter, metered = Meter(), MeteredFrames()
    found, asides, ended_j = [], [], 0.0
    for index in range(frames):
        metered.begin(*meter.now, in_stream=True)
        meter.spend(FRAME_S, FRAME_W)
        found.append(metered.end(*meter.now))
        ended_j = meter.now[1]
        rest_s = PERIOD_S - FRAME_S
        if every and index % every == 0 and index < frames - 1:
            metered.begin_aside(*meter.now)
            meter.spend(ASIDE_S, ASIDE_W)
            asides.append(metered.end_aside(*meter.now))
            rest_s -= ASIDE_S
        meter.spend(rest_s, WAITING_W)
    return found, asides, ended_j


@pytest.mark.parametrize('every', [0, 1, 3])
def test_a_frame_costs_the_same_whatever_runs_beside_it(every: int) -> None:
    found, _, _ = _run(every)
    assert found[2:] == pytest.approx([WHOLE_J] * (len(found) - 2))


@pytest.mark.parametrize('every', [0, 1, 3])
def test_frames_and_what_ran_beside_are_all_that_the_meter_said(every: int) -> None:
    found, asides, whole_j = _run(every)
    assert sum(found) + sum(aside.energy_j for aside in asides) == pytest.approx(whole_j)


def test_what_ran_beside_costs_more_than_waiting_by_what_it_adds() -> None:
    *_, last = _run(1)[1]
    assert last.energy_j == pytest.approx(ASIDE_S * (ASIDE_W - WAITING_W))
    assert (last.seconds, last.waiting_w) == pytest.approx((ASIDE_S, WAITING_W))


def test_something_whose_end_is_never_told_was_nothing() -> None:
    meter, metered = Meter(), MeteredFrames()
    metered.begin(*meter.now, in_stream=False)
    meter.spend(1.0, 5.0)
    metered.end(*meter.now)
    metered.begin_aside(*meter.now)
    meter.spend(0.5, 2.0)
    metered.begin(*meter.now, in_stream=True)
    meter.spend(1.0, 5.0)
    assert metered.end(*meter.now) == pytest.approx(6.0)


def test_a_stream_that_had_stopped_pays_for_no_wait() -> None:
    meter, metered = Meter(), MeteredFrames()
    metered.begin(*meter.now, in_stream=False)
    metered.end(*meter.now)
    meter.spend(60.0, 5.0)
    metered.begin(*meter.now, in_stream=False)
    meter.spend(1.0, 3.0)
    assert metered.end(*meter.now) == pytest.approx(3.0)


def test_a_meter_that_is_silent_meanwhile_leaves_frames_without_joules() -> None:
    metered = MeteredFrames()
    metered.begin(0.0, 1.0, in_stream=False)
    assert math.isnan(metered.end(0.1, math.nan))
    metered.begin_aside(0.2, math.nan)
    assert metered.end_aside(0.3, 2.0).source == 'none'
    metered.begin(0.4, 3.0, in_stream=True)
    assert metered.end(0.5, 3.5) == pytest.approx(0.5)


@pytest.mark.fuse
def test_on_a_board_with_rails_nothing_is_lost_and_nothing_is_in_the_wrong_frame() -> None:
    works = [SegmentWork('prepare', 0, 1e6, device='cpu'), SegmentWork('stage', 2e8, 5e7)]
    paths = {'full': [0, 1]}
    plan = planner.plan('jetson_orin_nano', works, paths, {'full': 1.0}, model='walkers')
    with (
        tempfile.TemporaryDirectory(prefix='e4') as name,
        mounted('jetson_orin_nano', Path(name) / 'board') as root,
    ):
        places = {'state_dir': Path(name) / 'state', 'socket_path': Path(name) / 's'}
        config = DaemonConfig(root=root, **places, priority=0, watchdog_s=60)
        with Daemon(config), DvfsClient(config.socket_path) as client:
            client.acquire('test')
            client.set_plan(plan)
            clocks = DaemonControl(client, works, plan)

            def true_j() -> float:
                """What the board has taken, as soon as the daemon has a new value of its rails."""
                before_j = client.applied().energy_j
                while client.applied().energy_j == before_j:
                    time.sleep(0.0005)
                return float((root / 'e4/energy_j').read_text())

            frames_j, beside_j, first_j, found_j = [], 0.0, 0.0, 0.0
            for index in range(8):
                clocks.begin()
                clocks.step(0)
                time.sleep(0.02)
                ended_j = true_j()
                spent = clocks.end('full', [0, 1])
                assert spent.source == 'measured'
                frames_j.append(spent.energy_j)
                if index == 0:
                    first_j = ended_j
                clocks.begin_aside()
                (root / 'e4/load/gpu').write_text('1')
                time.sleep(0.1)
                beside_j += true_j() - ended_j
                aside = clocks.end_aside()
                found_j += aside.energy_j + aside.waiting_w * aside.seconds
                (root / 'e4/load/gpu').write_text('0')
                time.sleep(0.05)
            # Somebody may take the processor between a value and its look at the truth.
            assert found_j == pytest.approx(beside_j, rel=0.3)
            # The last one ran after the last frame.
            known_j = sum(frames_j[1:]) + clocks.beside_j - aside.energy_j
            assert known_j == pytest.approx(ended_j - first_j, rel=0.1)
