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

"""Headers of live images: stamps that cannot be used, and two cameras on one topic."""

from __future__ import annotations

import numpy as np
import pytest

from e4_ros.perception.live_stream import Camera, LiveStream

FRONT, REAR = Camera('front', 640, 480), Camera('rear', 640, 480)
NOW_S = 1.7e9  # what a stamp says today
UP_S = 5000.0  # and what the clock of arrivals says


def play(stamps_s, fps=30.0, cameras=(FRONT,), stream=None):
    """Places of images that come steadily; and the stream."""
    stream = stream or LiveStream()
    return [
        stream.place(cameras[i % len(cameras)], float(stamp_s), UP_S + i / fps)
        for i, stamp_s in enumerate(stamps_s)
    ], stream


def news(places):
    return [text for place in places for text in place.news]


FRAMES = np.arange(300)
UNUSABLE = {
    'zero': (FRAMES * 0.0, 'empty'),
    'constant': (NOW_S + FRAMES * 0, 'do not change'),
    'milliseconds': (NOW_S * 1e3 + FRAMES * 1e3 / 30, 'not in seconds'),
    'nanoseconds': (NOW_S + FRAMES * 1e9 / 30, 'not in seconds'),
    'a thousand times too slow': (NOW_S + FRAMES / 30e3, 'not in seconds'),
    'only the fraction of a second': ((FRAMES / 30) % 1.0 + 0.001, 'go backwards'),
    'backwards': (NOW_S - FRAMES / 30, 'go backwards'),
    'ahead and back': (NOW_S + FRAMES / 30 + 100 * (FRAMES % 20 > 9), 'go backwards|jump'),
}


@pytest.mark.parametrize(('stamps_s', 'says'), UNUSABLE.values(), ids=UNUSABLE)
def test_time_goes_on_by_arrival_where_stamps_cannot_be_used_and_that_is_told_once(stamps_s, says):
    places, stream = play(stamps_s)
    (told,) = news(places)
    assert any(word in told for word in says.split('|'))
    assert 'times of arrival are used instead' in told
    assert stream.complaint(UP_S + 1e4) == told, 'it stays on the diagnostics'
    times = np.array([place.time_s for place in places])
    np.testing.assert_allclose(np.diff(times)[110:], 1 / 30, rtol=1e-2)
    assert [place.begins for place in places] == [True] + [False] * 299


USABLE = {
    'a camera': NOW_S + FRAMES / 30,
    'with jitter': NOW_S + FRAMES / 30 + np.random.default_rng(0).uniform(0, 0.03, 300),
    'a bag at ten times its pace': FRAMES / 3,
    'a slow simulation': 0.1 + FRAMES / 600,
    'a simulation that begins at zero': FRAMES / 30,
    'a clock set right once': NOW_S * (FRAMES > 9) + 5 + FRAMES / 30,
    'a bag played twice': 100 + (FRAMES % 150) / 30,
    'one image twice, now and then': NOW_S + (FRAMES - (FRAMES % 140 == 139)) / 30,
}


@pytest.mark.parametrize('stamps_s', USABLE.values(), ids=USABLE)
def test_stamps_that_can_be_used_are_and_nobody_complains(stamps_s):
    places, stream = play(stamps_s)
    assert news(places) == []
    assert stream.complaint(UP_S + 10) == ''
    np.testing.assert_array_equal([place.time_s for place in places], stamps_s)


def test_images_that_come_in_a_burst_after_a_pause_do_not_make_their_stamps_odd():
    stream = LiveStream()
    for index in range(40):
        late = 1.0 if index < 30 else index / 30  # thirty wait for each other on the way
        place = stream.place(FRONT, NOW_S + index / 30, UP_S + late + index * 1e-5)
        assert place.news == ()
    assert stream.complaint(UP_S + 2) == ''


def test_the_change_to_times_of_arrival_is_no_jump():
    places, _ = play(NOW_S + np.zeros(10))
    times = [place.time_s for place in places]
    assert times[0] == NOW_S
    assert np.diff(times).min() >= 0
    assert np.diff(times).max() < 0.05


@pytest.mark.parametrize(
    'cameras',
    [(FRONT, REAR), (FRONT, FRONT._replace(width=320)), (Camera('', 9, 9), REAR)],
    ids=['frame_id', 'size', 'no frame_id'],
)
def test_every_change_of_the_camera_begins_a_stream_and_two_in_turns_are_told_once(cameras):
    places, stream = play(NOW_S + FRAMES / 60, cameras=cameras)
    assert all(place.begins for place in places)
    (told,) = news(places)
    assert 'several cameras' in told
    assert all(str(camera) in told for camera in cameras)
    assert stream.complaint(UP_S + 10) == told
    assert stream.complaint(UP_S + 60) == '', 'it ended long ago'


def test_a_camera_that_is_exchanged_once_begins_a_stream_and_nobody_complains():
    stream = LiveStream()
    play(NOW_S + FRAMES / 30, stream=stream)
    place = stream.place(REAR, 3.0, UP_S + 11)  # its clock may say anything
    assert place == (3.0, True, ())
    assert stream.complaint(UP_S + 12) == ''
    assert not stream.place(REAR, 3.1, UP_S + 11.1).begins


def test_two_cameras_with_clocks_of_their_own_are_not_blamed_for_their_stamps():
    stamps = np.where(FRAMES % 2, 50.0, NOW_S) + FRAMES / 60
    places, _ = play(stamps, cameras=(FRONT, REAR))
    assert len(news(places)) == 1
    np.testing.assert_array_equal([place.time_s for place in places], stamps)
