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

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from e4_ros.evaluation.metrics import agreement, f1, top1
from e4_ros.vision.boxes import iou_matrix
from e4_ros.vision.detections import Detections


def detections(*rows: tuple[float, ...], labels: list[int] | None = None) -> Detections:
    """Boxes from rows of ``x0, y0, x1, y1, score``."""
    table = np.array(rows, float).reshape(-1, 5)
    return Detections.of(table[:, :4], table[:, 4], None if labels is None else np.array(labels))


A, B = (0, 0, 10, 10), (100, 0, 110, 10)


def test_f1_counts_over_all_frames():
    # Frame 1: both found. Frame 2: one of two found, and one invented: 3 true of 4 and 4.
    found = [detections((*A, 0.9), (*B, 0.9)), detections((*A, 0.9), (200, 0, 210, 10, 0.9))]
    reference = [detections((*A, 0.9), (*B, 0.9)), detections((*A, 0.9), (*B, 0.9))]
    assert f1(found, reference) == pytest.approx(0.75)


def test_only_boxes_above_the_score_count():
    assert f1([detections((*A, 0.5))], [detections((*A, 0.9))]) == 0.0
    assert f1([detections((*A, 0.5))], [detections((*A, 0.9))], score=0.4) == 1.0


def test_nothing_seen_twice_agrees_and_nothing_against_something_does_not():
    assert f1([Detections.empty()], [Detections.empty()]) == 1.0
    assert f1([Detections.empty()], [detections((*A, 0.9))]) == 0.0


def test_a_box_matches_one_box_only():
    twice = detections((*A, 0.9), (0, 0, 10, 9, 0.8))
    assert f1([twice], [detections((*A, 0.9))]) == pytest.approx(2 / 3)


def test_labels_must_be_the_same():
    a = detections((*A, 0.9), labels=[1])
    assert f1([a], [detections((*A, 0.9), labels=[2])]) == 0.0
    assert f1([a], [a]) == 1.0


def test_the_most_matches_are_found_where_greedy_would_lose_one():
    # The first box overlaps both references, best with the one that only it can leave over.
    a = detections((0, 0, 10, 10, 0.9), (0, 0, 10, 6, 0.8))
    b = detections((0, 0, 10, 9, 0.9), (0, 2, 10, 12, 0.8))
    assert f1([a], [b]) == 1.0


def test_lists_of_different_length_are_refused():
    with pytest.raises(ValueError, match='shorter'):
        f1([Detections.empty()], [])


coordinate = st.integers(0, 12)
boxes = st.lists(
    st.tuples(coordinate, coordinate, st.integers(1, 9), st.integers(1, 9)), max_size=4
)


@given(boxes, boxes)
def test_matches_equal_a_search_through_all_pairings(first, second):
    a, b = (
        detections(*[(x, y, x + w, y + h, 0.9) for x, y, w, h in rows]) for rows in (first, second)
    )
    few, many = sorted((a, b), key=len)
    hits = iou_matrix(few.boxes, many.boxes) >= 0.5
    best = max(
        (sum(hits[i, j] for i, j in enumerate(p)) for p in
         itertools.permutations(range(len(many)), len(few))), default=0,
    )  # fmt: skip
    expected = 2 * best / (len(a) + len(b)) if len(a) + len(b) else 1.0
    assert f1([a], [b]) == f1([b], [a]) == pytest.approx(expected)


def test_top1_is_about_the_best_label():
    cat, dog = (Detections.of_class(label, 0.8, (10, 10)) for label in (1, 2))
    assert top1([cat, cat, dog, Detections.empty()], [cat, dog, dog, Detections.empty()]) == 0.75
    with pytest.raises(ValueError, match='no detections'):
        top1([], [])


def test_agreement_follows_the_task():
    a = detections((*A, 0.9), (*B, 0.8))
    b = detections((*A, 0.9))
    assert agreement('detect', [a], [b]) == pytest.approx(2 / 3)
    assert agreement('classify', [a], [b]) == 1.0
    assert agreement('detect', [a], [Detections.empty()]) == 0.0


def test_two_answers_that_say_nothing_do_not_agree_by_1():
    unsure = detections((*A, 0.3))
    assert agreement('detect', [Detections.empty(), unsure], [unsure, Detections.empty()]) is None
