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

from e4_ros.evaluation.replay import recorded, replay
from e4_ros.evaluation.sources import open_source
from e4_ros.perception.perceiver import Perceiver
from e4_ros.vision.detections import Detections
from e4_ros.vision.inference.compiled_network import Segment
from e4_ros.vision.inference.frame_result import FrameResult


class Engine:
    """Writes down who was asked about which frame."""

    paths = {'full': [0]}  # noqa: RUF012
    segments = [Segment('all', 1, 1, 1, 0)]  # noqa: RUF012
    risk = None

    def __init__(self, name: str, diary: list[tuple[str, int]]) -> None:
        self.name, self.diary = name, diary

    def process(self, frame, stamp_s, on_segment=None):
        return self.process_full(frame)

    def audit(self, frame, result, on_segment=None):
        return None  # none is due

    def process_full(self, frame):
        self.diary.append((self.name, int(frame[0, 0, 0])))
        return FrameResult(Detections.empty(), 'full', 0.0, {}, [0.01], 0.01)


@pytest.fixture
def stream():
    return [(index / 10, np.full((8, 8, 3), index, np.uint8)) for index in range(4)]


def after_warm_up(diary: list) -> list:
    return diary[-8:]


def test_every_frame_is_compared_and_who_goes_first_alternates(stream):
    diary: list[tuple[str, int]] = []
    records = replay(stream, Perceiver(Engine('early', diary)), Engine('full', diary))
    assert [record.frame for record in records] == [0, 1, 2, 3]
    assert all(record.full is not None for record in records)
    assert after_warm_up(diary) == [
        ('early', 0), ('full', 0), ('full', 1), ('early', 1),
        ('early', 2), ('full', 2), ('full', 3), ('early', 3),
    ]  # fmt: skip


def test_both_are_warm_before_the_first_record(stream):
    diary: list[tuple[str, int]] = []
    replay(stream[:1], Perceiver(Engine('early', diary)), Engine('full', diary))
    assert {name for name, _ in diary[:-2]} == {'early', 'full'}


def test_without_a_full_network_nothing_is_compared(stream):
    records = replay(stream, Perceiver(Engine('early', [])))
    assert all(record.full is None for record in records)


def test_a_limit_stops_before_more_is_read(stream):
    def endless():
        yield from stream
        pytest.fail('read on')

    assert len(replay(endless(), Perceiver(Engine('early', [])), limit=4)) == 4


def test_an_interrupt_keeps_what_was_done(stream):
    def interrupted():
        yield from stream[:2]
        raise KeyboardInterrupt

    assert len(replay(interrupted(), Perceiver(Engine('early', [])))) == 2
    with pytest.raises(KeyboardInterrupt):
        replay(_interrupt(), Perceiver(Engine('early', [])))


def _interrupt():
    raise KeyboardInterrupt
    yield


def test_what_a_camera_showed_can_be_shown_again(tmp_path):
    shown = [(index / 10, np.full((48, 64, 3), index * 20, np.uint8)) for index in range(5)]
    handed_on = list(recorded(shown, tmp_path / 'seen.mp4', 10))
    assert [stamp for stamp, _ in handed_on] == [stamp for stamp, _ in shown]
    again = [frame for _, frame in open_source(str(tmp_path / 'seen.mp4'))]
    assert len(again) == 5
    for (_, first), second in zip(shown, again, strict=True):
        assert abs(first.mean() - second.mean()) < 4
