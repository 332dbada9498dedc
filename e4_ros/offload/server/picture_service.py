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

"""Whole networks on pictures: a bigger model, or the robot's own in some engine."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from e4_ros.offload.engines.base import Engine
from e4_ros.offload.exchange import TensorShapes
from e4_ros.offload.identity import network_hash
from e4_ros.offload.request import MODEL
from e4_ros.offload.server.service import Work
from e4_ros.vision.detections import Detections
from e4_ros.vision.models.described import DescribedModel
from e4_ros.vision.staged_network import StagedNetwork


class PictureService:
    """Answers pictures by a network that runs in an engine.

    Robots match its class names with their own; what they have no class for they leave out.

    Args:
        network: a detector.
        engine: where it runs.
        name: one of `request.SERVICES`: ``model``, or ``network`` for the robot's own.

    Raises:
        ValueError: the network finds no boxes.
    """

    cuts: Mapping[str, TensorShapes] = {}

    def __init__(self, network: StagedNetwork, engine: Engine, name: str = MODEL) -> None:
        model = detector(network, f'the service {name}')
        self.name, self._engine = name, engine
        self.hash = network_hash(model, network.weights)
        self.class_names = tuple(model.class_names)
        self.largest_batch = engine.largest_batch
        self._model_name = model.name

    @property
    def about(self) -> str:
        """Which network, and where it runs now."""
        return f'{self._model_name}, {self._engine.where}'

    def run(self, batch: Sequence[Work]) -> list[Detections]:
        """The network's answers, in pixels of the pictures."""
        left_s = max(work.deadline_s for work in batch) - time.monotonic()
        pictures = [work.picture for work in batch if work.picture is not None]
        return self._engine.answers(pictures, min(work.min_score for work in batch), left_s)


def detector(network: StagedNetwork, who: str) -> DescribedModel:
    """A network's description.

    Args:
        network: network that ought to be a detector.
        who: who needs one, for the message.

    Raises:
        ValueError: it finds no boxes.
    """
    model = network.model
    assert isinstance(model, DescribedModel), 'networks of bundles are described by them'
    if model.task != 'detect':
        raise ValueError(f'{who} needs a detector; {model.name} finds no boxes')
    return model
