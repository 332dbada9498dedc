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

"""Another version takes over between two frames: tracks, thresholds, clocks, and refusals."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from e4_ros.perception.active_plan import constant_plan
from e4_ros.perception.controller import ControllerError, Decision
from e4_ros.perception.controllers.base import DepthOnly
from e4_ros.perception.live_control import LiveControl
from e4_ros.perception.live_plan import LivePlan
from e4_ros.perception.live_versions import LiveVersions, measure_versions
from e4_ros.perception.perceiver import Perceiver
from e4_ros.perception.setup import EngineOptions, set_up

SIZE = (128, 128)


class Daemon:
    """Answers as the client of the DVFS daemon does, and refuses when it is told to."""

    board, root = 'jetson_orin_nano', '/somewhere'

    def __init__(self) -> None:
        self.frequencies_hz = {'gpu': (306_000_000, 612_000_000)}
        self.plans, self.refuses = [], False

    def set_plan(self, plan) -> None:
        if self.refuses:
            raise OSError('the daemon is gone')
        self.plans.append(plan)


def frame() -> np.ndarray:
    """A bright square on a grey wall with marks to follow."""
    generator = np.random.default_rng(0)
    picture = generator.integers(40, 90, (*SIZE, 3), np.uint8)
    picture[32:64, 32:64] = 255
    return picture


@pytest.fixture
def perceivers(lamp_detector, tmp_path, monkeypatch):
    monkeypatch.setenv('E4_CACHE', str(tmp_path / 'cache'))
    found = {}
    for name in ('a', 'b'):
        file = lamp_detector(tmp_path / f'{name}.onnx')
        options = EngineOptions(str(file), threads=1, device='cpu')
        found[name] = [Perceiver(set_up(options).engine)]
    return found


@pytest.fixture
def versions(perceivers):
    return LiveVersions(perceivers)


def control_of(versions, lease=lambda: None) -> LiveControl:
    name = versions.answering
    return LiveControl(
        DepthOnly(exits=True),
        versions.stream(name),
        versions.engines(name),
        threading.Lock(),
        lease,
        versions=versions,
    )


def ids(perceivers, name: str, number: int) -> list[int]:
    record = perceivers[name][0].process(frame(), number / 10, number)
    return record.result.detections.ids.tolist()


def test_tracks_go_on_with_their_ids(perceivers, versions):
    told = []
    versions._answers = told.append
    control = control_of(versions)
    before = [ids(perceivers, 'a', number) for number in range(6)]
    assert before[-1], 'the square is found'
    control.carry(Decision(version='b'))
    after = [ids(perceivers, 'b', number) for number in range(6, 12)]
    assert after == [before[-1]] * 6
    assert (versions.answering, versions.switches, told) == ('b', 1, ['b'])
    control.carry(Decision(version='b'))
    assert versions.switches == 1, 'it answers already'


def test_it_waits_for_the_frame_that_is_in_work(perceivers):
    turn = threading.Lock()
    versions = LiveVersions(perceivers, turn)
    turn.acquire()
    thread = threading.Thread(target=versions.switch, args=('b',))
    thread.start()
    thread.join(0.2)
    assert versions.answering == 'a'
    turn.release()
    thread.join(60)
    assert versions.answering == 'b'


def test_thresholds_that_were_decided_hold_for_the_next_version(versions):
    control = control_of(versions)
    control.carry(Decision({}))
    control.carry(Decision(version='b'))
    assert not versions.engines('b')[0].thresholds.thresholds


def test_an_unknown_version_changes_nothing(versions):
    with pytest.raises(ControllerError, match="no version 'c'; loaded are a, b"):
        control_of(versions).carry(Decision(version='c'))
    assert versions.answering == 'a'
    alone = LiveControl(DepthOnly(True), versions.stream('a'), [], threading.Lock())
    with pytest.raises(ControllerError, match='because none are loaded'):
        alone.carry(Decision(version='a'))


def test_under_a_lease_the_clocks_come_with_the_version_or_nothing_changes(versions):
    daemon, stream = Daemon(), versions.stream('a')
    slow, fast = ({'gpu': hz} for hz in daemon.frequencies_hz['gpu'])
    live = LivePlan(daemon, stream, threading.Lock(), Decision(point=slow))
    control = control_of(versions, lambda: live)
    daemon.refuses = True
    with pytest.raises(OSError, match='the daemon is gone'):
        control.carry(Decision(point=fast, version='b'))
    assert versions.answering == 'a'
    assert live.active.plan.model == stream.model
    daemon.refuses = False
    control.carry(Decision(point=fast, version='b', why='quick'))
    assert versions.answering == 'b'
    assert daemon.plans[-1].segments == [w.name for w in versions.stream('b').works]
    assert daemon.plans[-1].paths['full'].points[0] == fast
    control.carry(Decision(version='a'))  # without clocks the point stays
    assert daemon.plans[-1].paths['full'].points[0] == fast


def test_a_plan_of_the_version_before_is_none_for_the_next(versions):
    daemon, stream = Daemon(), versions.stream('a')
    plan = constant_plan({'gpu': 306_000_000}, daemon.board, stream)
    live = LivePlan(daemon, stream, threading.Lock(), Decision(plan=plan))
    with pytest.raises(ControllerError, match='together with its clocks'):
        control_of(versions, lambda: live).carry(Decision(version='b'))
    assert versions.answering == 'a'


def test_each_version_is_measured_and_the_whole_network_costs_most(versions):
    engines = {name: versions.engines(name)[0] for name in versions.names}
    for seconds, switch_s in measure_versions(engines, frame(), rounds=3).values():
        assert 0 < seconds['track'] < seconds['full'] < 60
        assert switch_s >= 0
