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

"""A network that exits can be fitted to, with what must happen before and after it."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from e4_ros.vision.inference.exit_thresholds import TEMPORAL
from e4_ros.vision.model import Task
from e4_ros.vision.models.decoders import AnyDecoder
from e4_ros.vision.models.described import DescribedModel
from e4_ros.vision.models.preprocessing import AnyPreprocessing
from e4_ros.vision.networks import Network
from e4_ros.vision.staged_network import StagedNetwork

_HELD = 0.75  # threshold of a classifier's last answer where nothing was fitted


class TrainableModel(DescribedModel):
    """A described model with the network itself.

    Args:
        name: name of the network, in the zoo or of its file.
        task: ``detect`` or ``classify``.
        class_names: class names by label.
        preprocessing: preprocessing of a frame to the network's input.
        decoder: decoding of the network's outputs to detections.
        network: the network, whose outputs have the decoder's names.
        file: name of the file that the network came in; empty for one of the zoo.
        labels: the network's own label of each class name, rising, where only some of its classes
            are wanted; empty where all are.
        family: family of detectors that the file was taken for; empty for one of the zoo.
        recognised: sentences on that, and how it was found out.
    """

    def __init__(
        self,
        name: str,
        task: Task,
        class_names: Sequence[str],
        preprocessing: AnyPreprocessing,
        decoder: AnyDecoder,
        network: Network,
        file: str = '',
        labels: Sequence[int] = (),
        family: str = '',
        recognised: Sequence[str] = (),
    ):
        super().__init__(name, task, class_names, preprocessing, decoder, labels)
        self.network, self.file = network, file
        self.family, self.recognised = family, tuple(recognised)

    def staged(self) -> StagedNetwork:
        """The network uncut and without learnt exits; a classifier's last answer may be held."""
        held = {TEMPORAL: _HELD} if self.task == 'classify' else {}
        stages, weights = self.network.stages(), self.network.fingerprint
        return StagedNetwork(self, stages, thresholds=held, weights=weights)

    def narrowed(self, class_names: Sequence[str]) -> TrainableModel:
        """The same with some of its classes alone, in the network's order.

        Raises:
            ValueError: a name is none of its classes, or there is no name.
        """
        mine = list(self.class_names)
        if unknown := [name for name in class_names if name not in mine]:
            near = get_close_matches(unknown[0], mine, n=3)
            hint = f' (near: {", ".join(near)})' if near else ''
            raise ValueError(f'{self.name} knows no class {unknown[0]!r}{hint}')
        if not class_names:
            raise ValueError(f'{self.name} needs at least one class to look for')
        places = sorted({mine.index(name) for name in class_names})
        return TrainableModel(
            self.name,
            self.task,
            tuple(mine[place] for place in places),
            self.preprocessing,
            self.decoder,
            self.network,
            self.file,
            tuple(self.labels[place] for place in places) if self.labels else tuple(places),
            self.family,
            self.recognised,
        )
