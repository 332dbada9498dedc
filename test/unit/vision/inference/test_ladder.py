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

"""The whole ladder on real footage: tracks between key frames, and what may go wrong."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from e4_ros.evaluation.sources import open_source
from e4_ros.perception.setup import EngineOptions, set_up
from e4_ros.vision.inference.exit_thresholds import FULL, TRACK, ExitThresholds
from e4_ros.vision.inference.ladder import Ladder

FRAMES = 40


@pytest.fixture(scope='module')
def street():
    """Frames of a street with somebody in it."""
    return list(islice(open_source('bikes'), 110, 110 + FRAMES))


@pytest.fixture(scope='module')
def shared():
    return set_up(EngineOptions(threads=1, risk=0.2)).engine


@pytest.fixture
def ladder(shared):
    fresh = Ladder(shared.engine, 0.2, 0.3)
    fresh.thresholds = ExitThresholds({TRACK: 0.5})
    fresh.reset()
    return fresh


def play(engine, frames):
    return [engine.process(frame, stamp_s) for stamp_s, frame in frames]


def test_the_first_frame_is_a_key_frame_and_many_others_are_not(ladder, street):
    results = play(ladder, street)
    exits = [result.exit for result in results]
    assert exits[0] == FULL
    assert exits.count(TRACK) > FRAMES / 4
    assert 0 < ladder.risk.key_share < 1


def test_every_detection_belongs_to_a_track(ladder, street):
    for result in play(ladder, street):
        detections = result.detections
        assert detections.ids is not None
        assert len(set(detections.ids.tolist())) == len(detections)
        assert (detections.scores >= np.float32(0.3)).all()


def test_segments_and_paths_go_together(ladder, street):
    names = [segment.name for segment in ladder.segments]
    assert names[:2] == ['track', 'prepare']
    assert ladder.paths[TRACK] == [0]
    assert ladder.paths[FULL] == list(range(len(names)))
    ran: list[int] = []
    for stamp_s, frame in street[:12]:
        ran.clear()
        result = ladder.process(frame, stamp_s, ran.append)
        assert ran == ladder.paths[result.exit]
        assert len(result.segment_s) == len(ran)
        assert sum(result.segment_s) == pytest.approx(result.latency_s)


def test_without_thresholds_the_network_runs_on_every_frame(ladder, street):
    ladder.thresholds = ExitThresholds({})
    assert {result.exit for result in play(ladder, street[:10])} == {FULL}
    assert TRACK not in ladder.paths


@pytest.mark.parametrize('fps', [2, 120])
def test_slow_and_fast_cameras_are_followed(ladder, street, fps):
    results = [ladder.process(frame, index / fps) for index, (_, frame) in enumerate(street)]
    assert len({result.exit for result in results}) > 0
    longest = max(run_lengths([result.exit == TRACK for result in results]))
    assert longest / fps <= 0.7


def test_a_cut_to_another_scene_is_a_key_frame(ladder, street):
    play(ladder, street)
    other = np.random.default_rng(0).integers(0, 255, street[0][1].shape, np.uint8)
    stamp_s = street[-1][0] + 0.04
    assert ladder.process(other, stamp_s).exit == FULL


@pytest.mark.parametrize('what', ['size', 'backwards', 'gap'])
def test_another_stream_begins_with_a_key_frame_and_new_ids(ladder, street, what):
    known = {i for result in play(ladder, street[:20]) for i in result.detections.ids.tolist()}
    stamp_s, frame = street[20]
    if what == 'size':
        frame = np.ascontiguousarray(frame[:-16, :-16])
    stamp_s += {'size': 0.0, 'backwards': -1000.0, 'gap': 1000.0}[what]
    result = ladder.process(frame, stamp_s)
    assert result.exit == FULL
    assert known.isdisjoint(result.detections.ids.tolist())


def test_constant_time_stands_still_and_loses_nothing(ladder, street):
    results = [ladder.process(frame, 5.0) for _, frame in street[:10]]
    assert all(np.isfinite(r.detections.velocities).all() for r in results)


def test_what_is_no_image_is_refused_and_the_tracks_go_on(ladder, street):
    before = play(ladder, street[:10])[-1].detections
    with pytest.raises(ValueError, match='RGB image'):
        ladder.process(np.zeros((4, 4), np.uint8), street[10][0])
    with pytest.raises(ValueError, match='finite'):
        ladder.process(street[10][1], float('nan'))
    after = ladder.process(street[10][1], street[10][0]).detections
    assert set(before.ids.tolist()) & set(after.ids.tolist())


def run_lengths(flags):
    lengths, current = [0], 0
    for flag in flags:
        current = current + 1 if flag else 0
        lengths.append(current)
    return lengths


def test_a_frame_without_time_is_answered_by_the_tracks_whatever_they_are_trusted(ladder, street):
    assert not ladder.follows
    ladder.deepest = TRACK
    results = play(ladder, street)
    assert results[0].exit == FULL, 'there were no tracks'
    lost = [result for result in results[1:] if result.exit == FULL]
    assert len(lost) <= 3, 'only where the flow fails all over the picture'
    assert all(result.gate_scores[TRACK] < 1e-6 for result in lost)
    assert min(result.gate_scores[TRACK] for result in results[1:]) < 0.5
    assert ladder.follows
    ladder.deepest = FULL
    assert FULL in {result.exit for result in play(ladder, street[-5:])}


def test_tracks_that_had_to_answer_are_seen_and_do_not_move_the_limit(ladder, street):
    play(ladder, street[:6])
    limit, seen = ladder.risk.limit, ladder.risk.seen
    ladder.deepest = TRACK
    play(ladder, street[6:30])
    ladder.deepest = FULL
    cycles = 0
    for stamp_s, frame in street[30:]:
        cycles += ladder.process(frame, stamp_s).exit == FULL
        if cycles == 1:
            break
    assert ladder.risk.limit == limit
    assert ladder.risk.seen != seen


def test_a_cut_to_another_scene_has_no_answer_by_tracks(ladder, street):
    play(ladder, street)
    ladder.deepest = TRACK
    other = np.random.default_rng(0).integers(0, 255, street[0][1].shape, np.uint8)
    assert ladder.process(other, street[-1][0] + 0.04).exit == FULL
