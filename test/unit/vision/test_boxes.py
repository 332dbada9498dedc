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

"""Boxes: equal to what torchvision and scipy compute, and defined where those are not."""

from __future__ import annotations

import doctest
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

import e4_ros.vision.boxes as boxes_module
from e4_ros.vision.boxes import clip, iou_matrix, match, nms

# Whole numbers: torchvision's batched_nms moves the classes apart, which rounds others.
side = st.integers(0, 12)
corner = st.integers(0, 40)
box = st.tuples(corner, corner, side, side)
some_boxes = st.lists(box, max_size=40)
limits = st.sampled_from([0.0, 0.3, 0.45, 0.5, 0.6, 0.7, 1.0])


@pytest.fixture(scope='module')
def torchs():
    """The yardstick, imported before hypothesis looks at the time."""
    return pytest.importorskip('torch'), pytest.importorskip('torchvision.ops')


def corners(rows):
    return np.array([(x, y, x + w, y + h) for x, y, w, h in rows], np.float32).reshape(-1, 4)


def scored(rows, seed):
    """Scores of few values, so that some are equal, and labels of three classes."""
    rng = np.random.default_rng(seed)
    boxes = corners(rows)
    return (
        boxes,
        rng.integers(1, 6, len(boxes)).astype(np.float32) / 5,
        rng.integers(0, 3, len(boxes)),
    )


def test_overlap_of_known_boxes():
    boxes = np.array([[0, 0, 2, 2], [1, 0, 3, 2], [5, 5, 6, 6], [0, 0, 0, 0]], np.float32)
    expected = [[1, 1 / 3, 0, 0], [1 / 3, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    assert iou_matrix(boxes, boxes) == pytest.approx(np.array(expected))


@pytest.mark.parametrize('kind', [np.uint8, np.int64, np.float32, np.float64])
def test_boxes_of_any_type_overlap_alike(kind):
    overlap = iou_matrix(np.array([[0, 0, 2, 2]], kind), np.array([[1, 0, 3, 2]], kind))
    assert overlap == pytest.approx(np.array([[1 / 3]]))


@given(some_boxes, some_boxes)
def test_overlap_equals_torchvisions(torchs, first, second):
    torch, ops = torchs
    a, b = corners(first), corners(second)
    theirs = ops.box_iou(torch.from_numpy(a), torch.from_numpy(b)).numpy()
    assert np.array_equal(iou_matrix(a, b), np.nan_to_num(theirs))  # 0 / 0 is NaN there


@given(some_boxes, limits, st.integers(0, 99))
def test_suppression_equals_torchvisions(torchs, rows, iou, seed):
    torch, ops = torchs
    boxes, scores, labels = scored(rows, seed)
    tensors = [torch.from_numpy(array) for array in (boxes, scores, labels)]
    assert nms(boxes, scores, iou).tolist() == ops.nms(*tensors[:2], iou).tolist()
    assert nms(boxes, scores, iou, labels).tolist() == ops.batched_nms(*tensors, iou).tolist()


@pytest.mark.parametrize('count', [127, 128, 129, 1000])
def test_a_crowd_is_suppressed_as_by_torchvision(torchs, count):
    torch, ops = torchs
    rng = np.random.default_rng(count)
    low = rng.uniform(0, 300, (count, 2))
    boxes = np.concatenate([low, low + rng.uniform(5, 80, (count, 2))], 1).astype(np.float32)
    scores = rng.random(count).astype(np.float32)
    kept = ops.nms(torch.from_numpy(boxes), torch.from_numpy(scores), 0.5).tolist()
    assert nms(boxes, scores, 0.5).tolist() == kept
    assert nms(boxes, scores, 0.5, most=7).tolist() == kept[:7]
    assert 7 < len(kept) < count


@given(some_boxes, limits, st.integers(0, 99))
def test_suppression_is_what_its_definition_says(rows, iou, seed):
    boxes, scores, labels = scored(rows, seed)
    overlap, kept = iou_matrix(boxes, boxes), []
    for index in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        rivals = [k for k in kept if labels[k] == labels[index]]
        if not any(overlap[index, k] > iou for k in rivals):
            kept.append(index)
    assert nms(boxes, scores, iou, labels).tolist() == kept


def test_a_box_with_a_nan_suppresses_nothing_and_pairs_with_nothing():
    nan = float('nan')
    boxes = np.array([[0, 0, 9, 9], [nan, 0, 9, 9], [0, 0, 9, nan], [0, 0, 9, 9]], np.float32)
    assert iou_matrix(boxes, boxes).tolist() == [[1, 0, 0, 1], [0] * 4, [0] * 4, [1, 0, 0, 1]]
    assert nms(boxes, np.array([0.5, 0.9, 0.8, 0.6]), 0.5).tolist() == [1, 2, 3]
    assert nms(boxes, np.array([nan, 0.9, 0.8, 0.6]), 0.5).tolist() == [1, 2, 3]


def test_nothing_is_left_of_nothing():
    nothing = np.zeros((0, 4), np.float32)
    assert nms(nothing, np.zeros(0), 0.5).tolist() == []
    assert iou_matrix(nothing, np.ones((3, 4))).shape == (0, 3)
    assert [len(part) for part in match(np.zeros((0, 3)))] == [0, 0]


tables = st.integers(1, 7).flatmap(
    lambda columns: st.lists(
        st.lists(st.integers(0, 9), min_size=columns, max_size=columns), min_size=1, max_size=7
    )
)


@given(tables)
def test_pairs_are_worth_as_much_as_scipys(table):
    worth = np.array(table) / 8
    rows, columns = match(worth)
    best = linear_sum_assignment(worth, maximize=True)
    assert worth[rows, columns].sum() == worth[best].sum()
    assert (worth[rows, columns] > 0).all()
    assert len(set(columns.tolist())) == len(columns)
    assert rows.tolist() == sorted(set(rows.tolist()))


@pytest.mark.parametrize(('people', 'seed'), [*itertools.product([20, 100], range(5))])
def test_a_crowd_is_paired_as_by_scipy(people, seed):
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 200, (people, 2))
    before = np.concatenate([low, low + rng.uniform(20, 40, (people, 2))], 1)
    now = rng.permutation(before + rng.normal(0, 8, before.shape))[: people - seed]
    overlap = iou_matrix(before, now)
    assert (np.bincount(overlap.argmax(1)) > 1).any(), 'no two want the same'
    best = linear_sum_assignment(overlap, maximize=True)
    pairs = [(r, c) for r, c in zip(*best, strict=True) if overlap[r, c] > 0]
    assert list(zip(*match(overlap), strict=True)) == pairs


def test_a_worth_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match='NaN or infinite'):
        match(np.array([[0.5, float('nan')]]))


def test_corners_are_moved_into_the_image():
    boxes = np.array([[-5, 2, 700, 9], [650, -9, 660, -1]], np.float32)
    inside = clip(boxes, (480, 640, 3))
    assert inside.tolist() == [[0, 2, 640, 9], [640, 0, 640, 0]]
    assert inside.dtype == np.float32


def test_the_examples_in_the_docstrings_hold():
    assert doctest.testmod(boxes_module).attempted >= 4
    assert doctest.testmod(boxes_module).failed == 0
