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

from e4_ros.vision.clips.net import NetSettings
from e4_ros.vision.clips.policies import (
    choose,
    curve,
    fixed_points,
    frame_macs,
    full_point,
    gate_score,
    softmax_score,
    stops,
)
from e4_ros.vision.clips.training import Traces


def _traces(count: int = 40) -> Traces:
    """Half of the clips are clear from frame 1 on, half only at frame 3; the gate knows."""
    labels = np.arange(count) % 2
    easy = np.arange(count) % 4 < 2
    right = np.stack([easy, easy, easy, np.ones(count, bool)], 1)
    answers = np.where(right, labels[:, None], 1 - labels[:, None])
    probabilities = np.where(np.eye(2)[answers] > 0, 0.8, 0.2)
    scores = np.where(right, 0.9, 0.1).astype(np.float32)
    return Traces(probabilities, scores, labels)


def test_a_clip_stops_at_the_first_score_that_will_do():
    scores = np.array([[0.1, 0.7, 0.9], [0.1, 0.2, 0.3], [0.8, 0.1, 0.1]])
    assert stops(scores, 0.7).tolist() == [1, 2, 0]


def test_a_gate_that_knows_saves_frames_at_no_loss():
    seen = _traces()
    points = curve('cascade', gate_score, seen, seen, macs=1e9)
    chosen = next(p for p in points if p.chosen)
    assert (chosen.accuracy, chosen.frames, chosen.gflops) == (1.0, 2.5, 2.5)
    assert full_point(seen, 1e9).gflops == 4.0


def test_a_score_that_says_nothing_chooses_the_whole_clip():
    seen = _traces()
    assert stops(softmax_score(seen), choose(softmax_score, seen, 0.01)).tolist() == [3] * 40


def test_fixed_exits_see_the_same_of_every_clip():
    points = fixed_points(_traces(), 1e9)
    assert [p.frames for p in points] == [1, 2, 3]
    assert [p.accuracy for p in points] == [0.5] * 3


def test_scores_are_not_changed_by_stopping():
    seen = _traces()
    before = seen.scores.copy()
    curve('cascade', gate_score, seen, seen, 1e9)
    assert (seen.scores == before).all()


@pytest.mark.parametrize('aggregation', ['recurrent', 'max'])
def test_the_gate_costs_something_and_little(aggregation):
    settings = NetSettings(1280, 10, aggregation=aggregation)
    without, gated = (frame_macs(settings, (40, 28, 28), gate) for gate in (False, True))
    assert 0 < gated - without < 0.05 * without
    assert without < 0.02 * 385e6, 'small beside the backbone'
