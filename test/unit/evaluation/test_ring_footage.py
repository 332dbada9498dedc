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

"""A ring as a source and as footage: what was kept, in order, with its own stamps."""

from __future__ import annotations

import numpy as np
import pytest

from e4_ros.evaluation.learning_demo import LearningRun
from e4_ros.evaluation.report.learning_picture import learning_figure
from e4_ros.evaluation.ring_certificate import RingVerdict, newer_footage
from e4_ros.evaluation.ring_footage import frames_to_certify, held_back, read_footage
from e4_ros.evaluation.sources import SourceError, open_source
from e4_ros.evaluation.sources.ring import RingSource
from e4_ros.perception.key_frame_ring import KeyFrameRing, ring_files
from e4_ros.perception.records import FrameRecord
from e4_ros.perception.ring_entry import RingEntry, encode_entry
from e4_ros.vision.calibration.calibrate import Promise
from e4_ros.vision.calibration.learn_then_test import RiskError
from e4_ros.vision.detections import Detections
from e4_ros.vision.inference.frame_result import FrameResult

BOX = Detections.of(np.array([[1, 2, 30, 40]]), np.array([0.9]))


def make_ring(folder, runs, size=(24, 32)):
    """A ring of runs, each a list of stamps."""
    ring = KeyFrameRing(folder, 8)
    for number, stamps in enumerate(runs, ring.next_run):
        for place, stamp_s in enumerate(stamps):
            frame = np.full((*size, 3), (number * 40 + place) % 256, np.uint8)
            ring.put(number, place, encode_entry(frame, RingEntry(stamp_s, 'full', BOX)))
    ring.close()
    return folder


def tenths(first: int, count: int) -> list[float]:
    return [n / 10 for n in range(first, first + count)]


def test_a_ring_is_a_source_with_its_own_stamps(tmp_path):
    source = open_source(str(make_ring(tmp_path, [tenths(0, 3), tenths(80, 2)])))
    assert isinstance(source, RingSource)
    assert [stamp_s for stamp_s, _ in source] == [0.0, 0.1, 0.2, 8.0, 8.1]
    assert (source.frame_count, source.fps) == (5, pytest.approx(10))


def test_an_entry_that_is_cut_off_is_dropped_and_counted(tmp_path):
    make_ring(tmp_path, [tenths(0, 3)])
    cut = ring_files(tmp_path)[1].path
    cut.write_bytes(cut.read_bytes()[:200])
    source = open_source(str(tmp_path))
    assert [stamp_s for stamp_s, _ in source] == [0.0, 0.2]
    assert source.dropped == 1
    assert cut.name in source.problems[0]


def test_entries_that_go_while_they_are_read_are_no_problem(tmp_path):
    source = RingSource(make_ring(tmp_path, [tenths(0, 3)]))
    ring_files(tmp_path)[0].path.unlink()
    assert [stamp_s for stamp_s, _ in source] == [0.1, 0.2]
    assert (source.dropped, source.problems) == (1, [])


def test_only_what_is_newer_or_older_is_read_on_request(tmp_path):
    files = ring_files(make_ring(tmp_path, [tenths(0, 3), tenths(80, 2)]))
    newer = RingSource(tmp_path, after=files[2])
    older = RingSource(tmp_path, newest=2, until=files[2])
    assert [stamp_s for stamp_s, _ in newer] == [8.0, 8.1]
    assert [stamp_s for stamp_s, _ in older] == [0.1, 0.2]


def test_an_empty_ring_says_how_to_fill_it(tmp_path):
    KeyFrameRing(tmp_path, 8).close()
    with pytest.raises(SourceError, match='ring_mb above 0'):
        open_source(str(tmp_path))


def test_stamps_of_footage_rise_also_over_two_drives(tmp_path):
    make_ring(tmp_path, [tenths(500, 3), tenths(0, 3)])
    (clip,) = read_footage(RingSource(tmp_path)).clips
    stamps = [stamp_s for stamp_s, _ in clip]
    assert np.all(np.diff(stamps) > 0)
    assert np.diff(stamps)[[0, 1, 3, 4]] == pytest.approx(0.1)
    assert stamps[3] - stamps[2] == pytest.approx(1.0)


def test_each_image_size_is_a_clip_and_small_ones_are_left_out(tmp_path):
    make_ring(tmp_path, [tenths(0, 5)])
    make_ring(tmp_path, [tenths(50, 2)], size=(48, 64))
    both = read_footage(RingSource(tmp_path))
    assert [len(clip) for clip in both.clips] == [5, 2]
    assert both.frames == 7
    assert [len(clip) for clip in read_footage(RingSource(tmp_path), least=3).clips] == [5]
    assert both.newest == ring_files(tmp_path)[-1]


def test_where_nothing_newer_comes_the_newest_are_held_back(tmp_path):
    promise = Promise(0.5, 0.5)
    make_ring(tmp_path, [tenths(0, 150)])
    needed = frames_to_certify(RingSource(tmp_path), promise)
    assert needed == 38  # one block of a second with half a second behind it, 2.5 times
    last = held_back(tmp_path, promise)
    assert sum(file > last for file in ring_files(tmp_path)) == needed


def test_too_small_a_ring_for_both_says_how_much_is_missing(tmp_path):
    make_ring(tmp_path, [tenths(0, 50)])
    with pytest.raises(SourceError, match='holds 50 frames'):
        held_back(tmp_path, Promise(0.1, 0.95))


def verdict(**changes) -> RingVerdict:
    return RingVerdict(**{'certified': True, 'frames': 300, 'mean_loss': 0.01, 'early_share': 0.9,
                          'f1_before': 0.7, 'f1_after': 0.8, **changes})  # fmt: skip


@pytest.mark.parametrize(
    ('changes', 'taken', 'words'),
    [
        ({}, True, 'certified on 300 newer frames'),
        ({'certified': False, 'early_share': 0.0}, False, 'nothing could be certified'),
        ({'early_share': 0.0}, False, 'no new exit trusts itself'),
        ({'f1_after': 0.695}, True, 'certified on'),
        ({'f1_after': 0.685}, False, 'worse than what answers now'),
        ({'f1_before': None, 'f1_after': None}, False, 'nothing was to be found'),
    ],
)
def test_only_exits_that_are_safe_useful_and_no_worse_are_taken_over(changes, taken, words):
    found = verdict(**changes)
    assert found.take_over is taken
    assert words in found.words


def run_of(exits: list[str], swapped: int | None = None) -> LearningRun:
    records = [
        FrameRecord(n, n / 10, FrameResult(BOX, name, 0.0, {}, [0.01], 0.01))
        for n, name in enumerate(exits)
    ]
    reference = [BOX if n % 2 else Detections.empty() for n in range(len(exits))]
    return LearningRun(records, reference, 4, swapped, 'words')


def test_quality_and_key_frames_of_a_part_are_its_own():
    run = run_of(['full', 'track', 'exit1', 'temporal', 'track', 'full'])
    assert run.key_frames(0, 4) == 0.5
    assert run.f1(1, 2) == 1.0
    assert run.f1(0, 4) == pytest.approx(2 * 2 / 6)
    assert run.mean_ms(0, 6) == pytest.approx(10)


def test_the_picture_has_both_parts_and_marks_the_swap():
    figure = learning_figure(run_of(['full'] * 100 + ['temporal'] * 100, swapped=100))
    assert {trace.name for trace in figure.data} == {'nothing fitted', 'fitted on the way'}
    words = [note.text for note in figure.layout.annotations]
    assert 'learned until here' in words
    assert 'certified on newer frames: swap' in words


def test_the_picture_of_a_fit_that_failed_has_one_part():
    figure = learning_figure(run_of(['full'] * 60))
    assert {trace.name for trace in figure.data} == {'nothing fitted'}


def test_newer_frames_are_asked_for_before_the_first_has_come(tmp_path):
    """Whoever drives may stand still until it is told how many are wanted."""
    make_ring(tmp_path, [tenths(0, 60)])
    last = ring_files(tmp_path)[-1]
    told = []
    with pytest.raises(RiskError, match='no newer frames'):
        newer_footage(tmp_path, last, Promise(0.5, 0.5), lambda *told_: told.append(told_), 600.0)
    assert told == [('newer frames', 0, 38)]


def test_newer_frames_are_waited_for_while_somebody_writes(tmp_path):
    make_ring(tmp_path, [tenths(0, 60)])
    last = ring_files(tmp_path)[-1]
    ring, told = KeyFrameRing(tmp_path, 8), []

    def drive(phase, done, needed):
        told.append((done, needed))
        if done < needed:
            for place in range(needed):
                frame = np.full((24, 32, 3), place, np.uint8)
                entry = RingEntry(100 + place / 10, 'full', BOX)
                ring.put(1, place, encode_entry(frame, entry))

    footage = newer_footage(tmp_path, last, Promise(0.5, 0.5), drive, 600.0)
    assert told == [(0, 38), (38, 38)]
    assert footage.frames == 38
    ring.close()
