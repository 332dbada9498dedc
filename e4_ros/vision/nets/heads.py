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

"""Heads that answer from the tensor between two stages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from e4_ros.vision.class_map import ALL_CLASSES, ClassMap
from e4_ros.vision.nets.attention import class_statistics, coarse, peak_statistics
from e4_ros.vision.nets.exit_gate import ExitGate

#: What a head with its gate gives besides its answer.
GATE_OUTPUTS = ('gate', 'diversity', 'token', 'next_state')


class GridHead(nn.Module):
    """Boxes from a feature map ``(B, C, h, w)``, on a grid of the same size or of joined cells.

    A few depthwise-separable convolutions; see `grid_boxes` for the meaning of the outputs.

    Args:
        channels: number of channels of the feature map.
        classes: number of classes.
        width: number of channels of the hidden layers.
        depth: number of separable convolutions.
        labels: the network's label of each class; none: the classes are the network's.
        stride: cells of the map, in height and in width, that one of the grid has; divides both.

    Attributes:
        classes: the same as a map.
    """

    task: Literal['detect'] = 'detect'

    def __init__(
        self,
        channels: int,
        classes: int,
        width: int = 64,
        depth: int = 3,
        labels: Sequence[int] = (),
        stride: int = 1,
    ):
        super().__init__()
        self.settings: dict[str, Any] = {
            'channels': channels,
            'classes': classes,
            'width': width,
            'depth': depth,
            'labels': list(labels),
            'stride': stride,
        }
        self.classes = ClassMap(tuple(labels))
        self.stem = nn.Sequential(
            nn.Conv2d(channels, width, stride, stride, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        )
        self.body = nn.ModuleList(Separable(width) for _ in range(depth))
        self.centre = biased(nn.Conv2d(width, classes, 1), -4.0)  # objects are rare: p = 0.02
        self.sides = biased(nn.Conv2d(width, 4, 1), 1.0)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Centre logits ``(B, classes, h, w)`` and sides ``(B, 4, h, w)`` in cells."""
        x = self.stem(features)
        for block in self.body:
            x = x + block(x)
        return self.centre(x), torch.exp(self.sides(x).clamp(-4, 4))

    def grid(self, shape: Sequence[int]) -> tuple[int, int]:
        """``(h, w)`` of the grid on a map ``(C, h, w)``."""
        stride: int = self.settings['stride']
        return shape[1] // stride, shape[2] // stride


class ClassHead(nn.Module):
    """Class logits from a feature map ``(B, C, h, w)``.

    Args:
        channels: number of channels of the features.
        classes: number of classes.
    """

    task: Literal['classify'] = 'classify'

    def __init__(self, channels: int, classes: int):
        super().__init__()
        self.settings = {'channels': channels, 'classes': classes}
        self.norm = nn.LayerNorm(channels)
        self.linear = nn.Linear(channels, classes)

    def forward(self, features: Tensor) -> Tensor:
        """Logits ``(B, classes)``."""
        return self.linear(self.norm(features.mean((2, 3))))


Head = GridHead | ClassHead


class Answering(nn.Module):
    """A head with what is read from its outputs, as it runs on a robot.

    Args:
        head: the head, in eval mode.
    """

    def __init__(self, head: Head):
        super().__init__()
        self.head = head
        self.boxes = head.task == 'detect'
        self.classes = head.classes if isinstance(head, GridHead) else ALL_CLASSES
        self.output_names = ('peaks', 'sides') if self.boxes else ('logits',)

    def forward(self, features: Tensor) -> tuple[Tensor, ...]:
        """Peaks ``(B, classes, h, w)`` and sides ``(B, 4, h, w)``, or logits ``(B, classes)``."""
        if not self.boxes:
            return (self.head(features),)
        logits, sides = self.head(features)
        return local_peaks(logits), sides

    def described(self, outputs: tuple[Tensor, ...]) -> Tensor:
        """What a gate is told of these outputs, ``(B, 3)``."""
        return peak_statistics(outputs[0]) if self.boxes else class_statistics(outputs[0])


class AnsweringAndJudging(nn.Module):
    """A head and its gate in one piece, as it is exported.

    Args:
        head: the head, in eval mode.
        gate: the gate, in eval mode.
    """

    def __init__(self, head: Head, gate: ExitGate):
        super().__init__()
        self.answering = Answering(head)
        self.gate = gate
        self.output_names = (*self.answering.output_names, *GATE_OUTPUTS)

    def forward(
        self, features: Tensor, memory: Tensor, filled: Tensor, state: Tensor
    ) -> tuple[Tensor, ...]:
        """The answer's outputs, then score, diversity, token and state; see `ExitGate`."""
        outputs = self.answering(features)
        judged = self.gate(
            coarse(features), self.answering.described(outputs), memory, filled, state
        )
        score = torch.sigmoid(judged['gate']) * self.gate.trusted(features)
        return (*outputs, score, judged['diversity'], judged['token'], judged['state'])


def local_peaks(logits: Tensor) -> Tensor:
    """Probabilities where no neighbour's is greater, else 0."""
    p = torch.sigmoid(logits)
    return p * (F.max_pool2d(p, 3, 1, 1) == p)


def biased(layer: nn.Conv2d, value: float) -> nn.Conv2d:
    """The layer with all its biases at a value."""
    assert layer.bias is not None
    nn.init.constant_(layer.bias, value)
    return layer


class Separable(nn.Sequential):
    """Depthwise, then pointwise convolution, ``(B, width, h, w)`` to the same."""

    def __init__(self, width: int, kernel: int = 5):
        super().__init__(
            nn.Conv2d(width, width, kernel, padding=kernel // 2, groups=width, bias=False),
            nn.BatchNorm2d(width),
            nn.Conv2d(width, width, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        )
