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

import numpy as np
import pytest

pytest.importorskip('trackers')

from e4_ros.benchmarks.exits.between import ByteTrack, Hold, Moved, OwnTracks
from e4_ros.benchmarks.exits.peers import EveryKth
from e4_ros.benchmarks.exits.ways import BETWEEN, MIN_SCORE
from e4_ros.vision.detections import Detections

RNG = np.random.default_rng(0)
PICTURE = RNG.integers(0, 255, (60, 80, 3), np.uint8).repeat(4, 0).repeat(4, 1)
STEP = 4  # pixels to the right a frame


def frame_of(index: int) -> np.ndarray:
    """A picture that moves to the right, and everything in it."""
    return np.roll(PICTURE, STEP * index, 1)


class Walker:
    """A network that sees an object move with the picture, and one that it is not sure of."""

    def __init__(self, score: float = 0.9) -> None:
        self.asked, self.score = [], score
        self.index = 0

    def process_full(self, frame: np.ndarray):
        self.asked.append(self.index)
        left = 100.0 + STEP * self.index
        boxes = np.array([[left, 40, left + 60, 160], [10, 10, 30, 60]])
        self.detections = Detections.of(boxes, np.array([self.score, 0.15]))
        return self


def said_of(way: EveryKth, network: Walker, frames: int):
    way.begin(frame_of(0), 10.0)
    said = []
    for index in range(frames):
        network.index = index
        said.append(way.answer(frame_of(index), index / 10))
    return said


@pytest.mark.parametrize(
    ('between', 'behind'), [(Hold, 2 * STEP), (Moved, 0), (OwnTracks, 0), (ByteTrack, 0)]
)
def test_every_third_frame_is_asked_and_somebody_answers_the_others(between, behind):
    network = Walker()
    way = EveryKth(network, 3, between(MIN_SCORE))
    said = said_of(way, network, 15)
    assert network.asked == [0, 3, 6, 9, 12]
    assert [one.exit for one in said[:4]] == ['full', BETWEEN, BETWEEN, 'full']
    for index, one in enumerate(said):
        assert len(one.detections) == 1, 'nobody publishes what scores .15'
        if index == 14:
            left = float(one.detections.boxes[0, 0])
            assert left == pytest.approx(100 + STEP * 14 - behind, abs=2.5)


@pytest.mark.parametrize('between', [OwnTracks, ByteTrack])
def test_trackers_give_an_object_one_id(between):
    network = Walker()
    said = said_of(EveryKth(network, 3, between(MIN_SCORE)), network, 12)
    assert {one.detections.ids.item() for one in said} == {1}


def test_a_low_score_keeps_a_track_of_bytetrack_that_is_there():
    network = Walker()
    way = EveryKth(network, 1, ByteTrack(MIN_SCORE))
    said_of(way, network, 4)
    network.score, network.index = 0.2, 4
    (score,) = way.answer(frame_of(4), 0.4).detections.scores
    assert score == pytest.approx(MIN_SCORE)


def test_bytetrack_does_not_publish_what_the_last_look_did_not_find():
    network = Walker()
    way = EveryKth(network, 2, ByteTrack(MIN_SCORE))
    said_of(way, network, 2)
    network.score = 0.05
    network.process_full = lambda frame: type('Nothing', (), {'detections': Detections.empty()})
    assert len(way.answer(frame_of(2), 0.2).detections) == 0
    assert len(way.answer(frame_of(3), 0.3).detections) == 0


def test_a_new_stream_knows_nothing_of_the_last_one():
    network = Walker()
    way = EveryKth(network, 3, ByteTrack(MIN_SCORE))
    said_of(way, network, 5)
    assert said_of(way, network, 1)[0].detections.ids.tolist() == [1]
