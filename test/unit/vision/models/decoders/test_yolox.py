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

"""YOLOX: its decoder against the formula of its authors, in torch."""

import cv2
import numpy as np
import onnxruntime as ort
import pytest
import torch
from torchvision.ops import batched_nms, box_convert, clip_boxes_to_image

from e4_ros.vision.models.decoders import YoloxDecoder
from e4_ros.vision.models.preprocessing import Letterbox
from e4_ros.vision.placement import Placement

SIZE = (96, 64)
STRIDES = (8, 16, 32)
AS_IT_IS = Placement(SIZE, (1.0, 1.0), (0.0, 0.0))
CELLS = 12 * 8 + 6 * 4 + 3 * 2


def boxes_of(raw, size):
    """The authors' `decode_outputs`: ``(A, 4 + ...)`` of the grid to corners in pixels."""
    grids, strides = [], []
    for stride in STRIDES:
        y, x = torch.meshgrid(
            torch.arange(size[0] // stride), torch.arange(size[1] // stride), indexing='ij'
        )
        grids.append(torch.stack([x, y], 2).reshape(-1, 2))
        strides.append(torch.full((len(grids[-1]), 1), stride))
    grid, step = torch.cat(grids), torch.cat(strides)
    return torch.cat([(raw[:, :2] + grid) * step, torch.exp(raw[:, 2:4]) * step], 1)


def reference(raw, size, min_score):
    """Its `postprocess` in its class-aware form."""
    boxes = box_convert(boxes_of(raw, size), 'cxcywh', 'xyxy')
    best, labels = raw[:, 5:].max(1)
    scores = raw[:, 4] * best
    good = scores >= min_score
    boxes, scores, labels = boxes[good], scores[good], labels[good]
    kept = batched_nms(boxes, scores, labels, 0.45)[:300]
    inside = clip_boxes_to_image(boxes, size)
    kept = kept[(inside[kept, 2:] > inside[kept, :2]).all(1)]  # random ones lie beside the frame
    return boxes[kept], scores[kept], labels[kept]


def random_grid(seed, classes=3):
    rng = np.random.default_rng(seed)
    boxes = rng.normal(0, 1, (CELLS, 4))
    scores = rng.random((CELLS, 1 + classes))
    return np.concatenate([boxes, scores], 1).astype(np.float32)


@pytest.mark.parametrize('seed', range(4))
@pytest.mark.parametrize('decoded', [False, True])
def test_it_says_what_the_authors_formula_says(seed, decoded):
    raw = random_grid(seed)
    boxes, scores, labels = reference(torch.from_numpy(raw), SIZE, 0.4)
    if decoded:
        raw = np.concatenate([boxes_of(torch.from_numpy(raw), SIZE).numpy(), raw[:, 4:]], 1)
    decode = YoloxDecoder(classes=3, decoded=decoded).for_input(SIZE)
    found = decode({'output': raw[None]}, AS_IT_IS, 0.4)
    assert len(found) > 20
    assert found.labels.tolist() == labels.tolist()
    np.testing.assert_allclose(found.scores, scores, rtol=1e-6)
    np.testing.assert_allclose(found.boxes, clip_boxes_to_image(boxes, SIZE), atol=1e-3)


def test_the_networks_output_is_left_as_it_was():
    raw = random_grid(0)
    before = raw.copy()
    YoloxDecoder(classes=3).for_input(SIZE)({'output': raw[None]}, AS_IT_IS, 0.1)
    np.testing.assert_array_equal(raw, before)


def test_nothing_that_scores_high_enough_is_an_empty_answer():
    decode = YoloxDecoder(classes=3).for_input(SIZE)
    assert len(decode({'output': np.zeros((1, CELLS, 8), np.float32)}, AS_IT_IS, 0.1)) == 0


@pytest.mark.parametrize(
    ('shape', 'words'),
    [
        ((1, CELLS, 85), r'1×126×85, not 1×126×8: .* 3 classes'),
        ((1, CELLS + 1, 8), r'1×127×8, not 1×126×8: cells of strides \(8, 16, 32\)'),
        ((CELLS, 8), '126×8, not'),
    ],
)
def test_an_output_of_another_shape_is_refused(shape, words):
    decode = YoloxDecoder(classes=3).for_input(SIZE)
    with pytest.raises(ValueError, match=words):
        decode({'output': np.zeros(shape, np.float32)}, AS_IT_IS, 0.1)


def test_an_output_of_another_name_is_refused():
    with pytest.raises(ValueError, match="no output 'output', only boxes, scores"):
        YoloxDecoder(classes=3).for_input(SIZE)({'boxes': 0, 'scores': 0}, AS_IT_IS, 0.1)


def test_a_real_yolox_sees_what_the_authors_way_sees(real_model, street):
    """Their preprocessing too: the upper left corner, sides cut to whole pixels, 114 around."""
    session = ort.InferenceSession(real_model('yolox_nano_416.onnx'))
    ratio = 416 / max(street.shape)
    inner = cv2.resize(street, None, fx=ratio, fy=ratio)
    canvas = np.full((416, 416, 3), 114, np.uint8)
    canvas[: inner.shape[0], : inner.shape[1]] = inner
    raw = torch.from_numpy(
        session.run(None, {'images': canvas[None, ..., ::-1].transpose(0, 3, 1, 2).astype('f4')})[0]
    )
    boxes, scores, labels = reference(raw[0], (416, 416), 0.3)

    prepare = Letterbox(
        size=(416, 416), mean=(0, 0, 0), std=(1, 1, 1), channels='bgr', centred=False
    )
    outputs = {'output': session.run(None, {'images': prepare(street)})[0]}
    decode = YoloxDecoder(classes=80).for_input((416, 416))
    found = decode(outputs, prepare.place(street.shape), 0.3)
    assert len(found) >= 3
    assert found.labels.tolist() == labels.tolist()
    np.testing.assert_allclose(found.scores, scores, atol=0.01)
    np.testing.assert_allclose(
        found.boxes, clip_boxes_to_image(boxes / ratio, street.shape[:2]), atol=1
    )
