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

"""YOLO exports with a decoded grid: the decoders against their exporters' suppression, in torch."""

import numpy as np
import pytest
import torch
from torchvision.ops import batched_nms, box_convert, clip_boxes_to_image

from e4_ros.vision.models.decoders import YoloDecoder, YoloObjectnessDecoder
from e4_ros.vision.placement import Placement

SIZE = (96, 128)
AS_IT_IS = Placement(SIZE, (1.0, 1.0), (0.0, 0.0))
CLASSES = 5


def random_rows(seed, objectness, count=300):
    """``(A, 4 [+ 1] + C)``: centres and sizes in pixels, scores."""
    rng = np.random.default_rng(seed)
    boxes = np.concatenate([rng.random((count, 2)) * SIZE[::-1], rng.uniform(5, 60, (count, 2))], 1)
    scores = rng.random((count, objectness + CLASSES)) ** 3
    return np.concatenate([boxes, scores], 1).astype(np.float32)


def reference(rows, objectness, min_score, iou):
    """`non_max_suppression` with the best class of each box, as the exporters' repositories do."""
    rows = torch.from_numpy(rows)
    scores = rows[:, 5:] * rows[:, 4:5] if objectness else rows[:, 4:]
    scores, labels = scores.max(1)
    good = scores >= min_score
    boxes = box_convert(rows[good, :4], 'cxcywh', 'xyxy')
    scores, labels = scores[good], labels[good]
    kept = batched_nms(boxes, scores, labels, iou)[:300]
    return clip_boxes_to_image(boxes[kept], SIZE), scores[kept], labels[kept]


def check(found, expected):
    boxes, scores, labels = expected
    assert len(found) > 30
    assert len(set(found.labels.tolist())) == CLASSES
    assert found.labels.tolist() == labels.tolist()
    np.testing.assert_allclose(found.scores, scores, rtol=1e-6)
    np.testing.assert_allclose(found.boxes, boxes, atol=1e-3)


@pytest.mark.parametrize('seed', range(3))
@pytest.mark.parametrize('transposed', [False, True])
def test_classes_without_objectness(seed, transposed):
    rows = random_rows(seed, objectness=False)
    output = rows[None] if transposed else np.ascontiguousarray(rows.T[None])
    decode = YoloDecoder(classes=CLASSES, transposed=transposed).for_input(SIZE)
    check(decode({'output': output}, AS_IT_IS, 0.3), reference(rows, False, 0.3, 0.7))


@pytest.mark.parametrize('seed', range(3))
def test_objectness_times_class(seed):
    rows = random_rows(seed, objectness=True)
    decode = YoloObjectnessDecoder(classes=CLASSES).for_input(SIZE)
    check(decode({'output': rows[None]}, AS_IT_IS, 0.1), reference(rows, True, 0.1, 0.45))


@pytest.mark.parametrize('make', [YoloDecoder, YoloObjectnessDecoder])
def test_shares_of_the_input_and_corners_are_read_alike(make):
    rows = random_rows(0, objectness=make is YoloObjectnessDecoder)
    shares, corners = rows.copy(), rows.copy()
    shares[:, :4] /= [128, 96, 128, 96]
    corners[:, :4] = box_convert(torch.from_numpy(rows[:, :4]), 'cxcywh', 'xyxy')
    turned = rows.T if make is YoloDecoder else rows
    plain = make(classes=CLASSES).for_input(SIZE)({'output': turned[None]}, AS_IT_IS, 0.2)
    for settings, other in [({'relative': True}, shares), ({'boxes': 'xyxy'}, corners)]:
        turned = other.T if make is YoloDecoder else other
        decode = make(classes=CLASSES, **settings).for_input(SIZE)
        found = decode({'output': turned[None]}, AS_IT_IS, 0.2)
        np.testing.assert_array_equal(found.scores, plain.scores)
        np.testing.assert_allclose(found.boxes, plain.boxes, atol=1e-3)


@pytest.mark.parametrize('make', [YoloDecoder, YoloObjectnessDecoder])
def test_an_output_of_other_classes_is_refused(make):
    with pytest.raises(ValueError, match=r'1×116×8400, .* 5 classes'):
        make(classes=5).for_input(SIZE)({'output': np.zeros((1, 116, 8400))}, AS_IT_IS, 0.1)


def test_thousands_of_boxes_end_as_at_most_three_hundred():
    rows = random_rows(1, objectness=False, count=8400)
    rows[:, 2:4] = 1  # so small that few overlap
    decode = YoloDecoder(classes=CLASSES, transposed=True).for_input(SIZE)
    found = decode({'output': rows[None]}, AS_IT_IS, 0.1)
    assert len(found) == 300
    best = np.sort(rows[:, 4:].max(1))[::-1]
    assert found.scores[0] == best[0]
    assert found.scores[-1] > best[600]
