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

"""Layers of mobile networks with TensorFlow's ``SAME`` padding.

That padding is asymmetric where a stride meets an even size, so a network is built for one input
size, and its padding is fixed then. That also keeps shapes out of the forward pass: ``torch.fx``
sees only layers.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

Size = tuple[int, int]
_ANY = (1, 1)  # without a stride, the padding does not depend on the size
_BN_EPS = 1e-3


def conv(
    channels: int,
    out: int,
    kernel: int,
    stride: int = 1,
    size: Size = _ANY,
    groups: int = 1,
    activate: bool = True,
) -> nn.Sequential:
    """Convolution, batch norm and ReLU6, for an input of height and width ``size``."""
    (top, bottom), (left, right) = (_same_padding(side, kernel, stride) for side in size)
    # Layers have names, so that those of the weights do not depend on whether there is a pad.
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    padding = (top, left)
    if padding != (bottom, right):
        layers['pad'] = nn.ZeroPad2d((left, right, top, bottom))
        padding = (0, 0)
    layers['conv'] = nn.Conv2d(channels, out, kernel, stride, padding, groups=groups, bias=False)
    layers['norm'] = nn.BatchNorm2d(out, eps=_BN_EPS)
    if activate:
        layers['act'] = nn.ReLU6()
    return nn.Sequential(layers)


def depthwise(channels: int, stride: int = 1, size: Size = _ANY, kernel: int = 3) -> nn.Sequential:
    """Convolution of each channel by itself."""
    return conv(channels, channels, kernel, stride, size, groups=channels)


def separable(
    channels: int,
    out: int,
    stride: int,
    size: Size,
    kernel: int = 3,
    activate: bool = True,
) -> nn.Sequential:
    """`depthwise`, then a 1×1 convolution that ends in ReLU6 or, without ``activate``, in none."""
    return nn.Sequential(
        depthwise(channels, stride, size, kernel), conv(channels, out, 1, activate=activate)
    )


class InvertedResidual(nn.Module):
    """Expand, convolve each channel, project; added to the input where shapes allow.

    Source: Sandler et al., "MobileNetV2" (arXiv 1801.04381), figure 3.
    """

    def __init__(
        self, channels: int, out: int, stride: int, expansion: int, size: Size, kernel: int = 3
    ):
        super().__init__()
        wide = channels * expansion
        layers = [conv(channels, wide, 1)] if expansion != 1 else []
        layers.append(separable(wide, out, stride, size, kernel, activate=False))
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        """``(B, channels, h, w)`` to ``(B, out, h / stride, w / stride)``."""
        return x + self.layers(x) if self.residual else self.layers(x)


def strided(size: Size, stride: int) -> Size:
    """Height and width after a stride, rounded up."""
    return -(-size[0] // stride), -(-size[1] // stride)


def _same_padding(side: int, kernel: int, stride: int) -> tuple[int, int]:
    if stride == 1:
        return (kernel - 1) // 2, kernel // 2
    steps = -(-side // stride)
    total = max((steps - 1) * stride + kernel - side, 0)
    return total // 2, total - total // 2
