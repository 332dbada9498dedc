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

"""Answers that come frames later correct the tracks where the objects are by then."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from e4_ros.vision.detections import Detections
from e4_ros.vision.inference.closer import Attention
from e4_ros.vision.inference.late_answers import LateAnswers
from e4_ros.vision.inference.offload_port import LateAnswer, NoPort
from e4_ros.vision.inference.online_risk import OnlineRisk
from e4_ros.vision.inference.track_exit import TrackExit

SHAPE, STEP_S = (240, 320, 3), 0.05


def _texture(height: int, width: int, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 255, (height, width), np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 2)


WORLD, THING = _texture(500, 700, 0), _texture(80, 40, 1)


def place(index: int) -> tuple[float, float]:
    return 60.0 + 7 * index, 60.0 + 3 * index


def box(index: int) -> np.ndarray:
    x, y = place(index)
    return np.array([[x, y, x + 40, y + 80]])


def frame(index: int) -> np.ndarray:
    """A thing that crosses the picture, and a camera that pans the other way."""
    camera = np.array([[1, 0, -100 - 2 * index], [0, 1, -100]], float)
    picture = cv2.warpAffine(WORLD, camera, SHAPE[1::-1])
    at = np.array([[1, 0, place(index)[0]], [0, 1, place(index)[1]]], float)
    moved = cv2.warpAffine(THING, at, SHAPE[1::-1])
    mask = cv2.warpAffine(np.full(THING.shape, 255, np.uint8), at, SHAPE[1::-1])
    return np.dstack([np.where(mask > 127, moved, picture)] * 3)


def found(boxes: np.ndarray, score: float = 0.9) -> Detections:
    return Detections.of(boxes, np.full(len(boxes), score))


class Post(NoPort):
    """A port whose answers come when a test says so."""

    def __init__(self):
        self.post, self.taken = [], []

    def came(self):
        came, self.post = self.post, []
        return came

    def used(self, answer):
        self.taken.append(answer)


class Stream:
    """Tracks that begin with a wrong box, and are told of it later."""

    def __init__(self):
        self.tracks, self.risk, self.port = TrackExit(0.3), OnlineRisk(0.12), Post()
        self.late = LateAnswers(self.tracks, self.risk, Attention(0.3))
        self.tracks.look(frame(0), 0.0)
        self.tracks.key(found(box(0) + np.array([9, -8, 9, -8])))
        self.doubts = {}

    def go(self, index: int, away: bool = False) -> None:
        self.late.take(self.port)
        doubt = self.tracks.look(frame(index), index * STEP_S)
        assert doubt is not None
        self.doubts[index] = doubt
        if away:
            self.late.sent(doubt)
        self.tracks.skip()
        self.risk.skipped(doubt)
        self.late.skipped(doubt)

    def error(self, index: int) -> float:
        [mine] = self.tracks.answer().boxes
        return float(np.abs(mine - box(index)[0]).max())


@pytest.mark.parametrize('lag', [1, 3, 8])
def test_a_late_answer_lands_where_the_object_is_by_then(lag):
    told, untold = Stream(), Stream()
    for index in range(1, 3 + lag):
        for stream in (told, untold):
            stream.go(index, away=index == 2)
    told.port.post.append(LateAnswer(2 * STEP_S, found(box(2)), better=True))
    for stream in (told, untold):
        stream.go(3 + lag)
    assert told.error(3 + lag) < 3
    assert untold.error(3 + lag) > 6
    assert told.port.taken


def test_what_the_tracks_never_saw_comes_with_it():
    stream = Stream()
    for index in (1, 2, 3):
        stream.go(index, away=index == 1)
    far = np.array([[200.0, 20, 240, 100]])  # of the background, which the camera's pan moves
    both = found(np.concatenate([box(1), far]))
    stream.port.post.append(LateAnswer(STEP_S, both, better=True))
    stream.go(4)
    boxes = stream.tracks.answer().boxes
    assert len(boxes) == 2
    assert np.abs(boxes - (far[0] - np.array([6, 0, 6, 0]))).max(1).min() < 3


def test_the_frame_is_a_key_frame_from_then_on():
    told, untold = Stream(), Stream()
    for index in range(1, 6):
        for stream in (told, untold):
            stream.go(index, away=index == 4)
    share = told.risk.key_share
    told.port.post.append(LateAnswer(4 * STEP_S, found(box(4))))
    for stream in (told, untold):
        stream.go(6)
    assert told.doubts[6].age_s == pytest.approx(2 * STEP_S)
    assert told.doubts[6].drift < untold.doubts[6].drift
    assert told.risk.seen > 0  # the tracks' box was wrong, and now that is known
    assert told.risk.key_share > share


def test_what_the_own_network_would_say_is_of_no_use_once_it_has():
    stream = Stream()
    stream.tracks.look(frame(1), STEP_S)
    stream.late.sent(None)
    stream.tracks.key(found(box(1)))
    stream.late.key()
    stream.port.post.append(LateAnswer(STEP_S, found(box(1))))
    stream.go(2)
    assert not stream.port.taken


@pytest.mark.parametrize('stamp_s', [STEP_S, 99.0])
def test_too_old_and_unknown_answers_are_left(stamp_s):
    stream = Stream()
    for index in range(1, 25):
        stream.go(index, away=index == 1)
    before = stream.tracks.answer()
    stream.port.post.append(LateAnswer(stamp_s, found(box(1)), better=True))
    stream.late.take(stream.port)
    assert not stream.port.taken
    assert stream.tracks.answer().boxes.tolist() == before.boxes.tolist()


def test_an_answer_without_objects_is_an_answer():
    stream = Stream()
    for index in (1, 2):
        stream.go(index, away=index == 1)
    before = stream.tracks.answer().scores
    stream.port.post.append(LateAnswer(STEP_S, Detections.empty(), better=True))
    stream.go(3)
    assert stream.tracks.answer().scores < 0.8 * before
    assert stream.port.taken
