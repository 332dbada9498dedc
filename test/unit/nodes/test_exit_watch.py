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

"""The exits are measured once, on the first image of the camera, and audited from then on."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('rclpy')

from e4_ros.nodes.exit_watch import ExitWatch
from e4_ros.perception.perceiver import Perceiver
from e4_ros.perception.setup import EngineOptions, set_up

FRAME = np.zeros((270, 480, 3), np.uint8)  # not the size of the warm-up


@pytest.fixture(params=[False, True], ids=['bare', 'tracks'])
def perceiver(exits_bundle, request):
    options = EngineOptions(str(exits_bundle), threads=1, audit_share=1.0, tracks=request.param)
    return Perceiver(set_up(options).engine)


def watch(perceiver, check_pay):
    told: list[str] = []
    log = SimpleNamespace(info=told.append, warning=told.append)
    return ExitWatch(log, perceiver, 'bundle', check_pay), told


def test_the_first_image_is_measured_after_its_answer(perceiver):
    exits, told = watch(perceiver, check_pay=True)
    assert perceiver.engine.economics is None
    assert told == []
    record = perceiver.process(FRAME, 0.0, 0)
    exits.audit(FRAME, record)
    economics = perceiver.engine.economics
    assert economics is not None
    assert told == list(economics.verdicts.values())
    assert {'temporal', 'exit1'} == set(economics.costs)
    exits.audit(FRAME, perceiver.process(FRAME, 0.1, 1))
    assert perceiver.engine.economics is economics, 'measured again'


def test_nothing_is_measured_where_that_is_not_wanted(perceiver):
    exits, told = watch(perceiver, check_pay=False)
    exits.audit(FRAME, perceiver.process(FRAME, 0.0, 0))
    assert perceiver.engine.economics is None
    assert told == []


class Clock:
    """A monotonic clock that a test sets."""

    def __init__(self, monkeypatch):
        self.now_s = 100.0
        monkeypatch.setattr('e4_ros.nodes.exit_watch.time.monotonic', lambda: self.now_s)


@pytest.fixture(scope='module')
def tracked():
    return Perceiver(set_up(EngineOptions(threads=1, risk=0.1)).engine)


def test_the_diagnostics_say_the_risk_that_is_asked_and_seen_and_how_often_the_network_runs(
    tracked,
):
    exits, _ = watch(tracked, check_pay=False)
    tracked.process(FRAME, 0.0, 0)
    values = {pair.key: pair.value for pair in exits.status().values}
    assert values['risk_asked'] == '0.1'
    assert values['risk_seen'] == 'nan', 'the first frame has nothing to compare with'
    assert values['key_frame_rate'] == '1.000'
    for index in range(1, 60):
        tracked.process(FRAME, index / 10, index)
    status = exits.status()
    values = {pair.key: pair.value for pair in status.values}
    assert float(values['risk_seen']) < 0.1
    assert float(values['key_frame_rate']) < 0.5
    assert 'of the 0.1 that they may' in status.message


def test_tracks_that_go_on_costing_too_much_are_told_but_not_a_bad_moment(tracked, monkeypatch):
    clock = Clock(monkeypatch)
    exits, _ = watch(tracked, check_pay=False)
    monkeypatch.setattr(tracked.engine.risk, 'seen', 0.16)
    for seconds in (0, 9):
        clock.now_s = 100.0 + seconds
        assert exits.status().level == b'\0'
    clock.now_s = 111.0
    status = exits.status()
    assert status.level == b'\1'
    assert 'Set controller to full' in status.message
    monkeypatch.setattr(tracked.engine.risk, 'seen', 0.14)
    assert exits.status().level == b'\0'
    monkeypatch.setattr(tracked.engine.risk, 'seen', 0.2)
    clock.now_s = 120.0
    assert exits.status().level == b'\0', 'the patience begins anew'


def test_where_nobody_tracks_nothing_is_said_of_risk():
    bare = Perceiver(set_up(EngineOptions(threads=1, tracks=False)).engine)
    exits, _ = watch(bare, check_pay=False)
    bare.process(FRAME, 0.0, 0)
    assert not any(pair.key.startswith('risk') for pair in exits.status().values)
