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

import dataclasses

import numpy as np
import pytest
from trackers.eval import compute_clear_metrics

from e4_ros.evaluation.metrics import (
    Counts,
    FrameLabels,
    Labels,
    count,
    f1_difference,
    f1_interval,
    judge,
)
from e4_ros.vision.boxes import iou_matrix
from e4_ros.vision.detections import Detections

A, B, C = [0, 0, 10, 20], [100, 0, 110, 20], [200, 0, 210, 20]


def answer(*rows, ids=None, label=0):
    """Detections from pairs of box and score, by falling score."""
    boxes = np.array([box for box, _ in rows], float).reshape(-1, 4)
    made = Detections.of(boxes, np.array([s for _, s in rows]), np.full(len(rows), label))
    return made if ids is None else dataclasses.replace(made, ids=np.array(ids, np.int64))


def truth(*boxes, ids=None, counted=None):
    return FrameLabels.of(np.array(boxes, float), ids, counted)


def street(*frames, **about):
    return Labels('street', list(frames), **about)


def test_figures_that_can_be_worked_out_on_paper():
    # Frame 0: A found, B missed. Frame 1: both found. Frame 2: both found and one invented.
    both = truth(A, B, ids=[1, 2])
    answers = [
        answer((A, 0.9)),
        answer((A, 0.9), (B, 0.6)),
        answer((C, 0.95), (A, 0.9), (B, 0.4)),
    ]
    judged = judge(answers, street(both, both, both), min_score=0.2)
    assert judged.counts == Counts(5, 6, 6)
    assert judged.f1 == pytest.approx(5 / 6)
    assert judged.counts.precision == judged.counts.recall == pytest.approx(5 / 6)
    at = {(row.iou, row.min_score): row.counts for row in judged.rows}
    assert at[0.5, 0.5] == Counts(4, 5, 6)
    assert at[0.5, 0.8] == Counts(3, 4, 6)
    assert len(at) == 18
    # By falling score: C wrong, then 5 hits of 6. Precision is at most 5/6, up to a recall of 5/6,
    # which is 84 of COCO's 101 points.
    assert judged.average_precision == pytest.approx(84 / 101 * 5 / 6)
    assert (judged.delay.mean_frames, judged.delay.reported, judged.delay.never) == (0.5, 2, 0)
    assert judged.tracking is None  # the answers have no ids


def test_the_overlap_that_makes_a_hit_is_said_in_each_row():
    wide = [0, 0, 22, 20]  # IoU 10/22 with A
    rows = judge([answer((wide, 0.9))], street(truth(A))).rows
    assert {(row.iou, row.counts.hits) for row in rows} == {(0.4, 1), (0.5, 0)}


def test_a_score_at_the_limit_is_published_and_so_judged():
    assert count([answer((A, 0.5))], street(truth(A)), min_score=0.5) == Counts(1, 1, 1)
    assert count([answer((A, 0.49))], street(truth(A)), min_score=0.5) == Counts(0, 0, 1)


def test_nothing_on_either_side_is_no_figure_rather_than_a_perfect_one():
    judged = judge([Detections.empty()] * 3, street(truth(), truth(), truth()))
    assert judged.counts == Counts(0, 0, 0)
    assert judged.f1 is judged.counts.precision is judged.counts.recall is None
    assert judged.average_precision is judged.delay is judged.tracking is None
    assert judged.interval() is None


def test_nothing_found_of_what_is_there_is_zero():
    judged = judge([Detections.empty()] * 2, street(truth(A, ids=[1]), truth(A, ids=[1])))
    assert judged.f1 == judged.counts.recall == 0
    assert judged.counts.precision is None
    assert (judged.delay.mean_frames, judged.delay.reported, judged.delay.never) == (None, 0, 1)


def test_ignore_regions_are_neither_hits_nor_misses():
    labels = street(truth(A, B, counted=[True, False]))
    assert count([answer((A, 0.9), (B, 0.9), (C, 0.9))], labels) == Counts(1, 2, 1)
    assert count([answer((A, 0.9))], labels) == Counts(1, 1, 1)


def test_a_detection_goes_to_the_ignore_region_that_it_fits_better():
    near = [2, 0, 12, 20]  # IoU 8/12 with A
    labels = street(truth(A, near, counted=[True, False]))
    assert count([answer((near, 0.9))], labels) == Counts(0, 0, 1)
    assert count([answer((A, 0.9))], labels) == Counts(1, 1, 1)
    assert count([answer((near, 0.9), (A, 0.8))], labels) == Counts(1, 1, 1)


def test_average_precision_leaves_ignore_regions_out():
    labels = street(truth(A, B, counted=[True, False]))
    assert judge([answer((B, 0.9), (A, 0.8))], labels).average_precision == pytest.approx(1)


def test_answers_of_classes_that_nobody_labelled_are_left_out():
    cars = answer((B, 0.9), label=3)
    labels = street(truth(A), classes=frozenset({0}))
    assert count([cars], labels) == Counts(0, 0, 1)
    assert count([cars], street(truth(A))) == Counts(0, 1, 1)
    assert count([answer((A, 0.9), label=3)], street(truth(A))) == Counts(0, 1, 1)


def test_delay_counts_from_the_first_label_to_the_first_hit():
    # 1 appears in frame 1 and is found in frame 3; 2 in frame 2, found at once; 3 never.
    labels = street(
        truth(ids=[]), truth(A, ids=[1]), truth(A, B, ids=[1, 2]), truth(A, B, C, ids=[1, 2, 3])
    )
    answers = [answer(), answer(), answer((B, 0.9)), answer((A, 0.9), (B, 0.9), (C, 0.1))]
    delay = judge(answers, labels).delay
    assert (delay.mean_frames, delay.reported, delay.never) == (1.0, 2, 1)


def test_an_object_that_was_there_before_the_judged_frames_is_not_new():
    labels = street(truth(A, ids=[1]), truth(A, ids=[1]), truth(A, B, ids=[1, 2]))
    found = [answer(), answer((A, 0.9), (B, 0.9))]
    judged = judge(found, labels, frames=[1, 2])
    assert judged.frames == [1, 2]
    assert judged.counts == Counts(2, 2, 3)
    assert (judged.delay.mean_frames, judged.delay.reported) == (0.0, 1)


def test_only_frames_with_labels_are_judged():
    labels = street(truth(A), first=2)
    judged = judge([answer((A, 0.9))] * 5, labels)
    assert judged.frames == [2]
    assert judged.counts == Counts(1, 1, 1)
    with pytest.raises(ValueError, match='shorter'):
        judge([answer()], labels, frames=[1, 2])


def test_id_switches_are_those_of_the_benchmark():
    both = truth(A, B, ids=[1, 2])
    kept = [answer((A, 0.9), (B, 0.8), ids=[5, 6])] * 2
    swapped = answer((A, 0.9), (B, 0.8), ids=[6, 5])
    assert judge([*kept, kept[0]], street(both, both, both)).tracking.id_switches == 0
    tracking = judge([*kept, swapped], street(both, both, both)).tracking
    assert tracking.id_switches == 2
    assert tracking.idf1 == pytest.approx(4 / 6)  # of three frames, ids are right in two
    assert tracking.mota == pytest.approx(1 - 2 / 6)


def test_an_id_switch_is_also_seen_behind_a_gap():
    one = truth(A, ids=[1])
    answers = [answer((A, 0.9), ids=[5]), answer(), answer((A, 0.9), ids=[7])]
    assert judge(answers, street(one, one, one)).tracking.id_switches == 1


def test_hits_are_those_that_the_library_counts():
    rng = np.random.default_rng(3)
    answers, frames = [], []
    for _ in range(40):
        corners = rng.uniform(0, 60, (9, 2))
        boxes = np.hstack([corners, corners + rng.uniform(10, 25, (9, 2))])
        moved = boxes + rng.normal(0, 2.5, boxes.shape)
        frames.append(FrameLabels.of(boxes, np.arange(9)))
        keep = rng.random(9) < 0.7
        answers.append(Detections.of(moved[keep], np.ones(keep.sum())))
    ids = [np.arange(len(a)) + 100 * i for i, a in enumerate(answers)]
    overlaps = [
        iou_matrix(f.boxes, a.boxes.astype(float)) for f, a in zip(frames, answers, strict=True)
    ]
    theirs = compute_clear_metrics([f.ids for f in frames], ids, overlaps)
    ours = count(answers, Labels('street', frames))
    assert (ours.hits, ours.detections - ours.hits) == (theirs['CLR_TP'], theirs['CLR_FP'])
    assert 0 < ours.hits < ours.detections


def test_another_stream_of_answers_may_be_the_reference():
    reference = [answer((A, 0.9), (B, 0.3), ids=[1, 2])] * 3
    ours = [answer((A, 0.9), ids=[4]), answer((A, 0.9), (B, 0.9), ids=[4, 5]), answer()]
    judged = judge(ours, Labels.of_answers(reference, 0.2), 0.2)
    assert judged.counts == Counts(3, 3, 6)
    assert (judged.delay.mean_frames, judged.delay.reported) == (0.5, 2)
    assert judged.tracking.id_switches == 0


def test_the_interval_holds_f1_and_is_wider_for_blocks_than_for_frames():
    # Stretches of ten frames that are all good or all bad, as objects come and go.
    rng = np.random.default_rng(0)
    counts = [Counts(int(good), 1, 1) for good in rng.random(60) < 0.6 for _ in range(10)]
    f1 = sum(c.hits for c in counts) / len(counts)
    frames, blocks = f1_interval(counts, block=1), f1_interval(counts, block=10)
    assert blocks[0] < f1 < blocks[1]
    assert blocks[1] - blocks[0] > 2 * (frames[1] - frames[0])
    # A mean of 60 draws of 0 or 1: 1.96 standard errors on each side.
    assert blocks[1] - blocks[0] == pytest.approx(2 * 1.96 * (f1 * (1 - f1) / 60) ** 0.5, rel=0.1)


def test_what_is_hard_for_both_does_not_widen_the_interval_of_the_difference():
    rng = np.random.default_rng(0)
    ours = [Counts(int(good), 1, 1) for good in rng.random(60) < 0.6 for _ in range(10)]
    low, high = f1_difference(ours, ours, block=10)
    assert low == high == 0
    worse = [Counts(0, c.detections, c.labels) if i < 50 else c for i, c in enumerate(ours)]
    low, high = f1_difference(worse, ours, block=10)
    assert low < high <= 0
    with pytest.raises(ValueError, match='cannot be compared'):
        f1_difference(ours, ours[1:])


def test_few_frames_have_no_interval():
    assert f1_interval([Counts(1, 1, 1)] * 70, block=10) is None
    assert f1_interval([Counts(0, 0, 0)] * 200, block=10) is None
    assert f1_interval([Counts(1, 1, 1)] * 80, block=10) == (1, 1)
