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

"""Transformers: the decoder against the post-processing of DETR and RT-DETR."""

import cv2
import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from torchvision.ops import box_convert, clip_boxes_to_image

from e4_ros.vision.models.decoders import DetrDecoder
from e4_ros.vision.models.preprocessing import Stretch
from e4_ros.vision.placement import Placement

SIZE = (64, 96)
AS_IT_IS = Placement(SIZE, (1.0, 1.0), (0.0, 0.0))


def random_outputs(seed, classes, queries=50):
    rng = np.random.default_rng(seed)
    logits = rng.normal(-2, 2, (1, queries, classes)).astype(np.float32)
    return {'logits': logits, 'boxes': rng.random((1, queries, 4), dtype=np.float32)}


def pixels(boxes):
    scale = torch.tensor([SIZE[1], SIZE[0]] * 2)
    return clip_boxes_to_image(box_convert(boxes, 'cxcywh', 'xyxy') * scale, SIZE)


@pytest.mark.parametrize('seed', range(3))
def test_sigmoids_are_read_as_rt_detr_does(seed):
    """The best of all pairs of query and class: `RTDETRPostProcessor` with focal loss."""
    outputs = random_outputs(seed, classes=5)
    logits, boxes = (torch.from_numpy(outputs[name][0]) for name in ('logits', 'boxes'))
    scores, index = torch.topk(logits.sigmoid().flatten(), 30)
    found = DetrDecoder(classes=5, most=30).for_input(SIZE)(outputs, AS_IT_IS, 0.01)
    np.testing.assert_allclose(found.scores, scores, rtol=1e-5)
    assert found.labels.tolist() == (index % 5).tolist()
    np.testing.assert_allclose(found.boxes, pixels(boxes[index // 5]), atol=1e-3)


@pytest.mark.parametrize('seed', range(3))
def test_a_softmax_is_read_as_detr_does(seed):
    """One class at most for each query, and the last one is "no object": `PostProcess` of DETR."""
    outputs = random_outputs(seed, classes=6)
    logits, boxes = (torch.from_numpy(outputs[name][0]) for name in ('logits', 'boxes'))
    scores, labels = logits.softmax(-1)[:, :-1].max(-1)
    best = torch.argsort(-scores)
    best = best[scores[best] >= 0.5]  # above one half no query has two classes
    found = DetrDecoder(classes=5, scores='softmax').for_input(SIZE)(outputs, AS_IT_IS, 0.5)
    assert len(found) > 5
    np.testing.assert_allclose(found.scores, scores[best], rtol=1e-5)
    assert found.labels.tolist() == labels[best].tolist()
    np.testing.assert_allclose(found.boxes, pixels(boxes[best]), atol=1e-3)


@pytest.mark.parametrize(
    ('kind', 'classes', 'words'),
    [
        ('sigmoid', 6, "'logits' .* 1×50×5, not 1×N×6: 6 classes"),
        ('softmax', 5, "'logits' .* 1×50×5, not 1×N×6: 5 classes and one for no object"),
    ],
)
def test_logits_of_other_classes_are_refused(kind, classes, words):
    outputs = random_outputs(0, classes=5)
    with pytest.raises(ValueError, match=words):
        DetrDecoder(classes=classes, scores=kind).for_input(SIZE)(outputs, AS_IT_IS, 0.1)


def test_boxes_of_other_queries_are_refused():
    outputs = random_outputs(0, classes=5)
    outputs['boxes'] = outputs['boxes'][:, :40]
    with pytest.raises(ValueError, match=r"'boxes' .* 1×40×4, not 1×50×4"):
        DetrDecoder(classes=5).for_input(SIZE)(outputs, AS_IT_IS, 0.1)


def test_a_real_detr_says_what_its_own_postprocessor_says(real_model, street):
    """From the two tensors that its postprocessor reads to what it answers."""
    model = onnx.load(real_model('deimv2_atto.onnx'))
    (scored,) = (n for n in model.graph.node if n.name == '/postprocessor/Sigmoid')
    (boxed,) = (n for n in model.graph.node if n.name == '/postprocessor/Split')
    for name in (scored.input[0], boxed.input[0]):
        model.graph.output.append(onnx.helper.make_tensor_value_info(name, 1, None))
    session = ort.InferenceSession(model.SerializeToString())

    prepare = Stretch(size=(320, 320), mean=(0, 0, 0), std=(255, 255, 255))
    image = cv2.resize(street, (320, 320)).astype(np.float32)[None].transpose(0, 3, 1, 2) / 255
    sides = np.array([street.shape[1::-1]], np.int64)
    feed = {'images': image, 'orig_target_sizes': sides}
    labels, boxes, scores, *_ = session.run(None, feed)
    good = scores[0] >= 0.1

    *_, logits, shares = session.run(None, feed | {'images': prepare(street)})
    decode = DetrDecoder(classes=80).for_input((320, 320))
    found = decode({'logits': logits, 'boxes': shares}, prepare.place(street.shape), 0.1)
    assert good.sum() >= 10
    assert found.labels.tolist() == labels[0][good].tolist()
    np.testing.assert_allclose(found.scores, scores[0][good], atol=1e-4)
    expected = clip_boxes_to_image(torch.from_numpy(boxes[0][good]), street.shape[:2])
    np.testing.assert_allclose(found.boxes, expected, atol=0.05)
