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

"""torchvision's detectors by name: exported up to their raw heads, decoded without torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torchvision.models as tv
from torch import nn
from torchvision.models.detection import FCOS, FasterRCNN, RetinaNet
from torchvision.models.detection.ssd import SSD

from e4_ros.vision.model import ModelError
from e4_ros.vision.models.decoders import (
    AnyDecoder,
    FasterRcnnDecoder,
    FcosDecoder,
    RetinanetDecoder,
    SsdSoftmaxDecoder,
)
from e4_ros.vision.models.preprocessing import Letterbox, Stretch
from e4_ros.vision.networks.trainable import TrainableModel
from e4_ros.vision.zoo.libraries import downloaded, kind_of, pixels, refuse_own_classes
from e4_ros.vision.zoo.own_network import graph_network
from e4_ros.vision.zoo.raw_heads import DenseHeads, ProposalHeads
from e4_ros.vision.zoo.weights import (
    PRETRAINED,
    RANDOM,
    Weights,
    classes_of,
    file_of,
    fill,
    read_weights,
    unwrapped,
)

_BACKGROUND = ('__background__', 'background')
_NO_CLASS = (*_BACKGROUND, 'N/A')  # numbers of COCO that no class has
_STRIDE = 32  # of the deepest map that a pyramid adds up with others


def detector_names() -> list[str]:
    """Names that `torchvision_detector` takes."""
    return [name for name in tv.list_models(module=tv.detection) if not kind_of(name)]


def torchvision_detector(
    arch: str,
    weights: Weights = PRETRAINED,
    class_names: Sequence[str] | None = None,
    input_size: tuple[int, int] | None = None,
) -> TrainableModel:
    """A detector of torchvision at a fixed input size.

    Args:
        arch: name of the architecture.
        weights: COCO's (`pretrained`), a file of your own, or none (`random`).
        class_names: what your own weights tell apart, without the background, which torchvision
            puts first; None for COCO's classes.
        input_size: ``(H, W)``; None for torchvision's own, which for networks that keep the ratio
            of the picture is that of a picture of 4:3.

    Raises:
        ModelError: the weights cannot be had or do not fit, or the size is none for it.
    """
    best: Any = tv.get_model_weights(arch).DEFAULT
    if weights == PRETRAINED:
        refuse_own_classes(class_names)
        classes = best.meta['categories']
        detector = downloaded(lambda: tv.get_model(arch, weights=best, progress=False), arch)
    else:
        classes = _with_background(class_names) if class_names else best.meta['categories']
        detector, classes = _own(arch, weights, classes)
    return described(f'torchvision/{arch}', detector, classes, input_size, file_of(weights))


def described(
    name: str,
    detector: Any,
    classes: Sequence[str],
    input_size: tuple[int, int] | None = None,
    file: str = '',
) -> TrainableModel:
    """A detector of torchvision's make as a network that needs no torch, and what is around it.

    Args:
        name: name of the model.
        detector: a `FasterRCNN`, `RetinaNet`, `FCOS` or `SSD`.
        classes: its classes, background included where it has one.
        input_size: ``(H, W)``; None for the detector's own.
        file: name of the file that its weights came in; empty for those of the zoo.

    Raises:
        ModelError: the size is none for it.
    """
    detector.eval()
    size = _size(name, detector, input_size)
    network, decoder = _raw(detector, size, len(classes))
    # Heads with a sigmoid for each class keep a row for the background, which never answers.
    first = 1 if isinstance(detector, (SSD, FasterRCNN)) else 0
    known = [(i, n) for i, n in enumerate(classes[first:]) if n not in _NO_CLASS]
    labels, names = zip(*known, strict=True)
    return TrainableModel(
        name,
        'detect',
        names,
        _preprocessing(detector, size),
        decoder,
        graph_network(network, size, decoder.output_names),
        labels=() if len(labels) == len(classes) - first else labels,
        file=file,
    )


def _own(arch: str, weights: Weights, classes: Sequence[str]) -> tuple[nn.Module, Sequence[str]]:
    """A detector with weights of one's own, and the classes that it has, background included."""

    def build(count: int) -> nn.Module:
        return tv.get_model(arch, weights=None, weights_backbone=None, num_classes=count)

    detector = build(len(classes))
    if weights == RANDOM:
        return detector, classes
    state = unwrapped(read_weights(Path(weights)), detector)
    found = classes_of(detector, state, len(classes))
    if found == len(classes) - 1 and isinstance(detector, (RetinaNet, FCOS)):
        classes = classes[1:]  # learnt without a class for the background, which these can do
        detector = build(len(classes))
    elif found not in (None, len(classes)):
        raise ModelError(
            f'{weights} tells {found - 1} classes apart beside the background, but there are '
            f'{len(classes) - 1} names: name each class in the order of training, one a line, in '
            'the file for --names'
        )
    fill(detector, state, str(weights))
    return detector, classes


def _with_background(names: Sequence[str]) -> list[str]:
    return list(names) if names[0] in _BACKGROUND else [_BACKGROUND[0], *names]


def _size(name: str, detector: Any, asked: tuple[int, int] | None) -> tuple[int, int]:
    transform = detector.transform
    if transform.fixed_size is not None:
        width, height = transform.fixed_size
        if asked not in (None, (height, width)):
            raise ModelError(
                f'{name} runs at {height}×{width}, the size for which its anchors were made; '
                'it takes no other'
            )
        return height, width
    shorter = transform.min_size[-1]
    size = asked or (shorter, -(-shorter * 4 // (3 * _STRIDE)) * _STRIDE)
    if any(side < _STRIDE or side % _STRIDE for side in size):
        raise ModelError(f'{name} takes sides that are multiples of {_STRIDE}, not {size}')
    return size


def _preprocessing(detector: Any, size: tuple[int, int]) -> Letterbox | Stretch:
    """As torchvision prepares pictures: stretched to a fixed size, or shrunk in their ratio."""
    transform = detector.transform
    mean, std = pixels(transform.image_mean), pixels(transform.image_std)
    if transform.fixed_size is not None:
        return Stretch(size=size, mean=mean, std=std)
    return Letterbox(size=size, mean=mean, std=std, centred=False)


def _raw(detector: Any, size: tuple[int, int], classes: int) -> tuple[nn.Module, AnyDecoder]:
    """The network up to its raw outputs, and what decodes them.

    Args:
        detector: the detector in eval mode.
        size: height and width of the input.
        classes: number of its classes, background included.
    """
    if isinstance(detector, FasterRCNN):
        heads = detector.roi_heads
        return ProposalHeads(detector, size), FasterRcnnDecoder(
            classes=classes - 1, nms_iou=heads.nms_thresh, most=heads.detections_per_img
        )
    limits = {'nms_iou': detector.nms_thresh, 'most': detector.detections_per_img}
    anchors = detector.anchor_generator
    if isinstance(detector, SSD):
        with torch.inference_mode():
            features = detector.backbone(torch.zeros(1, 3, *size)).values()
        return DenseHeads(detector, ['cls_logits', 'bbox_regression']), SsdSoftmaxDecoder(
            classes=classes - 1,
            maps=tuple(tuple(map_.shape[2:]) for map_ in features),
            scales=anchors.scales,
            aspect_ratios=anchors.aspect_ratios,
            steps=anchors.steps or (),
            clip=anchors.clip,
            **limits,
        )
    if isinstance(detector, FCOS):
        outputs = ['cls_logits', 'bbox_regression', 'bbox_ctrness']
        sizes = tuple(own for (own,) in anchors.sizes)
        return DenseHeads(detector, outputs), FcosDecoder(classes=classes, sizes=sizes, **limits)
    return DenseHeads(detector, ['cls_logits', 'bbox_regression']), RetinanetDecoder(
        classes=classes,
        sizes=anchors.sizes,
        aspect_ratios=anchors.aspect_ratios[0],
        **limits,
    )
