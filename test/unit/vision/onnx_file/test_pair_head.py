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

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx_exports import Heads, Yolov8, export, recognised
from torch import nn

from e4_ros.vision.onnx_file.families import family_of
from e4_ros.vision.onnx_file.read import OnnxFileError
from e4_ros.vision.onnx_file.sidecar import InputSettings

GIVEN = {'names': ('person', 'car', 'dog'), 'names_from': 'names.txt'}
NAMES = ['boxes', 'scores']


class Apart(nn.Module):
    """Boxes and scores apart.

    Attributes:
        shares: whether boxes are shares of the image.
        background: whether scores are a softmax: ``first`` or ``last`` where the background lies.
        turned: whether scores are ``(1, C, N)``.
    """

    def __init__(self, shares=False, background='', turned=False, corners=True):
        super().__init__()
        self.network = Yolov8(3, corners=corners)
        self.shares, self.background, self.turned = shares, background, turned

    def forward(self, x):
        found = self.network(x).permute(0, 2, 1)
        boxes, scores = found[..., :4], found[..., 4:]
        boxes = boxes / 160 if self.shares else boxes
        if self.background:
            nothing = torch.full_like(scores[..., :1], 3.0)
            parts = [nothing, scores] if self.background == 'first' else [scores, nothing]
            scores = torch.cat(parts, -1).softmax(-1)
        return boxes, scores.permute(0, 2, 1) if self.turned else scores


@pytest.mark.parametrize('shares', [False, True])
@pytest.mark.parametrize('turned', [False, True])
@pytest.mark.parametrize('background', ['', 'first', 'last'])
def test_what_boxes_and_scores_are_is_seen_by_their_numbers(shares, turned, background):
    model = export(Apart(shares, background, turned), NAMES)
    found = recognised(model, family=family_of('yolonas'), **GIVEN)
    decoder = found.decoder
    assert (decoder.kind, decoder.classes) == ('corners', 3)
    assert (decoder.relative, decoder.transposed) == (shares, not turned)
    assert decoder.background == (background == 'first')
    assert found.labels == ()


def test_boxes_by_centre_and_size_are_told_from_corners():
    model = export(Apart(corners=False), NAMES)
    assert recognised(model, family=family_of('yolonas'), **GIVEN).decoder.boxes == 'cxcywh'


def test_the_input_is_asked_for_where_nothing_tells_it():
    with pytest.raises(OnnxFileError, match=r'differ in what they take.*--family.*sidecar'):
        recognised(export(Apart(), NAMES), **GIVEN)


def test_a_sidecar_that_says_all_about_the_input_is_enough():
    said = InputSettings(layout='stretch', colour='bgr', mean=(1, 2, 3), std=(4, 5, 6))
    found = recognised(export(Apart(), NAMES), input=said, **GIVEN)
    assert found.preprocessing.mean == (1, 2, 3)
    assert found.preprocessing.channels == 'bgr'


def test_raw_numbers_around_anchors_are_refused():
    class Raw(Apart):
        def forward(self, x):
            boxes, scores = super().forward(x)
            return boxes.flip(-1) - 80, scores

    with pytest.raises(OnnxFileError, match='anchors that are not in the file'):
        recognised(export(Raw(), NAMES), family=family_of('ssd'), **GIVEN)


def test_scores_that_are_logits_are_refused():
    class Logits(Apart):
        def forward(self, x):
            boxes, scores = super().forward(x)
            return boxes, scores * 5

    with pytest.raises(OnnxFileError, match='not between 0 and 1'):
        recognised(export(Logits(), NAMES), family=family_of('yolonas'), **GIVEN)


def test_suppression_of_each_class_is_left_out_of_the_graph():
    class TwoHeads(Heads):
        def forward(self, x):
            boxes, scores = self.levels(x)[0]
            low = boxes.flatten(2).permute(0, 2, 1)
            corners = torch.cat([low[..., :2], low[..., :2] + low[..., 2:].exp()], -1) * 50
            return corners, scores.flatten(2).sigmoid()

    model = export(TwoHeads(4, 3), NAMES, (1, 3, 240, 320))
    weights = {'most': [20], 'overlap': [0.5], 'least': [0.25]}
    for name, value in weights.items():
        kind = np.int64 if name == 'most' else np.float32
        model.graph.initializer.append(numpy_helper.from_array(np.array(value, kind), name))
    model.graph.node.append(
        helper.make_node('NonMaxSuppression', ['boxes', 'scores', *weights], ['kept'])
    )
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info('kept', TensorProto.INT64, ('n', 3)))
    found = recognised(model, family=family_of('yolonas'), **GIVEN)
    assert found.outputs == {'boxes': 'boxes', 'scores': 'scores'}
    assert any('left out' in note for note in found.notes)


def test_suppression_that_only_tensorrt_has_is_left_out_of_the_graph():
    model = export(Apart(), NAMES)
    outputs = ['num_dets', 'det_boxes', 'det_scores', 'det_classes']
    node = helper.make_node('EfficientNMS_TRT', NAMES, outputs, domain='TRT', score_threshold=0.25)
    model.graph.node.append(node)
    del model.graph.output[:]
    for name in outputs:
        shape = (1, 100, 4) if name == 'det_boxes' else (1, 100)
        model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    found = recognised(model, family=family_of('yolov7'), **GIVEN)
    assert (found.decoder.kind, found.outputs) == (
        'corners',
        {'boxes': 'boxes', 'scores': 'scores'},
    )


def test_ultraface_is_known_by_its_number_of_boxes():
    class Faces(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Conv2d(3, 2, 1)

        def forward(self, x):
            places = x.flatten()[:8840].view(1, 4420, 2) / 200
            scores = self.layer(x)[0].flatten()[:8840].view(1, 4420, 2).softmax(-1)
            return scores, torch.cat([places, places + 0.1], -1)

    found = recognised(export(Faces(), ['scores', 'boxes'], (1, 3, 240, 320)))
    assert (found.family, found.class_names) == ('ultraface', ('face',))
    assert (found.decoder.background, found.decoder.relative) == (True, True)
    assert found.preprocessing.mean == (127, 127, 127)
