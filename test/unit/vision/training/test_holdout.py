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

from e4_ros.vision.detections import Detections
from e4_ros.vision.training.holdout import FootageSegment, frame_marks, part, seen_share


@pytest.fixture
def frames():
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (16, 16, 3), dtype=np.uint8) for _ in range(100)]


def segment(frames):
    answers = [
        Detections.of(np.array([[0, 0, i + 1, 1]]), np.array([0.4])) for i in range(len(frames))
    ]
    return FootageSegment(frames, list(range(len(frames))), answers, answers)


@pytest.mark.parametrize('count', [40, 99, 100, 1000, 5000])
def test_every_frame_is_learned_from_or_held_out(frames, count):
    split = part(segment([frames[0]] * count), 0.2)
    held = [i for rows in split.held_out for i in rows]
    assert sorted(split.learn + held) == list(range(count))
    assert len(held) == pytest.approx(0.2 * count, abs=len(split.held_out))
    assert len(split.held_out) >= 2


def test_parts_keep_frames_and_answers_together(frames):
    split = part(segment(frames), 0.2)
    kept = split.validation
    first = split.held_out[0][0]
    assert kept.frames[0] is frames[first]
    assert kept.pseudo_labels[0].boxes[0, 2] == first + 1
    assert not kept.shows_objects


def test_frames_are_known_again(frames):
    marks = frame_marks(frames[:50])
    assert seen_share(frames[:50], marks) == 1
    assert seen_share(frames[25:75], marks) == 0.5
    assert seen_share(frames[50:], marks) == 0
