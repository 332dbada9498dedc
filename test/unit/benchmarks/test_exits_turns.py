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

import time

import numpy as np
import pytest

from e4_ros.benchmarks.exits.streams import Stream
from e4_ros.benchmarks.exits.turns import in_turns
from e4_ros.benchmarks.exits.ways import Key, Said
from e4_ros.vision.detections import Detections

FRAME = np.zeros((8, 8, 3), np.uint8)
STREAM = Stream('a stream', [(index / 10, FRAME) for index in range(8)], moving=False)


class Slow:
    """Takes time for each answer, and for what comes after it."""

    def __init__(self, seconds: float, after_s: float = 0.0, log: list | None = None):
        self.seconds, self.after_s, self.log = seconds, after_s, log
        self.began: list[float] = []

    def begin(self, frame: np.ndarray, fps: float) -> None:
        self.began.append(fps)

    def answer(self, frame: np.ndarray, stamp_s: float) -> Said:
        if self.log is not None:
            self.log.append((self.seconds, round(stamp_s * 10)))
        time.sleep(self.seconds)
        return Said(Detections.empty(), 'full' if stamp_s == 0 else 'track')

    def after(self, frame: np.ndarray) -> None:
        time.sleep(self.after_s)


def test_every_way_answers_every_frame_in_order_and_who_goes_first_changes():
    log: list[tuple[float, int]] = []
    ways = {Key('one'): Slow(0.0001, log=log), Key('two'): Slow(0.0002, log=log)}
    told: list[tuple[int, int]] = []
    found = in_turns(ways, STREAM, lambda *of: told.append(of), turn=3)
    one, two = 0.0001, 0.0002
    assert log == [
        *((one, i) for i in (0, 1, 2)), *((two, i) for i in (0, 1, 2)),
        *((two, i) for i in (3, 4, 5)), *((one, i) for i in (3, 4, 5)),
        *((one, i) for i in (6, 7)), *((two, i) for i in (6, 7)),
    ]  # fmt: skip
    assert told == [(3, 8), (6, 8), (8, 8)]
    assert all(len(one.said) == len(one.seconds) == 8 for one in found.values())


def test_a_stream_begins_once_and_its_rate_is_told():
    way = Slow(0.0)
    in_turns({Key('one'): way}, STREAM)
    assert way.began == [pytest.approx(10.0)]


def test_what_comes_after_the_answer_is_in_no_latency():
    found = in_turns({Key('one'): Slow(0.0, after_s=0.01)}, STREAM)[Key('one')]
    assert found.mean_s < 0.005


def test_share_of_the_frames_that_an_exit_answered():
    found = in_turns({Key('one'): Slow(0.0)}, STREAM)[Key('one')]
    assert found.share('full') == 1 / 8
    assert found.share('track', 'temporal') == 7 / 8
