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

"""An image classifier of any make, prepared for as its weights were evaluated."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from torch import nn

from e4_ros.vision.models.decoders import ClassDecoder
from e4_ros.vision.models.preprocessing import CentreCrop
from e4_ros.vision.networks.trainable import TrainableModel
from e4_ros.vision.zoo.own_network import network_of


def classifier(
    name: str,
    network: nn.Module,
    class_names: Sequence[str],
    preprocessing: CentreCrop,
    file: str = '',
) -> TrainableModel:
    """A model that names one class for each frame.

    Args:
        name: name of the network in the zoo.
        network: ``(B, 3, H, W)`` to logits ``(B, C)``.
        class_names: ``C`` names.
        preprocessing: preprocessing of a frame to the network's input.
        file: name of the file that its weights came in; empty for those of the zoo.
    """
    decoder = ClassDecoder()
    whole = network_of(network, preprocessing.size, decoder.output_names, file)
    return TrainableModel(name, 'classify', class_names, preprocessing, decoder, whole, file)


@lru_cache(maxsize=1)
def imagenet_classes() -> tuple[str, ...]:
    """The 1000 names of ImageNet-1k, as torchvision carries them."""
    from torchvision.models import MobileNet_V3_Small_Weights

    return tuple(MobileNet_V3_Small_Weights.DEFAULT.meta['categories'])
