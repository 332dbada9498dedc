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

from e4_ros.perception.setup import EngineOptions, set_up
from e4_ros.vision.inference.segment_runner import SegmentRunner

RNG = np.random.default_rng(3)
FRAMES = [RNG.integers(0, 255, (240, 320, 3), np.uint8) for _ in range(3)]


@pytest.fixture(scope='module')
def engine():
    return set_up(EngineOptions('pedestrian_ssdlite', threads=1)).engine


def test_segments_run_alone_take_as_long_as_in_a_frame(engine):
    """Their sum is near a frame's: nothing is left out and nothing is done twice."""
    runner = SegmentRunner(engine, FRAMES)
    assert runner.segments == tuple(s.name for s in engine.segments)
    alone, within = [], []
    for _ in range(15):  # in turns: other loads on the machine hit both alike
        alone.append(sum(runner.run(i, 0.0)[0] for i in range(1, len(runner.segments))))
        began_s = time.perf_counter()
        engine.process_full(FRAMES[-1])
        within.append(time.perf_counter() - began_s)
    assert 0.5 < np.median(alone) / np.median(within) < 3.0  # heads and decoding come on top


def test_running_a_segment_leaves_the_stream_as_it_was(engine):
    runner = SegmentRunner(engine, FRAMES)
    expected = engine.process_full(FRAMES[-1]).detections
    before = engine.process(FRAMES[-1], 10.0)
    for index in range(len(runner.segments)):
        runner.run(index, 0.002)
    after = engine.process_full(FRAMES[-1]).detections
    assert np.array_equal(after.boxes, expected.boxes)
    assert before.gate_scores.keys() == engine.process(FRAMES[-1], 10.02).gate_scores.keys()


def test_a_segment_is_repeated_for_the_time_given(engine):
    runner = SegmentRunner(engine, FRAMES)
    repeats = runner.run(0, 0.05)
    assert len(repeats) > 1
    assert sum(repeats) >= 0.05
    assert len(runner.run(1, 0.0)) == 1


def test_without_a_frame_there_is_nothing_to_run_on(engine):
    with pytest.raises(ValueError, match='at least one frame'):
        SegmentRunner(engine, [])
