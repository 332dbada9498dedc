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
import onnxruntime as ort
import pytest
import torch
from onnx_exports import Detr, export, recognised, ultralytics
from torch import nn

from e4_ros.vision.onnx_edit import keep_outputs
from e4_ros.vision.onnx_file.families import family_of
from e4_ros.vision.onnx_file.read import OnnxFileError

GIVEN = {'names': ('person', 'car', 'dog'), 'names_from': 'names.txt'}
PAIR = ['logits', 'pred_boxes']


def answers(found, image):
    keep_outputs(found.model, found.outputs.values())
    session = ort.InferenceSession(found.model.SerializeToString())
    values = session.run(None, {session.get_inputs()[0].name: image.numpy()})
    return dict(zip(found.outputs, values, strict=True))


def same(found, network, image):
    network.end = 'pair'
    logits, boxes = network(image)
    seen = answers(found, image)
    np.testing.assert_allclose(seen['logits'], logits.detach(), atol=1e-4)
    np.testing.assert_allclose(seen['boxes'], boxes.detach(), atol=1e-5)


def test_logits_and_boxes_as_outputs_are_known_by_shape():
    found = recognised(export(Detr(3), ['a', 'b']), **GIVEN)
    assert (found.family, found.decoder.kind) == ('rtdetr', 'detr')
    assert (found.decoder.scores, found.decoder.classes) == ('sigmoid', 3)
    assert found.outputs == {'logits': 'a', 'boxes': 'b'}
    assert found.preprocessing.kind == 'stretch'
    assert found.preprocessing.mean == (0, 0, 0)


def test_what_sorts_and_scales_the_answer_is_left_out():
    network = Detr(3, 'sorted')
    model = export(
        network,
        ['labels', 'boxes', 'scores'],
        inputs=['images', 'orig_target_sizes'],
        further=[torch.tensor([[640, 480]])],
        dynamic_axes={'images': {0: 'N'}, 'orig_target_sizes': {0: 'N'}},
        opset_version=16,
    )
    found = recognised(model, **GIVEN)
    assert found.decoder.kind == 'detr'
    assert any('left out' in note for note in found.notes)
    same(found, network, torch.rand(1, 3, 160, 160))


def test_boxes_and_scores_that_were_joined_are_taken_apart_before_the_sigmoid():
    network = Detr(3, 'joined')
    found = recognised(export(network, metadata=ultralytics(3)))
    assert (found.family, found.decoder.kind) == ('rtdetr', 'detr')
    assert found.preprocessing.kind == 'stretch'
    same(found, network, torch.rand(1, 3, 160, 160))


def test_boxes_may_reach_beyond_the_image():
    class Beyond(Detr):
        def forward(self, x):
            logits, boxes = super().forward(x)
            return logits, boxes * 1.4 - 0.2

    assert recognised(export(Beyond(3), PAIR), **GIVEN).decoder.kind == 'detr'


def test_rf_detrs_outputs_are_known_by_their_names():
    class Turned(Detr):
        def forward(self, x):
            logits, boxes = super().forward(x)
            return boxes, logits

    found = recognised(export(Turned(4), ['dets', 'labels']), **GIVEN)
    assert found.family == 'rfdetr'
    assert found.preprocessing.std == (58.395, 57.12, 57.375)
    # Its logits have a column more than there are classes.
    assert (found.decoder.classes, found.labels) == (4, (0, 1, 2))
    assert found.class_names == ('person', 'car', 'dog')


def test_without_two_stages_the_last_class_is_no_object():
    found = recognised(export(Detr(4, two_stage=False), PAIR), **GIVEN)
    assert (found.family, found.decoder.scores, found.decoder.classes) == ('detr', 'softmax', 3)


def test_as_many_names_as_logits_leave_no_place_for_no_object():
    found = recognised(export(Detr(3, two_stage=False), PAIR), **GIVEN)
    assert (found.decoder.scores, found.decoder.classes) == ('sigmoid', 3)


def test_the_family_that_somebody_says_brings_its_own_input():
    found = recognised(export(Detr(3), PAIR), family=family_of('Deformable-DETR'), **GIVEN)
    assert found.family == 'deformable_detr'
    assert found.preprocessing.mean == (123.675, 116.28, 103.53)


def test_ninety_one_logits_are_cocos_numbers():
    found = recognised(export(Detr(91), PAIR))
    assert len(found.class_names) == len(found.labels) == 80
    assert dict(zip(found.class_names, found.labels, strict=True))['toothbrush'] == 90
    assert any("COCO's numbers" in note for note in found.notes)


@pytest.mark.parametrize(
    ('logits', 'scores', 'labels'),
    [(92, 'softmax', 90), (91, 'sigmoid', 90), (81, 'softmax', None), (80, 'sigmoid', None)],
)
def test_cocos_classes_are_told_with_and_without_no_object(logits, scores, labels):
    found = recognised(export(Detr(logits, two_stage=False), PAIR))
    assert (found.decoder.scores, len(found.class_names)) == (scores, 80)
    assert found.labels[-1:] == (() if labels is None else (labels,))


class WithMasks(nn.Module):
    def __init__(self):
        super().__init__()
        self.network, self.masks = Detr(3), nn.Conv2d(3, 30, 4, 4)

    def forward(self, x):
        return *self.network(x), self.masks(x)


def test_masks_beside_boxes_are_refused():
    with pytest.raises(OnnxFileError, match=r'masks.*segmentation'):
        recognised(export(WithMasks(), [*PAIR, 'pred_masks']), **GIVEN)
