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

"""A network's two sides, before it and after it, from settings alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from e4_ros.vision.class_map import ClassMap
from e4_ros.vision.detections import Detections
from e4_ros.vision.model import Task, check_frame
from e4_ros.vision.models.decoders import AnyDecoder
from e4_ros.vision.models.preprocessing import AnyPreprocessing
from e4_ros.vision.placement import Placement


class DescribedModel:
    """A `VisionModel` that its settings describe in full; needs no torch.

    Args:
        name: name of the network.
        task: ``detect`` or ``classify``.
        class_names: class names by label.
        preprocessing: preprocessing of a frame to the network's input.
        decoder: decoding of the network's outputs to detections.
        labels: the network's own label of each class name, rising, where only some of its classes
            are wanted; empty where all are.

    Raises:
        ValueError: names, labels and the decoder's classes do not fit together.
    """

    def __init__(
        self,
        name: str,
        task: Task,
        class_names: Sequence[str],
        preprocessing: AnyPreprocessing,
        decoder: AnyDecoder,
        labels: Sequence[int] = (),
    ):
        check_classes(class_names, labels, decoder)
        self.name = name
        self.task: Task = task
        self.class_names = class_names
        self.preprocessing = preprocessing
        self.decoder = decoder
        self.labels = tuple(labels)
        self.input_size = preprocessing.size
        self._decode = decoder.for_input(self.input_size)
        self._classes = ClassMap(self.labels)

    def __getstate__(self) -> dict[str, Any]:
        # The function that decodes is made from the rest, and cannot be sent to other processes.
        return {name: value for name, value in vars(self).items() if name != '_decode'}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._decode = self.decoder.for_input(self.input_size)

    def preprocess(self, frame: np.ndarray) -> np.ndarray:
        """The network's ``(1, 3, H, W)`` float32 input for an ``(H, W, 3)`` uint8 RGB frame."""
        check_frame(frame)
        return self.preprocessing(frame)

    def place(self, frame_shape: tuple[int, ...]) -> Placement:
        """Where a frame of a shape ``(H, W, ...)`` lies in the network's input."""
        return self.preprocessing.place(frame_shape)

    def decode(
        self, outputs: Mapping[str, np.ndarray], frame_shape: tuple[int, ...], min_score: float
    ) -> Detections:
        """Detections from the network's outputs by name, in pixels of the frame.

        Raises:
            ValueError: the outputs are not those that the decoder takes.
        """
        placement = self.place(frame_shape)
        found = self._classes.narrow(self._decode(outputs, placement, min_score))
        if len(found) and (label := int(found.labels.max())) >= len(self.class_names):
            raise ValueError(
                f'{self.name} answers with class {label}, counted from 0, but only '
                f'{len(self.class_names)} class names were given'
            )
        return found


def check_classes(class_names: Sequence[str], labels: Sequence[int], decoder: AnyDecoder) -> None:
    """Refuse names that are not those of the network's classes, one each.

    Args:
        class_names: class names.
        labels: the network's own label of each name; empty where all its classes are named.
        decoder: decoding of the network's outputs, which may know how many classes there are.

    Raises:
        ValueError: says what does not fit.
    """
    classes: int | None = getattr(decoder, 'classes', None)
    if not labels:
        if classes is not None and len(class_names) != classes:
            raise ValueError(f'{len(class_names)} class names for a network of {classes} classes')
        return
    if len(labels) != len(class_names):
        raise ValueError(f'{len(labels)} labels for {len(class_names)} class names')
    if labels[0] < 0 or any(a >= b for a, b in pairwise(labels)):
        raise ValueError(f'the labels of the classes that are wanted must rise, got {labels}')
    if classes is not None and labels[-1] >= classes:
        raise ValueError(f'there is no class {labels[-1]} in a network of {classes}, 0 the first')
