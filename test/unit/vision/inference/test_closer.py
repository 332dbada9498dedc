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

"""Closer looks go where they change the answer, everywhere now and then, and within a budget."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from e4_ros.perception.setup import EngineOptions, set_up
from e4_ros.vision.detections import Detections
from e4_ros.vision.inference.closer import Attention, Budget, passes_of
from e4_ros.vision.tracking.camera_motion import UNKNOWN, CameraMotion
from e4_ros.vision.tracking.tracks import Tracks

FIXTURE = Path(__file__).parents[3] / 'fixtures' / 'detector'
SHAPE = (576, 768, 3)
STEP_S = 0.1
HERE, THERE = [20.0, 20, 60, 120], [690.0, 440, 740, 560]


def tracks(*boxes_and_scores):
    found = Detections(
        np.array([box for box, _ in boxes_and_scores], np.float32).reshape(-1, 4),
        np.array([score for _, score in boxes_and_scores], np.float32),
        np.zeros(len(boxes_and_scores), np.int64),
    )
    made = Tracks.born(found, 1 + np.arange(len(found)))
    made.reported = made.scores >= 0.3
    return made


def attention(shape=SHAPE):
    made = Attention(report_score=0.3)
    made.reset(shape)
    return made


def holds(tile, box):
    left, top, right, bottom = box
    across = tile.x <= left and right <= tile.x + tile.width
    return across and tile.y <= top and bottom <= tile.y + tile.height


def looks(made, objects, count, after=None):
    """Look closely ``count`` times; the parts, in order."""
    parts = []
    for _ in range(count):
        made.look(UNKNOWN, 0.5, STEP_S)
        parts.append(made.choose(objects))
        made.seen(parts[-1], objects, after(parts[-1]) if after else objects)
    return parts


def test_an_undecided_track_is_looked_at_before_a_sure_one():
    made = attention()
    assert holds(made.choose(tracks((HERE, 0.25), (THERE, 0.95))), HERE)
    assert holds(made.choose(tracks((HERE, 0.95), (THERE, 0.25))), THERE)


def test_overlapped_tracks_are_looked_at_before_one_that_stands_alone():
    behind = [710.0, 440, 760, 560]
    part = attention().choose(tracks((HERE, 0.9), (THERE, 0.9), (behind, 0.9)))
    assert holds(part, THERE)
    assert holds(part, behind)


def test_a_part_whose_border_cuts_a_track_is_not_chosen_for_it():
    for left in range(0, 700, 20):
        box = [float(left), 250, left + 60.0, 390]
        assert holds(attention().choose(tracks((box, 0.25))), box)


def test_no_place_is_starved_by_a_track_that_stays_undecided():
    parts = looks(attention(), tracks((HERE, 0.25)), 100)
    assert sum(holds(part, HERE) for part in parts) > 15
    seen = np.zeros(SHAPE[:2], int)
    for part in parts:
        part.crop(seen)[...] += 1
    assert seen.min() > 0


def test_a_part_in_which_looks_change_the_answer_is_looked_at_more_often():
    none, one = tracks(), tracks((THERE, 0.9))
    parts = looks(attention(), none, 60, lambda part: one if holds(part, THERE) else none)
    assert sum(holds(part, THERE) for part in parts) > 2 * sum(holds(part, HERE) for part in parts)


@pytest.mark.parametrize('shift', [400.0, -400.0])
@pytest.mark.parametrize('moves', [True, False])
def test_what_was_looked_at_moves_with_the_camera(shift, moves):
    """Of two tracks that are as undecided, the one is chosen at which nobody has looked yet."""
    made, scale = attention(), 0.5
    start = 20.0 if shift > 0 else 690.0
    there, beside = ([x, 200.0, x + 40, 300] for x in (start, start + shift))
    undecided = tracks((there, 0.25))
    made.seen(made.choose(undecided), undecided, undecided)
    step = np.array([[1, 0, moves * shift / 10 * scale], [0, 1, 0]])
    for _ in range(10):
        made.look(CameraMotion(step, known=True), scale, 0.0)
    looked_at, fresh = (beside, there) if moves else (there, beside)
    chosen = made.choose(tracks((there, 0.25), (beside, 0.25)))
    assert holds(chosen, fresh)
    assert not holds(chosen, looked_at)


def test_a_frame_no_larger_than_a_part_has_none():
    assert attention((300, 300, 3)).choose(tracks((HERE, 0.25))) is None


@pytest.mark.parametrize('passes', [1.0, 0.5, 1 / 3, 0.1])
def test_a_budget_is_spent_and_kept_to(passes):
    budget, spent = Budget(passes), 0
    for index in range(600):
        free = budget.frame()
        if free or index % 12 == 0:  # every twelfth frame is a key frame
            budget.spend()
            spent += 1
    assert abs(spent / 600 - passes) < 0.01


def test_key_frames_may_exceed_the_budget_and_leave_nothing():
    budget = Budget(0.25)
    for index in range(100):
        free = budget.frame()
        if index % 2 == 0:
            budget.spend()
        else:
            assert not free


def test_what_no_budget_or_quality_can_be_is_refused():
    with pytest.raises(ValueError, match='between 0 and 1; got 2'):
        Budget(2.0)
    with pytest.raises(ValueError, match="fast, balanced, best; got 'good'"):
        passes_of('good')
    with pytest.raises(ValueError, match="got 'good'"):
        set_up(EngineOptions(quality='good', threads=1))


@pytest.fixture(scope='module')
def frame():
    small = cv2.cvtColor(cv2.imread(str(FIXTURE / 'vtest_0621.webp')), cv2.COLOR_BGR2RGB)
    return cv2.resize(small, (640, 480))


@pytest.fixture(scope='module')
def best():
    return set_up(EngineOptions(quality='best', threads=1)).engine


def test_every_frame_of_the_best_quality_has_a_pass(best, frame):
    best.reset()
    results = [best.process(frame, index * STEP_S) for index in range(25)]
    exits = [result.exit for result in results]
    assert exits.count('closer') > 12
    assert 'track' not in exits
    assert list(best.paths)[-1] == 'full'
    assert best.paths['closer'] == best.paths['full']
    for result in results:
        assert len(result.segment_s) == len(best.paths[result.exit])
        assert sum(result.segment_s) == pytest.approx(result.latency_s, rel=0.01)


def test_closer_looks_find_what_is_too_small_for_the_whole_and_keep_ids(best, frame):
    far = np.full((960, 1280, 3), 110, np.uint8)
    far[240:720, 320:960] = frame
    full = set_up(EngineOptions(exits=False, threads=1)).engine
    best.reset()
    answers = [best.process(far, index * STEP_S).detections for index in range(40)][20:]
    wide = full.process(far, 0.0).detections
    assert len(wide) >= 4
    assert np.mean([len(answer) for answer in answers]) > len(wide) + 0.5
    ids = np.unique(np.concatenate([answer.ids for answer in answers]))
    assert len(ids) <= max(len(answer) for answer in answers) + 1


def test_segments_and_checks_know_closer_looks(best, frame):
    best.reset()
    begun = []
    while True:
        begun.clear()
        result = best.process(frame, 0.1, begun.append)
        if result.exit == 'closer':
            break
    assert begun == best.paths['closer']
    assert best.audit(frame, result) is None


@pytest.mark.parametrize('options', [{'exits': False}, {'quality': 'fast'}])
def test_nothing_is_looked_at_closer_where_that_is_not_asked_for(options):
    wanted = EngineOptions(**{'quality': 'best', 'threads': 1, **options})
    assert 'closer' not in set_up(wanted).engine.paths


def test_a_small_frame_is_tracked_as_without_closer_looks(best, frame):
    best.reset()
    small = cv2.resize(frame, (300, 300))
    exits = {best.process(small, index * STEP_S).exit for index in range(12)}
    assert 'track' in exits
    assert 'closer' not in exits
