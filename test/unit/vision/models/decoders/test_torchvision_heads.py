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

"""SSD, RetinaNet, FCOS and Faster R-CNN: the decoders against torchvision's post-processing.

Heads are random numbers, of the shapes and in the order that the real networks give them.
"""

import numpy as np
import pytest
import torch
import torchvision.models.detection as tv
from torchvision.models.detection.image_list import ImageList

from e4_ros.vision.models.decoders import (
    FasterRcnnDecoder,
    FcosDecoder,
    RetinanetDecoder,
    SsdSoftmaxDecoder,
)
from e4_ros.vision.placement import Placement

CLASSES = 6


def random_heads(seed, spread=1.5, **shapes):
    """Normal numbers, logits with a spread of their own; so long that no two scores are equal."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(*shape, generator=generator, dtype=torch.float64)
        * (spread if 'logits' in name else 0.7)
        for name, shape in shapes.items()
    }


def numpy_of(heads, **names):
    return {ours: heads[theirs].numpy() for ours, theirs in names.items()}


def check(found, expected, shift):
    """Against torchvision's answer, whose labels are higher by a shift.

    Random boxes may lie beside the frame; clipped to it they have no area.
    """
    seen = (expected['boxes'][:, 2:] > expected['boxes'][:, :2]).all(1)
    expected = {name: value[seen] for name, value in expected.items()}
    assert len(found) > 20
    np.testing.assert_allclose(found.scores, expected['scores'], rtol=1e-5)
    assert found.labels.tolist() == (expected['labels'] - shift).tolist()
    np.testing.assert_allclose(found.boxes, expected['boxes'], atol=2e-3)


def as_it_is(size):
    return Placement(size, (1.0, 1.0), (0.0, 0.0))


def maps_of(network, size):
    """The backbone's feature maps for an image of a size."""
    image = torch.zeros(1, 3, *size)
    with torch.inference_mode():
        return list(network.backbone(image).values())


def anchors_of(network, size, maps):
    return network.anchor_generator(ImageList(torch.zeros(1, 3, *size), [size]), maps)


def per_level(heads, maps, anchors, each):
    counts = [m.shape[2] * m.shape[3] * each for m in maps]
    split = {name: list(value.split(counts, 1)) for name, value in heads.items()}
    return split, [list(anchors[0].split(counts))]


@pytest.mark.parametrize('seed', range(2))
def test_retinanet(seed):
    size = (128, 160)  # the two last maps are rounded up
    network = tv.retinanet_resnet50_fpn(
        weights=None, weights_backbone=None, num_classes=CLASSES, detections_per_img=300
    ).eval()
    network.score_thresh = 0.63
    maps = maps_of(network, size)
    anchors = anchors_of(network, size, maps)
    count = len(anchors[0])
    shapes = {'cls_logits': (1, count, CLASSES), 'bbox_regression': (1, count, 4)}
    heads = random_heads(seed, 0.3, **shapes)  # some 900 pass
    (expected,) = network.postprocess_detections(*per_level(heads, maps, anchors, 9), [size])
    outputs = numpy_of(heads, logits='cls_logits', offsets='bbox_regression')
    decode = RetinanetDecoder(classes=CLASSES).for_input(size)
    check(decode(outputs, as_it_is(size), 0.63), expected, 0)


@pytest.mark.parametrize('seed', range(2))
def test_fcos(seed):
    size = (128, 160)
    network = tv.fcos_resnet50_fpn(
        weights=None, weights_backbone=None, num_classes=CLASSES, detections_per_img=300
    ).eval()
    network.score_thresh = 0.6
    maps = maps_of(network, size)
    anchors = anchors_of(network, size, maps)
    count = len(anchors[0])
    heads = random_heads(
        seed,
        cls_logits=(1, count, CLASSES),
        bbox_regression=(1, count, 4),
        bbox_ctrness=(1, count, 1),
    )
    heads['bbox_regression'].relu_()  # as the head itself does
    (expected,) = network.postprocess_detections(*per_level(heads, maps, anchors, 1), [size])
    outputs = numpy_of(
        heads, logits='cls_logits', sides='bbox_regression', centreness='bbox_ctrness'
    )
    decode = FcosDecoder(classes=CLASSES).for_input(size)
    check(decode(outputs, as_it_is(size), 0.6), expected, 0)


@pytest.mark.parametrize('build', [tv.ssdlite320_mobilenet_v3_large, tv.ssd300_vgg16])
def test_ssd(build):
    """SSDLite's maps divide the input evenly, SSD300's have steps of their own."""
    network = build(weights=None, weights_backbone=None, num_classes=1 + CLASSES).eval()
    side = 320 if build is tv.ssdlite320_mobilenet_v3_large else 300
    size = (side, side)
    network.score_thresh, network.detections_per_img = 0.95, 300
    maps = maps_of(network, size)
    anchors = anchors_of(network, size, maps)
    count = len(anchors[0])
    shapes = {'cls_logits': (1, count, 1 + CLASSES), 'bbox_regression': (1, count, 4)}
    heads = random_heads(0, 2, **shapes)
    (expected,) = network.postprocess_detections(heads, anchors, [size])
    laid = network.anchor_generator
    decoder = SsdSoftmaxDecoder(
        classes=CLASSES,
        maps=[tuple(m.shape[-2:]) for m in maps],
        scales=laid.scales,
        aspect_ratios=laid.aspect_ratios,
        steps=laid.steps or (),
        clip=laid.clip,
        nms_iou=network.nms_thresh,
    )
    outputs = numpy_of(heads, logits='cls_logits', offsets='bbox_regression')
    check(decoder.for_input(size)(outputs, as_it_is(size), 0.95), expected, 1)


@pytest.mark.parametrize('batch', [True, False])
def test_faster_rcnn(batch):
    size = (200, 240)
    network = tv.fasterrcnn_mobilenet_v3_large_320_fpn(
        weights=None, weights_backbone=None, num_classes=1 + CLASSES
    )
    network.roi_heads.score_thresh = 0.4
    generator = torch.Generator().manual_seed(0)
    start = torch.rand(150, 2, generator=generator) * 160
    proposals = torch.cat([start, start + torch.rand(150, 2, generator=generator) * 60 + 5], 1)
    heads = random_heads(0, logits=(150, 1 + CLASSES), offsets=(150, 4 * (1 + CLASSES)))
    found = network.roi_heads.postprocess_detections(
        heads['logits'], heads['offsets'], [proposals], [size]
    )
    expected = {n: x[0] for n, x in zip(('boxes', 'scores', 'labels'), found, strict=True)}
    outputs = numpy_of(heads | {'proposals': proposals}, logits='logits', offsets='offsets')
    outputs['proposals'] = proposals.numpy()
    # Padding: even logits, which would score, but proposals without area.
    outputs = {name: np.pad(value, ((0, 50), (0, 0))) for name, value in outputs.items()}
    if batch:
        outputs = {name: value[None] for name, value in outputs.items()}
    decode = FasterRcnnDecoder(classes=CLASSES).for_input(size)
    check(decode(outputs, as_it_is(size), 0.4), expected, 1)
    few = FasterRcnnDecoder(classes=1).for_input(size)
    even = {'logits': (9, 2), 'offsets': (9, 8), 'proposals': (9, 4)}
    nothing = {name: np.zeros(shape, np.float32) for name, shape in even.items()}
    assert len(few(nothing, as_it_is(size), 0.1)) == 0


@pytest.mark.parametrize(
    ('decoder', 'outputs', 'words'),
    [
        (
            RetinanetDecoder(classes=91),
            {'logits': (1, 9441, 80), 'offsets': (1, 9441, 4)},
            '1×9441×80, .*91 classes',
        ),
        (
            FcosDecoder(classes=80),
            {'logits': (1, 1364, 80), 'sides': (1, 1364, 4), 'centreness': (1, 1364)},
            "'centreness'",
        ),
        (
            FasterRcnnDecoder(classes=80),
            {'logits': (100, 81), 'offsets': (100, 320), 'proposals': (100, 4)},
            "'offsets' of the network is 100×320, not 100×324: 80 classes and a background",
        ),
    ],
)
def test_heads_of_other_shapes_are_refused(decoder, outputs, words):
    arrays = {name: np.zeros(shape, np.float32) for name, shape in outputs.items()}
    with pytest.raises(ValueError, match=words):
        decoder.for_input((256, 256))(arrays, as_it_is((256, 256)), 0.1)


def test_settings_that_do_not_count_alike_are_refused():
    with pytest.raises(ValueError, match='2 feature maps need 3 scales'):
        SsdSoftmaxDecoder(classes=1, maps=((2, 2), (1, 1)), scales=(0.1, 0.9), aspect_ratios=((),))
    with pytest.raises(ValueError, match='2 strides need as many sizes'):
        RetinanetDecoder(classes=1, strides=(8, 16))
    with pytest.raises(ValueError, match='2 strides need as many sizes'):
        FcosDecoder(classes=1, strides=(8, 16))
