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

"""Plain readings of detectors, on outputs whose meaning is known."""

from __future__ import annotations

import numpy as np
import pytest

from e4_ros.benchmarks.models import plain
from e4_ros.vision.boxes import nms

SIZE = (64, 96)
CELLS = 8 * 12 + 4 * 6 + 2 * 3


def test_suppression_is_that_of_the_robot():
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 60, (200, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(5, 40, (200, 2))], 1)
    scores, labels = rng.uniform(0, 1, 200), rng.integers(0, 3, 200)
    kept = plain.suppressed((boxes, scores, labels), 0.45)
    np.testing.assert_array_equal(kept[1], scores[nms(boxes, scores, 0.45, labels)])


@pytest.mark.parametrize('decoded', [False, True])
def test_a_grid_is_read_raw_or_decoded(decoded):
    rng = np.random.default_rng(1)
    raw = rng.normal(0.5, 0.3, (1, CELLS, 5 + 4))
    raw[..., 2:4] = rng.normal(0, 0.5, (1, CELLS, 2))
    raw[..., 4:] = rng.uniform(0, 1, (1, CELLS, 5))
    row, column = divmod(17, 12)  # cell 17 of the finest map, of stride 8
    raw[0, 17] = [0.5, 0.25, np.log(2), np.log(3), 0.9, 0.1, 0.2, 0.8, 0.3]
    output = raw
    if decoded:
        output = raw.copy()
        cells, steps = plain.grid(SIZE, (8, 16, 32))
        output[0, :, :2] = (raw[0, :, :2] + cells) * steps
        output[0, :, 2:4] = np.exp(raw[0, :, 2:4]) * steps
    boxes, scores, labels = plain.yolox([output], SIZE)
    x, y = (column + 0.5) * 8, (row + 0.25) * 8
    np.testing.assert_allclose(boxes[17], [x - 8, y - 12, x + 8, y + 12])
    assert (scores[17], labels[17]) == (pytest.approx(0.72), 2)


@pytest.mark.parametrize('transposed', [False, True])
def test_boxes_with_their_classes_are_read_lying_or_standing(transposed):
    output = np.zeros((1, 6, CELLS))
    output[0, :, 5] = [48, 32, 20, 10, 0.2, 0.7]
    output = output.transpose(0, 2, 1) if transposed else output
    boxes, scores, labels = plain.yolo([output], SIZE)
    np.testing.assert_allclose(boxes[5], [38, 27, 58, 37])
    assert (scores[5], labels[5]) == (0.7, 1)


def test_every_class_of_a_query_is_an_answer():
    logits = np.full((1, 5, 3), -9.0)
    logits[0, 2] = [0.0, -9.0, 2.0]
    boxes = np.full((1, 5, 4), 0.5)
    boxes[0, 2] = [0.5, 0.5, 0.25, 0.5]
    for outputs in ([logits, boxes], [boxes, logits]):
        where, scores, labels = plain.detr(outputs, SIZE)
        sure = scores > 0.3
        np.testing.assert_allclose(where[sure], [[36, 16, 60, 48]] * 2)
        assert labels[sure].tolist() == [0, 2]
        assert scores[sure] == pytest.approx([0.5, 1 / (1 + np.exp(-2))])


@pytest.mark.parametrize(('strides', 'middle'), [((8, 16, 32), 0.5), ((8, 16, 32, 64), 0.0)])
def test_distributions_are_distances_from_the_middle_of_a_cell_or_its_corner(strides, middle):
    count = len(plain.grid(SIZE, strides)[0])
    output = np.zeros((1, count, 3 + 32))
    output[0, 17, :3] = [0.1, 0.8, 0.3]
    for side, distance in enumerate((1, 2, 3, 4)):
        output[0, 17, 3 + 8 * side + distance] = 50
    boxes, scores, labels = plain.distribution([output], SIZE)
    row, column = divmod(17, 12)
    x, y = (column + middle) * 8, (row + middle) * 8
    np.testing.assert_allclose(boxes[17], [x - 8, y - 16, x + 24, y + 32], atol=1e-6)
    assert (scores[17], labels[17]) == (0.8, 1)


@pytest.mark.parametrize('centred', [False, True])
def test_a_letterbox_leads_there_and_back(centred):
    frame = np.full((30, 90, 3), 200, np.uint8)
    image, (scale_x, scale_y, left, top) = plain.letterbox(frame, SIZE, centred)
    assert (scale_x, scale_y) == (pytest.approx(96 / 90), pytest.approx(32 / 30))
    inside = np.argwhere(image[..., 0] != 114)
    assert inside.min(0).tolist() == [top, left]
    assert (top, left) == ((16, 0) if centred else (0, 0))
    assert inside.max(0).tolist() == [top + 31, 95]
