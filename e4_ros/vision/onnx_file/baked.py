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

"""What a graph does with its image first: exports that normalise inside say so what they take."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from e4_ros.vision.onnx_file.families import Look
from e4_ros.vision.onnx_file.graph import Graph

_MEANS = ([0.485, 0.456, 0.406], [0.482, 0.459, 0.408])  # ImageNet's and VGG's, red first
_PASSED = ('Reshape', 'Transpose', 'Cast', 'Unsqueeze', 'Squeeze', 'Identity', 'Gather', 'Resize')
_COUNTED = ('Sub', 'Add', 'Div', 'Mul')
_STEPS = 12


@dataclass(frozen=True)
class Baked:
    """What a network does with the values of its image itself.

    Attributes:
        std: what is left to divide by: 255 for a network that takes 0 to 1, 1 for one that takes
            pixel values.
        colour: order of the channels; empty where it does not show.
    """

    std: float
    colour: Literal['rgb', 'bgr', ''] = ''

    def into(self, look: Look) -> Look:
        """How frames must look to such a network."""
        mean, std = (0.0, 0.0, 0.0), (self.std,) * 3
        return replace(look, mean=mean, std=std, colour=self.colour or look.colour)


def baked(graph: Graph) -> Baked | None:
    """What a network normalises itself; None for one that does not."""
    name, found = graph.model.graph.input[0].name, None
    for _ in range(_STEPS):
        for node in graph.readers(name):
            for each in node.input:
                value = graph.constant(each) if each != name else None
                if value is None or node.op_type not in _COUNTED:
                    continue
                if (seen := _seen(node.op_type, np.abs(value).ravel())) is not None:
                    return seen
        onward = [node for node in graph.readers(name) if node.op_type in _PASSED + _COUNTED]
        if len(onward) != 1:
            return found
        name = onward[0].output[0]
        if graph.whole(name):
            found = Baked(1)  # it takes whole numbers: those of pixels
    return found


def _seen(operation: str, value: np.ndarray) -> Baked | None:
    if value.size == 3:
        for std, scale in ((255, 1.0), (1, 255.0)):
            for mean in np.array(_MEANS) * scale:
                if np.allclose(value, mean, rtol=0.02):
                    return Baked(std, 'rgb')
                if np.allclose(value, mean[::-1], rtol=0.02):
                    return Baked(std, 'bgr')
    if len(set(value.tolist())) != 1:
        return None
    number = float(value[0])
    if operation in ('Sub', 'Add'):
        return {0.5: Baked(255), 127.0: Baked(1), 127.5: Baked(1), 128.0: Baked(1)}.get(number)
    by = number if operation == 'Div' else 1 / number if number else 0.0
    return Baked(1) if any(abs(by - each) < 1 for each in (127.5, 128, 255)) else None
