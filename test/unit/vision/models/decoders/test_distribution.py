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

"""NanoDet and PicoDet: the decoder against the integral of generalized focal loss, in torch."""

import numpy as np
import pytest
import torch
from torch.nn import functional
from torchvision.ops import batched_nms, clip_boxes_to_image

from e4_ros.vision.models.decoders import DistributionDecoder
from e4_ros.vision.placement import Placement

SIZE = (96, 72)  # 72 is no multiple of the last strides: their maps are rounded up
AS_IT_IS = Placement(SIZE, (1.0, 1.0), (0.0, 0.0))
CLASSES = 4


def random_heads(seed, strides, bins):
    """Scores and sides of each map."""
    rng = np.random.default_rng(seed)
    maps = []
    for stride in strides:
        count = -(-SIZE[0] // stride) * -(-SIZE[1] // stride)
        scores = rng.random((1, count, CLASSES)) ** 3
        sides = rng.normal(0, 2, (1, count, 4 * (bins + 1)))
        maps.append((scores.astype(np.float32), sides.astype(np.float32)))
    return maps


def reference(maps, strides, bins, centre, min_score):
    """`get_bboxes` of NanoDet: `Integral`, `distance2bbox`, `multiclass_nms`."""
    boxes, scores = [], []
    for (given, sides), stride in zip(maps, strides, strict=True):
        rows, columns = -(-SIZE[0] // stride), -(-SIZE[1] // stride)
        y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing='ij')
        points = (torch.stack([x, y], -1).reshape(-1, 2) + centre) * stride
        shares = functional.softmax(torch.from_numpy(sides).reshape(-1, bins + 1), 1)
        away = functional.linear(shares, torch.arange(bins + 1.0)).reshape(-1, 4) * stride
        boxes.append(torch.cat([points - away[:, :2], points + away[:, 2:]], 1))
        scores.append(torch.from_numpy(given[0]))
    boxes, scores = clip_boxes_to_image(torch.cat(boxes), SIZE), torch.cat(scores)
    rows, labels = (scores >= min_score).nonzero(as_tuple=True)
    boxes, scores = boxes[rows], scores[rows, labels]
    kept = batched_nms(boxes, scores, labels, 0.6)[:300]
    return boxes[kept], scores[kept], labels[kept]


def check(found, expected):
    boxes, scores, labels = expected
    assert len(found) > 20
    assert found.labels.tolist() == labels.tolist()
    np.testing.assert_allclose(found.scores, scores, rtol=1e-5)
    np.testing.assert_allclose(found.boxes, boxes, atol=1e-3)


@pytest.mark.parametrize(
    ('strides', 'bins', 'centre'),
    [((8, 16, 32), 7, 0.5), ((8, 16, 32, 64), 7, 0.0), ((8, 16, 32), 10, 0.5)],
    ids=['nanodet', 'nanodet plus', 'wide'],
)
def test_one_output_is_read(strides, bins, centre):
    maps = random_heads(0, strides, bins)
    output = np.concatenate([np.concatenate(pair, 2) for pair in maps], 1)
    decoder = DistributionDecoder(classes=CLASSES, strides=strides, bins=bins, centre=centre)
    assert decoder.output_names == ('output',)
    found = decoder.for_input(SIZE)({'output': output}, AS_IT_IS, 0.4)
    check(found, reference(maps, strides, bins, centre, 0.4))


def test_two_outputs_for_each_map_are_read():
    strides = (8, 16, 32, 64)
    maps = random_heads(1, strides, 7)
    decoder = DistributionDecoder(classes=CLASSES, strides=strides, joint=False)
    assert decoder.output_names[3:5] == ('scores_64', 'sides_8')
    arrays = [pair[i] for i in range(2) for pair in maps]
    outputs = dict(zip(decoder.output_names, arrays, strict=True))
    expected = reference(maps, strides, 7, 0.5, 0.4)
    check(decoder.for_input(SIZE)(outputs, AS_IT_IS, 0.4), expected)
    for name in decoder.output_names[:4]:
        outputs[name] = np.log(outputs[name] / (1 - outputs[name]))
    raw = decoder.model_copy(update={'logits': True})
    check(raw.for_input(SIZE)(outputs, AS_IT_IS, 0.4), expected)


def test_an_output_of_other_cells_or_classes_is_refused():
    decode = DistributionDecoder(classes=80).for_input((320, 320))
    with pytest.raises(ValueError, match=r'1×2125×112, not 1×2100×112: cells of strides'):
        decode({'output': np.zeros((1, 2125, 112))}, AS_IT_IS, 0.1)
    with pytest.raises(ValueError, match='80 classes, sides of 8 numbers'):
        decode({'output': np.zeros((1, 2100, 96))}, AS_IT_IS, 0.1)
