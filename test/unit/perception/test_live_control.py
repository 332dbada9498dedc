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

"""What the live loop tells a controller of the stream's pace."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from e4_ros.perception import live_control
from e4_ros.perception.active_plan import Stream
from e4_ros.perception.controller import ControllerError, Decision
from e4_ros.perception.controllers import make_controller
from e4_ros.perception.controllers.context import Context
from e4_ros.perception.live_control import LiveControl
from e4_ros.perception.records import FrameRecord
from e4_ros.perception.schedule import Schedule
from e4_ros.perception.service_levels import ServiceLevels
from e4_ros.vision.detections import Detections
from e4_ros.vision.inference.frame_result import FrameResult

STREAM = Stream('net', [], {'full': []})
RECORD = FrameRecord(0, 0.0, FrameResult(Detections.empty(), 'full', 0.0, {}, [], 0.01))


@pytest.fixture
def control(monkeypatch):
    now = SimpleNamespace(s=100.0)
    monkeypatch.setattr(live_control.time, 'monotonic', lambda: now.s)
    control = LiveControl(
        make_controller('full', Context(STREAM)), STREAM, [], threading.Lock(), lambda: None
    )
    told = []
    monkeypatch.setattr(control.loop, 'submit', told.append)

    def answer(after_s, received):
        now.s += after_s
        control.observe(RECORD, received=received)
        return told[-1].period_s

    return answer


def test_images_that_were_dropped_count_for_the_pace(control):
    assert control(0.0, 1) is None
    assert control(0.1, 2) == pytest.approx(0.1)
    assert control(0.3, 5) == pytest.approx(0.1), 'two were dropped meanwhile'


def test_without_counts_every_image_is_an_answer(control):
    control(0.0, 0)
    assert control(0.2, 0) == pytest.approx(0.2)


def test_after_a_stop_the_pace_is_unknown(control):
    control(0.0, 1)
    assert control(live_control.LONGEST_WAIT_S + 1, 2) is None
    assert control(0.1, 3) == pytest.approx(0.1)


def test_a_schedule_is_carried_out_and_one_of_batches_refused():
    levels = ServiceLevels([0.1])
    control = LiveControl(
        make_controller('full', Context(STREAM)),
        *(STREAM, [], threading.Lock(), lambda: None),
        lambda: levels.states(['front'], [], []),
        levels,
    )
    control.carry(Decision(schedule=Schedule(drop_late=True, margin=1.5)))
    assert levels.schedule == Schedule(drop_late=True, margin=1.5)
    with pytest.raises(ControllerError, match='one frame at a time, not batches of 2 in 1 inst'):
        control.carry(Decision(schedule=Schedule(batch=2)))
    assert levels.schedule == Schedule(drop_late=True, margin=1.5)
    assert [camera.name for camera in control._look(None).cameras] == ['front']
    alone = LiveControl(make_controller('full', Context(STREAM)), STREAM, [], threading.Lock())
    with pytest.raises(ControllerError, match='no cameras here whose frames take turns'):
        alone.carry(Decision(schedule=Schedule()))
