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
from onnx_exports import Body, Yolov8, export, recognised, ultralytics
from torch import nn
from torchvision.ops import batched_nms

from e4_ros.vision.onnx_edit import keep_outputs
from e4_ros.vision.onnx_file.families import family_of
from e4_ros.vision.onnx_file.read import OnnxFileError
from e4_ros.vision.placement import Placement

GIVEN = {'names': ('person', 'car', 'dog'), 'names_from': 'names.txt'}
FRAME = Placement((160, 160), (1.0, 1.0), (0.0, 0.0))


def decoded(found, image, least=0.1):
    keep_outputs(found.model, found.outputs.values())
    session = ort.InferenceSession(found.model.SerializeToString())
    values = session.run(None, {session.get_inputs()[0].name: image.numpy()})
    decode = found.decoder.for_input((160, 160))
    return decode(dict(zip(found.outputs, values, strict=True)), FRAME, least)


class OneToOne(nn.Module):
    """YOLOv10: the thirty best of box, score and label, by TopK."""

    def __init__(self):
        super().__init__()
        self.network = Yolov8(3, corners=True)

    def forward(self, x):
        found = self.network(x).permute(0, 2, 1)
        scores, labels = found[..., 4:].max(-1)
        best = scores.topk(30, 1).indices
        boxes = found[..., :4].gather(1, best[..., None].repeat(1, 1, 4))
        rows = [boxes, scores.gather(1, best)[..., None], labels.gather(1, best)[..., None].float()]
        return torch.cat(rows, -1)


def test_rows_of_a_one_to_one_head_are_taken_as_they_are():
    found = recognised(export(OneToOne(), metadata=ultralytics(3, end2end='True')))
    assert (found.family, found.decoder.kind) == ('yolov10', 'rows')
    assert found.decoder.columns == ('box', 'score', 'label')
    assert not found.decoder.relative
    assert found.preprocessing.centred
    image = torch.rand(1, 3, 160, 160)
    rows = OneToOne()(image)[0].detach().numpy()
    assert len(decoded(found, image)) == 30
    np.testing.assert_allclose(decoded(found, image).scores, rows[:, 4], atol=1e-5)


def test_rows_of_nobody_bring_a_question_about_the_input():
    with pytest.raises(OnnxFileError, match=r'exporters of finished boxes differ.*--family'):
        recognised(export(OneToOne()), **GIVEN)


class Whole(nn.Module):
    """As torchvision's detectors: an image without a batch in, boxes as many as there are out."""

    def __init__(self, order: str = 'bls', least: float = 0.05):
        super().__init__()
        self.network, self.order, self.least = Yolov8(3, corners=True), order, least
        self.register_buffer('mean', torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1))
        self.register_buffer('std', torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1))

    def found(self, x):
        found = self.network(((x - self.mean) / self.std)[None])[0].T
        boxes, (scores, labels) = found[:, :4].clamp(0, 160), found[:, 4:].max(1)
        good = scores > self.least
        boxes, scores, labels = boxes[good], scores[good], labels[good]
        kept = batched_nms(boxes, scores, labels, 0.5)[:100]
        return boxes[kept], labels[kept] + 1, scores[kept]

    def forward(self, x):
        boxes, labels, scores = self.found(x)
        if self.order == 'paddle':
            columns = [labels[:, None].float() - 1, scores[:, None], boxes]
            return torch.cat(columns, 1), torch.tensor([len(scores)], dtype=torch.int32)
        if self.order == 'seven':
            first = torch.zeros_like(scores)[:, None]
            return torch.cat([first, boxes, labels[:, None].float() - 1, scores[:, None]], 1)
        if self.order == 'dets':
            return torch.cat([boxes, scores[:, None]], 1)[None], (labels - 1)[None]
        return boxes, labels, scores


OPEN = {'boxes': {0: 'n'}, 'labels': {0: 'n'}, 'scores': {0: 'n'}}


@pytest.mark.parametrize('least', [0.05, 0.999])
def test_any_number_of_boxes_becomes_a_fixed_one(least):
    network = Whole(least=least)
    model = export(network, ['boxes', 'labels', 'scores'], (3, 160, 160), dynamic_axes=OPEN)
    found = recognised(model, **GIVEN)
    assert (found.family, found.decoder.first_label) == ('torchvision', 1)
    assert found.preprocessing.std == (255, 255, 255)
    image = torch.rand(1, 3, 160, 160)
    boxes, labels, scores = (each.detach().numpy() for each in network.found(image[0]))
    seen = decoded(found, image, 0.05)
    assert len(seen) == len(scores)
    assert (len(scores) == 0) == (least > 0.9)
    np.testing.assert_allclose(seen.scores, scores, atol=1e-5)
    np.testing.assert_allclose(seen.boxes, boxes, atol=1e-2)
    assert seen.labels.tolist() == (labels - 1).tolist()


def test_a_normalisation_inside_tells_the_order_of_the_channels():
    network = Whole()
    network.mean = 255 * network.mean.flip(0)
    network.std = 255 * network.std.flip(0)
    model = export(network, ['boxes', 'labels', 'scores'], (3, 160, 160), dynamic_axes=OPEN)
    found = recognised(model, **GIVEN)
    assert (found.family, found.preprocessing.channels) == ('detectron2', 'bgr')
    assert found.preprocessing.std == (1, 1, 1)


def test_paddles_columns_are_told_by_their_numbers():
    model = export(
        Whole('paddle'), ['rows', 'count'], (3, 160, 160), dynamic_axes={'rows': {0: 'n'}}
    )
    found = recognised(model, family=family_of('ppyoloe_plus'), **GIVEN)
    assert found.decoder.columns == ('label', 'score', 'box')
    image = torch.rand(1, 3, 160, 160)
    boxes, labels, _ = Whole().found(image[0])
    assert decoded(found, image).labels.tolist() == (labels - 1).tolist()
    np.testing.assert_allclose(decoded(found, image).boxes, boxes.detach(), atol=1e-2)


def test_seven_columns_begin_with_the_batch():
    model = export(Whole('seven'), ['rows'], (3, 160, 160), dynamic_axes={'rows': {0: 'n'}})
    found = recognised(model, family=family_of('yolov7'), **GIVEN)
    assert found.decoder.columns == ('batch', 'box', 'label', 'score')
    image = torch.rand(1, 3, 160, 160)
    _, labels, scores = Whole().found(image[0])
    assert decoded(found, image, 0.05).labels.tolist() == (labels - 1).tolist()
    np.testing.assert_allclose(decoded(found, image, 0.05).scores, scores.detach(), atol=1e-5)


def test_boxes_that_carry_their_scores_are_known_beside_labels():
    model = export(
        Whole('dets'),
        ['dets', 'labels'],
        (3, 160, 160),
        dynamic_axes={'dets': {1: 'n'}, 'labels': {1: 'n'}},
    )
    found = recognised(model, family=family_of('rtmdet'), **GIVEN)
    assert found.decoder.first_label == 0
    assert (found.preprocessing.kind, found.preprocessing.channels) == ('letterbox', 'rgb')
    image = torch.rand(1, 3, 160, 160)
    _, labels, scores = Whole().found(image[0])
    assert decoded(found, image, 0.05).labels.tolist() == (labels - 1).tolist()
    np.testing.assert_allclose(decoded(found, image, 0.05).scores, scores.detach(), atol=1e-5)


class TensorFlow(nn.Module):
    """``detection_boxes`` and so on: y first, shares of the image, labels from 1 on."""

    def __init__(self):
        super().__init__()
        self.network = OneToOne()

    def forward(self, x):
        found = self.network(x.permute(0, 3, 1, 2).float() / 255)
        boxes = found[..., [1, 0, 3, 2]] / 160
        count = torch.full((1,), 30.0)
        return boxes, found[..., 4], found[..., 5] + 1, count


def test_tensorflows_boxes_scores_and_classes_are_known_by_name():
    outputs = ['detection_boxes', 'detection_scores', 'detection_classes', 'num_detections']
    model = export(TensorFlow(), outputs, (1, 160, 160, 3), inputs=['image_tensor'])
    found = recognised(model, **GIVEN)
    assert found.family == 'tensorflow'
    assert (found.decoder.boxes, found.decoder.relative) == ('yxyx', True)
    assert found.decoder.first_label == 1
    assert found.preprocessing.std == (1, 1, 1)
    image = torch.rand(1, 3, 160, 160)
    rows = OneToOne()(image)[0].detach()
    seen = decoded(found, image * 255)
    assert seen.labels.tolist() == rows[:, 5].tolist()
    np.testing.assert_allclose(seen.boxes, rows[:, :4].clamp(0, 160), atol=1e-2)


def test_names_are_asked_for_where_rows_do_not_tell_how_many_classes_there_are():
    model = export(Whole(), ['boxes', 'labels', 'scores'], (3, 160, 160), dynamic_axes=OPEN)
    with pytest.raises(OnnxFileError, match=r'names of its classes.*--names'):
        recognised(model)


def test_masks_beside_finished_boxes_are_refused():
    class Masks(Whole):
        def forward(self, x):
            boxes, labels, scores = self.found(x)
            return boxes, labels, scores, torch.rand(1, 28, 28) * scores.view(-1, 1, 1, 1)

    names = ['boxes', 'labels', 'scores', 'masks']
    model = export(Masks(), names, (3, 160, 160), dynamic_axes={**OPEN, 'masks': {0: 'n'}})
    with pytest.raises(OnnxFileError, match='segmentation model'):
        recognised(model, **GIVEN)


def test_outputs_that_nobody_knows_are_listed():
    class Strange(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = Body(1)

        def forward(self, x):
            return self.body(x)[0]

    with pytest.raises(OnnxFileError, match=r'cannot be read: heat 1×8×20×20.*--family'):
        recognised(export(Strange(), ['heat']), **GIVEN)
