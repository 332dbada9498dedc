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

import pytest

from e4_ros.perception.camera_rate import CameraRate

LOW, HIGH = 5.0, 30.0


def stream(rate, seconds, exit_at, camera_hz=30.0, start_s=100.0):
    """Offer a camera's images; those that are wanted are answered. Number that were."""
    answered = 0
    for index in range(int(seconds * camera_hz)):
        now_s = start_s + index / camera_hz
        if rate.wants(now_s):
            answered += 1
            rate.answered(*exit_at(now_s), now_s)
    return answered


class Scene:
    """The network is needed so often, whatever the camera's rate; else the tracks answer."""

    def __init__(self, keys_hz, trust=0.4):
        self.period_s, self.trust, self.last_s = 1 / keys_hz, trust, -1e9

    def __call__(self, now_s):
        if now_s - self.last_s < self.period_s - 1e-6:
            return 'track', 0.9
        self.last_s = now_s
        return 'full', self.trust


def test_it_begins_with_every_image():
    rate = CameraRate(LOW, HIGH)
    assert rate.hz == HIGH
    assert all(rate.wants(i / 100) for i in range(10))


@pytest.mark.parametrize('keys_hz', [2.0, 4.0])
def test_the_rate_follows_key_frames_a_second(keys_hz):
    rate = CameraRate(LOW, HIGH)
    stream(rate, 30, Scene(keys_hz))
    assert rate.hz == pytest.approx(4 * keys_hz, rel=0.25)
    wanted = stream(rate, 10, Scene(keys_hz), start_s=130.0)
    assert wanted == pytest.approx(40 * keys_hz, rel=0.25)


def test_a_still_scene_needs_the_lower_bound_and_a_restless_one_every_image():
    rate = CameraRate(LOW, HIGH)
    stream(rate, 30, Scene(0.5))
    assert rate.hz == LOW
    stream(rate, 10, Scene(15.0), start_s=130.0)
    assert rate.hz == HIGH


def test_the_advice_for_a_scene_does_not_depend_on_the_cameras_rate():
    advised = []
    for camera_hz in (15.0, 60.0):
        rate = CameraRate(LOW, HIGH)
        stream(rate, 30, Scene(2.5), camera_hz)
        advised.append(rate.hz)
    assert advised[0] == pytest.approx(advised[1], rel=0.25)


@pytest.mark.parametrize('trust', [0.0, None])
def test_tracks_that_are_lost_soon_after_a_key_frame_need_every_image_at_once(trust):
    rate = CameraRate(LOW, HIGH)
    stream(rate, 30, Scene(0.5))
    rate.answered('full', 0.4, 131.0)
    assert rate.hz < HIGH
    rate.answered('full', trust, 131.2)
    assert rate.hz == HIGH


def test_tracks_that_are_only_old_are_not_lost():
    rate = CameraRate(LOW, HIGH)
    stream(rate, 30, Scene(1.6, trust=0.0))
    assert rate.hz < 10


def test_a_closer_look_is_no_need():
    rate = CameraRate(LOW, HIGH)
    stream(rate, 30, lambda now_s: ('closer', 0.9))
    assert rate.hz == LOW


def test_a_network_without_tracks_needs_every_image():
    rate = CameraRate(LOW, HIGH)
    assert stream(rate, 10, lambda now_s: ('full', None)) == 300


def test_a_pause_is_not_made_up_for():
    rate = CameraRate(LOW, HIGH)
    stream(rate, 30, Scene(0.5))
    wanted = [rate.wants(200 + i / 30) for i in range(30)]
    assert sum(wanted) <= LOW + 2


def test_only_a_change_is_news():
    rate = CameraRate(LOW, HIGH)
    assert rate.news() == HIGH
    assert rate.news() is None
    stream(rate, 30, Scene(0.5))
    assert rate.news() == LOW
    rate.answered('track', 0.9, 130.0)
    assert rate.news() is None


def test_bounds_that_are_not_in_order_are_refused():
    for bounds in ((0.0, 5.0), (10.0, 5.0)):
        with pytest.raises(ValueError, match='camera_rate_min_hz'):
            CameraRate(*bounds)
