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
"""Videos as cameras in one process: real sessions, real time, the node's own turns."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from e4_ros.evaluation.camera_run import RULES, four_videos, rates_for, run_cameras
from e4_ros.perception.setup import EngineOptions, set_up


@pytest.fixture(scope='module')
def videos():
    return four_videos('')


@pytest.fixture(scope='module')
def setup():
    return set_up(EngineOptions(threads=1, streams=4))


@pytest.mark.parametrize('rule', RULES)
def test_every_image_is_told_of(setup, videos, rule):
    run = run_cameras(setup, videos, [5.0] * 4, 1.47, rule, 1.0)
    assert [len(run.of(camera)) for camera in range(4)] == [8, 8, 7, 7]
    answered = [answer for answer in run.answers if answer.exit]
    assert answered
    assert all(answer.age_s > 0 for answer in answered)
    assert all(math.isnan(answer.age_s) for answer in run.answers if not answer.exit)
    assert 0 <= run.miss_percent <= 100
    assert run.starvation >= 1


def test_a_camera_that_stops_holds_up_no_other(setup, videos):
    patient = [replace(video, slo_s=30.0) for video in videos]
    run = run_cameras(setup, patient, [5.0] * 4, 2.0, stops=lambda camera, at_s: camera == 1)
    assert not run.of(1)
    assert all(run.of(camera) for camera in (0, 2, 3))


def test_rates_ask_for_the_load(setup, videos):
    half, twice = (rates_for(setup.engines, videos, load) for load in (0.5, 2.0))
    assert len(half) == 4
    assert 0 < half[0] < twice[0]


def test_frames_are_shown_there_and_back_again(videos):
    last = len(videos[0].frames) - 1
    assert videos[0].at(last + 1) is videos[0].frames[last - 1]
    assert videos[0].at(2 * last) is videos[0].frames[0]
