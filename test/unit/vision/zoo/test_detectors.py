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

"""torchvision's detectors as networks without torch, against torchvision's own answers."""

import cv2
import numpy as np
import onnxruntime as ort
import pytest
import torch
import torchvision.models as tv
from torch import nn
from torchvision.models.detection import FCOS, RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.ops import box_iou
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from e4_ros.vision.model import ModelError
from e4_ros.vision.zoo import load_model
from e4_ros.vision.zoo.detectors import described

CLASSES = ['__background__', 'person', 'cart', 'dog']
SSDLITE = 'torchvision/ssdlite320_mobilenet_v3_large'
FASTER = 'torchvision/fasterrcnn_mobilenet_v3_large_320_fpn'
SMALL = (160, 224)


def library(name):
    arch = name.removeprefix('torchvision/')
    return tv.get_model(arch, weights=None, weights_backbone=None, num_classes=len(CLASSES))


def pyramid():
    """The backbone that torchvision gives one-stage detectors, with a small trunk."""
    return resnet_fpn_backbone(
        backbone_name='resnet18',
        weights=None,
        norm_layer=nn.BatchNorm2d,
        returned_layers=[2, 3, 4],
        extra_blocks=LastLevelP6P7(256, 256),
    )


def fcos():
    sizes = tuple((side,) for side in (8, 16, 32, 64, 128))
    return FCOS(
        pyramid(), len(CLASSES), anchor_generator=AnchorGenerator(sizes, ((1.0,),) * len(sizes))
    )


#: How it is made, its input, what class weights are multiplied with, what is added to the bias of
#: the background: so that some tens of boxes have a score.
DETECTORS = {
    'ssdlite': (lambda: library(SSDLITE), (320, 320), 12, 3),
    'faster_rcnn': (lambda: library(FASTER), SMALL, 4, 4),
    'retinanet': (lambda: RetinaNet(pyramid(), len(CLASSES)), SMALL, 80, -30),
    'fcos': (fcos, SMALL, 8, -30),
}


def lively(kind):
    """Random weights that answer: statistics of real activations, and decided class scores."""
    make, size, scale, background = DETECTORS[kind]
    torch.manual_seed(0)
    detector = make()
    for layer in detector.backbone.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = None
    detector.backbone.train()
    with torch.no_grad():
        detector.backbone(torch.randn(2, 3, *size))
        for name, layer in detector.named_modules():
            if answers(name) and isinstance(layer, (nn.Conv2d, nn.Linear)):
                layer.weight.mul_(scale)
                layer.bias.view(-1, len(CLASSES))[:, 0] += background
            if name.endswith('bbox_reg') and kind == 'fcos':
                layer.bias.fill_(2.0)  # sides of some length, or boxes have no area
    detector.transform.min_size, detector.transform.max_size = (min(size),), max(size)
    return detector.eval(), size


def answers(name):
    """Whether a layer is the last one before class scores."""
    if 'classification_head.module_list' in name:
        return name.endswith('.1')
    return name.endswith(('cls_score', 'cls_logits')) and 'rpn' not in name


def frames(size, count=5):
    rng = np.random.default_rng(0)
    rows, columns = size
    for _ in range(count):
        coarse = rng.integers(0, 256, (rows // 16, columns // 16, 3), np.uint8)
        yield cv2.resize(coarse, (columns, rows), interpolation=cv2.INTER_CUBIC)


def runs(model):
    (part,) = model.network.stages()
    session = ort.InferenceSession(part.program.onnx(), providers=['CPUExecutionProvider'])
    names = list(model.network.output_names)
    return lambda x: dict(zip(names, session.run(names, {'x': x}), strict=True))


@pytest.mark.parametrize('kind', DETECTORS)
def test_boxes_are_those_of_torchvision(kind):
    detector, size = lively(kind)
    model = described(kind, detector, CLASSES, size)
    run, boxes = runs(model), 0
    for frame in frames(size):
        with torch.inference_mode():
            (want,) = detector([torch.from_numpy(frame).permute(2, 0, 1).float() / 255])
        want = {key: found[want['scores'] >= 0.1].numpy() for key, found in want.items()}
        got = model.decode(run(model.preprocess(frame)), frame.shape, 0.1)
        names = [CLASSES[label] for label in want['labels']]
        assert sorted(model.class_names[label] for label in got.labels) == sorted(names)
        iou = box_iou(torch.from_numpy(want['boxes']), torch.from_numpy(got.boxes)).numpy()
        alike = np.array(names)[:, None] == np.array(model.class_names)[got.labels]
        alike &= (iou >= 0.99) & (abs(want['scores'][:, None] - got.scores) <= 0.01)
        assert alike.any(0).all()
        assert alike.any(1).all()
        boxes += len(got)
    assert 50 < boxes < 1500


@pytest.mark.parametrize('kind', ['ssdlite', 'faster_rcnn'])
def test_a_chain_of_stages_says_what_the_whole_says(kind):
    detector, size = lively(kind)
    network = described(kind, detector, CLASSES, size).network
    cuts = network.cuts()
    assert {cut.tensors for cut in cuts} >= {1, 2}
    parts = network.stages([cuts[len(cuts) // 3].node, cuts[-1].node])
    x = np.random.default_rng(1).normal(size=(1, 3, *size)).astype(np.float32)
    values = {'x': x}
    for part in parts:
        session = ort.InferenceSession(part.program.onnx(), providers=['CPUExecutionProvider'])
        found = session.run(None, {name: values[name] for name in part.program.inputs})
        values |= dict(zip((slot.name for slot in session.get_outputs()), found, strict=True))
    (whole,) = network.stages()
    session = ort.InferenceSession(whole.program.onnx(), providers=['CPUExecutionProvider'])
    for name, want in zip(network.output_names, session.run(None, {'x': x}), strict=True):
        assert abs(values[name] - want).max() <= 1e-4


def test_proposals_are_always_as_many():
    detector, size = lively('faster_rcnn')
    run = runs(described('faster_rcnn', detector, CLASSES, size))
    black, noise = np.zeros((1, 3, *size), np.float32), np.random.default_rng(2)
    for x in (black, noise.normal(size=black.shape).astype(np.float32)):
        outputs = run(x)
        assert outputs['proposals'].shape == (150, 4)
        assert outputs['logits'].shape == (150, len(CLASSES))
        assert outputs['offsets'].shape == (150, 4 * len(CLASSES))


def saved(detector, path):
    torch.save({'model': detector.state_dict(), 'epoch': 12}, path)
    return path


def test_your_own_weights_are_loaded_with_your_own_names(tmp_path):
    detector, _ = lively('ssdlite')
    model = load_model(SSDLITE, saved(detector, tmp_path / 'best.pth'), ['person', 'cart', 'dog'])
    assert model.class_names == ('person', 'cart', 'dog')
    assert model.file == 'best.pth'
    x = np.random.default_rng(3).normal(size=(1, 3, 320, 320)).astype(np.float32)
    with torch.inference_mode():
        want = detector.head(list(detector.backbone(torch.from_numpy(x)).values()))['cls_logits']
    assert abs(runs(model)(x)['logits'] - want.numpy()).max() < 1e-3


@pytest.mark.parametrize(
    ('names', 'complaint'),
    [
        (['person', 'cart'], 'tells 3 classes apart beside the background, but there are 2 names'),
        (None, 'tells 3 classes apart beside the background, but there are 90 names'),
        (['__background__', 'person'], 'but there are 1 names'),
    ],
)
def test_another_number_of_classes_is_said_with_both_numbers(tmp_path, names, complaint):
    path = saved(library(SSDLITE), tmp_path / 'best.pth')
    with pytest.raises(ModelError, match=complaint):
        load_model(SSDLITE, path, names)


def test_sigmoid_heads_may_have_been_taught_without_a_background(tmp_path, monkeypatch):
    def small(_arch, num_classes, **_):
        return RetinaNet(pyramid(), num_classes)

    monkeypatch.setattr(tv, 'get_model', small)
    path = saved(small('', 2), tmp_path / 'best.pth')
    name = 'torchvision/retinanet_resnet50_fpn'
    model = load_model(name, path, ['person', 'cart'], SMALL)
    assert (model.class_names, model.labels, model.decoder.classes) == (('person', 'cart'), (), 2)
    path = saved(small('', 3), tmp_path / 'best.pth')
    model = load_model(name, path, ['person', 'cart'], SMALL)
    assert (model.class_names, model.labels) == (('person', 'cart'), (1, 2))


def test_numbers_of_coco_that_no_class_has_are_left_out():
    model = load_model(SSDLITE, 'random')
    assert len(model.class_names) == 80
    assert 'N/A' not in model.class_names
    assert model.class_names[model.labels.index(12)] == 'stop sign'  # N/A stands before it


def test_pictures_are_laid_as_torchvision_lays_them():
    assert load_model(SSDLITE, 'random').preprocessing.kind == 'stretch'
    faster = load_model(FASTER, 'random').preprocessing
    assert (faster.kind, faster.centred, faster.size) == ('letterbox', False, (320, 448))
    assert faster.place((480, 640, 3)).scale == pytest.approx((2 / 3, 2 / 3), abs=1e-3)


def test_a_size_that_is_none_for_a_network_is_refused():
    with pytest.raises(ModelError, match=r'runs at 320×320'):
        load_model(SSDLITE, 'random', None, (416, 416))
    with pytest.raises(ModelError, match='multiples of 32'):
        load_model(FASTER, 'random', None, (300, 400))


@pytest.mark.parametrize(
    ('arch', 'kind'),
    [
        ('maskrcnn_resnet50_fpn', 'a segmentation network'),
        ('keypointrcnn_resnet50_fpn', 'a pose network'),
        ('deeplabv3_resnet50', 'a segmentation network'),
        ('r3d_18', 'a network on clips'),
        ('raft_small', 'a network for optical flow'),
    ],
)
def test_other_networks_of_torchvision_are_refused_with_what_they_are(arch, kind):
    with pytest.raises(ModelError, match=rf'torchvision/{arch} is {kind}'):
        load_model(f'torchvision/{arch}')
