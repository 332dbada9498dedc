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

"""What a reader of a family finds at the end of a graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import onnx

from e4_ros.vision.model import Task
from e4_ros.vision.models.decoders import AnyDecoder
from e4_ros.vision.onnx_file.families import Family, Look


@dataclass(frozen=True)
class Head:
    """The answer of a network, understood.

    Attributes:
        family: its family.
        decoder: what turns the answer into detections.
        outputs: the tensor of the graph that is each of the decoder's outputs.
        model: the model, with what was put behind it.
        said: how it was recognised: a sentence without its full stop.
        classes: number of the labels that the network can answer with, from 0 on; None where the
            graph does not tell.
        spare: whether the last label may be one that stands for nothing.
        look: how frames look to it; None where the family's own look is meant.
        unsure: what about the look cannot be known, and must be asked for; empty where it is known.
        notes: more sentences.
        task: ``detect`` or ``classify``.
    """

    family: Family
    decoder: AnyDecoder
    outputs: Mapping[str, str]
    model: onnx.ModelProto
    said: str
    classes: int | None
    spare: bool = False
    look: Look | None = None
    unsure: str = ''
    notes: tuple[str, ...] = ()
    task: Task = 'detect'
