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

"""Classifiers of torchvision, and of timm where it is installed, by their names there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torchvision.models as tv
from torch import nn

from e4_ros.vision.model import ModelError
from e4_ros.vision.models.preprocessing import CentreCrop
from e4_ros.vision.networks.trainable import TrainableModel
from e4_ros.vision.zoo.classifier import classifier, imagenet_classes
from e4_ros.vision.zoo.weights import PRETRAINED, RANDOM, Weights, file_of, fill, read_weights

_SEGMENTS = 'a segmentation network'


def torchvision_names() -> list[str]:
    """Names that `torchvision_classifier` takes."""
    return tv.list_models(module=tv)


def timm_names() -> list[str]:
    """Names that `timm_classifier` takes; none where timm is not installed."""
    if find_spec('timm') is None:
        return []
    import timm

    return timm.list_models()


def kind_of(arch: str) -> str:
    """What a network of torchvision is that is neither a classifier nor a detector of boxes.

    Args:
        arch: name that it has in torchvision.

    Returns:
        Empty for the others, and for names that torchvision does not have.
    """
    first = arch.split('_')[0]
    for module, kind in (
        (tv.detection, {'maskrcnn': _SEGMENTS, 'keypointrcnn': 'a pose network'}.get(first, '')),
        (tv.segmentation, _SEGMENTS),
        (tv.video, 'a network on clips'),
        (tv.optical_flow, 'a network for optical flow'),
        (tv.quantization, 'a network in eight bits'),
    ):
        if arch in tv.list_models(module=module):
            return kind
    return ''


def torchvision_classifier(
    arch: str, weights: Weights = PRETRAINED, class_names: Sequence[str] | None = None
) -> TrainableModel:
    """A classifier of torchvision, prepared for as its best weights want it.

    Raises:
        ModelError: the weights cannot be had or do not fit.
    """
    best: Any = tv.get_model_weights(arch).DEFAULT
    if weights == PRETRAINED:
        refuse_own_classes(class_names)
        network = downloaded(lambda: tv.get_model(arch, weights=best, progress=False), arch)
        class_names = best.meta['categories']
    else:
        class_names = class_names or imagenet_classes()
        network = tv.get_model(arch, weights=None, num_classes=len(class_names))
        _fill(network, weights, len(class_names))
    recipe = best.transforms()
    preparation = CentreCrop(
        size=(recipe.crop_size[0], recipe.crop_size[0]),
        shorter_side=recipe.resize_size[0],
        mean=pixels(recipe.mean),
        std=pixels(recipe.std),
    )
    return classifier(f'torchvision/{arch}', network, class_names, preparation, file_of(weights))


def timm_classifier(
    arch: str, weights: Weights = PRETRAINED, class_names: Sequence[str] | None = None
) -> TrainableModel:
    """A classifier of timm, prepared for as its own configuration wants it.

    Raises:
        ModelError: the weights cannot be had or do not fit.
    """
    import timm

    if weights == PRETRAINED:
        refuse_own_classes(class_names)
        network = downloaded(lambda: timm.create_model(arch, pretrained=True), arch)
    else:
        class_names = class_names or imagenet_classes()
        network = timm.create_model(arch, num_classes=len(class_names))
        _fill(network, weights, len(class_names))
    if class_names is None:
        count = int(network.num_classes)  # type: ignore[arg-type]
        known = imagenet_classes()
        class_names = known if count == len(known) else [f'class {i}' for i in range(count)]
    recipe = timm.data.resolve_model_data_config(network)
    _, height, width = recipe['input_size']
    resize = round(min(height, width) / recipe['crop_pct'])
    preparation = CentreCrop(
        size=(height, width),
        shorter_side=resize,
        mean=pixels(recipe['mean']),
        std=pixels(recipe['std']),
    )
    return classifier(f'timm/{arch}', network, class_names, preparation, file_of(weights))


def downloaded(build: Callable[[], nn.Module], arch: str) -> nn.Module:
    """A network with the weights of its library, which are downloaded once.

    Args:
        build: what makes it.
        arch: name of the architecture.

    Raises:
        ModelError: they cannot be had.
    """
    try:
        return build()
    except (OSError, RuntimeError) as error:
        raise ModelError(
            f'the pretrained weights of {arch} could not be downloaded ({error}); '
            'give your own with --weights FILE, and their classes with --names FILE'
        ) from error


def refuse_own_classes(class_names: Sequence[str] | None) -> None:
    """Refuse names for classes that pretrained weights name already."""
    if class_names is not None:
        raise ModelError(
            'pretrained weights come with their own classes: give your own with --weights FILE'
        )


def pixels(shares: Sequence[float]) -> tuple[float, float, float]:
    """A mean or deviation of each channel in pixel values 0 to 255."""
    red, green, blue = (255 * share for share in shares)
    return red, green, blue


def _fill(network: nn.Module, weights: Weights, classes: int) -> None:
    if weights != RANDOM:
        fill(network, read_weights(Path(weights)), str(weights), classes)
