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

"""The temporal exit's network: a small look at the frame, and a long one at the memory.

It sees a thumbnail, what earlier thumbnails had at the same places, and where the objects of the
last answer should be now. From these it draws the boxes itself, on the grid of `grid_boxes`, at
about a tenth of the full network's cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from e4_ros.vision.class_map import ClassMap
from e4_ros.vision.inference.temporal_input import GRID, PRIOR, THUMBNAIL
from e4_ros.vision.nets.attention import AttentionPool, Gate, MemoryAttention, peak_statistics
from e4_ros.vision.nets.exit_gate import STATE, STATISTICS
from e4_ros.vision.nets.heads import Separable, biased, local_peaks
from e4_ros.vision.nets.in_distribution import InDistribution, statistics

SLOTS = 3  # frames in the memory


class TemporalNet(nn.Module):
    """Thumbnail, memory and prior to boxes, a gate and what to remember.

    Args:
        classes: number of classes.
        width: number of channels of the hidden layers.
        depth: number of separable convolutions.
        attention: whether to pool and remember by attention; False for means.
        memory: whether the network sees more than the thumbnail of this frame.
        labels: the full network's label of each class; none: the classes are that network's.

    Attributes:
        classes: the same as a map.
    """

    def __init__(
        self,
        classes: int,
        width: int = 32,
        depth: int = 4,
        attention: bool = True,
        memory: bool = True,
        labels: Sequence[int] = (),
    ):
        super().__init__()
        self.settings: dict[str, Any] = {
            'classes': classes,
            'width': width,
            'depth': depth,
            'attention': attention,
            'memory': memory,
            'labels': list(labels),
        }
        self.classes = ClassMap(tuple(labels))
        self.width = width
        self.encoder = nn.Sequential(
            nn.Conv2d(3, 16, 3, 2, 1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Conv2d(16, width, 3, 2, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        )
        self.use_memory = memory
        self.recall = MemoryAttention(width, SLOTS, attend=attention)
        self.join = nn.Conv2d(2 * width, width, 1)
        self.prior = nn.Conv2d(PRIOR * classes, width, 3, padding=1)
        self.body = nn.ModuleList(Separable(width) for _ in range(depth))
        self.centre = biased(nn.Conv2d(width, classes, 1), -4.0)
        self.sides = biased(nn.Conv2d(width, 4, 1), 1.0)
        self.pool = AttentionPool(width, attention)
        self.gate = Gate(width + 1 + STATISTICS, STATE)
        self.in_distribution = InDistribution(width)

    def forward(
        self, image: Tensor, memory: Tensor, filled: Tensor, prior: Tensor
    ) -> dict[str, Tensor]:
        """Look at a batch of frames.

        Args:
            image: ``(B, 3, 144, 192)`` in [-1, 1].
            memory: ``(B, K, width, 36, 48)``, the ``seen`` of earlier frames.
            filled: ``(B, K)``, 1 where a slot holds a frame, else 0.
            prior: ``(B, 3·classes, 36, 48)``, from `prior_maps`.

        Returns:
            ``logits`` of centres, ``sides``, ``diversity``, ``features`` (what the boxes are drawn
            from) and ``seen`` for the memory.
        """
        seen = self.encoder(image)
        remembered, diversity = self.recall(seen, memory, filled)
        if not self.use_memory:
            remembered, prior = torch.zeros_like(seen), torch.zeros_like(prior)
        x = F.relu(self.join(torch.cat([seen, remembered], 1)))
        x = self.draw(x, prior)
        return {
            'logits': self.centre(x),
            'sides': torch.exp(self.sides(x).clamp(-4, 4)),
            'diversity': diversity,
            'features': x,
            'seen': seen,
        }

    def draw(self, x: Tensor, prior: Tensor) -> Tensor:
        """Features of the boxes from those of the frame and its memory, and the prior."""
        x = x + self.prior(prior)
        for block in self.body:
            x = x + block(x)
        return x

    def judge(
        self, features: Tensor, diversity: Tensor, described: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Whether its own answer will do: logit ``(B, 1)``, and the state for the exits behind.

        Args:
            features: from `forward`, `coarse`: ``(B, width, 18, 24)``.
            diversity: likewise, ``(B, 1)``.
            described: `peak_statistics` of the answer, ``(B, 3)``.
        """
        evidence = torch.cat([self.pool(features), diversity, described], 1)
        return self.gate(evidence, torch.zeros_like(evidence[:, :1]).expand(-1, STATE))


_OUTPUTS = ('peaks', 'sides', 'gate', 'diversity', 'in_distribution', 'seen', 'state')
_DEBUG_OUTPUTS = ('features', 'description', 'scene')


class TemporalAtRunTime(nn.Module):
    """A `TemporalNet` as it is exported: the same results from fewer operations.

    A slot of the memory holds the keys that attention finds it by, too, so that they are computed
    once and not on each frame; they stand behind the ``seen`` that is remembered.

    Args:
        net: the network, in eval mode.
        debug: True also gives what the gate and the in-distribution score are told: coarse
            features, the answer's description, statistics of the scene.

    Attributes:
        input_shapes: shape of each input by its name, for one frame.
        output_names: names of the outputs of `forward`, in order.
    """

    quarter: Tensor

    def __init__(self, net: TemporalNet, debug: bool = False):
        super().__init__()
        self.net = net
        self.debug = debug
        keys = net.recall.embed.out_channels
        # Two layers side by side in place of one over what was joined; keys are not read.
        unread = net.join.weight.new_zeros(net.width, keys, 1, 1)
        now, past = net.join.weight.split(net.width, 1)
        self.join_now = _layer(now, _bias(net.join))
        self.join_past = _layer(torch.cat([past, unread], 1), None)
        # One layer in place of the two that the boxes come from.
        self.boxes = _layer(
            torch.cat([net.centre.weight, net.sides.weight]),
            torch.cat([_bias(net.centre), _bias(net.sides)]),
        )
        self.input_shapes = {
            'image': (1, 3, *THUMBNAIL),
            'memory': (1, SLOTS, net.width + keys, *GRID),
            'filled': (1, SLOTS),
            'prior': (1, PRIOR * net.settings['classes'], *GRID),
        }
        self.output_names = (*_OUTPUTS, *_DEBUG_OUTPUTS) if debug else _OUTPUTS
        # `coarse` as a convolution: a quarter of the time of pooling in ONNX Runtime.
        self.register_buffer('quarter', torch.full((net.width, 1, 2, 2), 0.25))

    def forward(
        self, image: Tensor, memory: Tensor, filled: Tensor, prior: Tensor
    ) -> tuple[Tensor, ...]:
        """As `TemporalNet.forward`, with probabilities for logits."""
        net, width = self.net, self.net.width
        seen = net.encoder(image)
        now, slots = net.recall.keys(seen), [memory[:, slot] for slot in range(SLOTS)]
        remembered, diversity = net.recall.weigh(
            now, [slot[:, width:] for slot in slots], slots, filled
        )
        joined = self.join_now(seen)
        if net.use_memory:
            joined = joined + self.join_past(remembered)
        else:
            prior = torch.zeros_like(prior)
        x = net.draw(F.relu(joined), prior)
        boxes, classes = self.boxes(x), net.settings['classes']
        peaks = local_peaks(boxes[:, :classes])
        sides = torch.exp(boxes[:, classes:].clamp(-4, 4))
        features, described = self._coarse(x), peak_statistics(peaks)
        gate, state = net.judge(features, diversity, described)
        scene = statistics(seen)
        familiar, trusted = net.in_distribution(scene)
        score = torch.sigmoid(gate) * trusted
        kept = torch.cat([seen, now], 1)
        given = (peaks, sides, score, diversity, familiar, kept, state)
        return (*given, features, described, scene) if self.debug else given

    def _coarse(self, features: Tensor) -> Tensor:
        return F.conv2d(features, self.quarter, stride=2, groups=self.net.width)


@torch.no_grad()
def _layer(weight: Tensor, bias: Tensor | None) -> nn.Conv2d:
    """A pointwise convolution with these weights, which it does not learn."""
    outputs, inputs = weight.shape[:2]
    layer = nn.utils.skip_init(nn.Conv2d, inputs, outputs, 1, bias=bias is not None)
    layer.requires_grad_(False).weight.copy_(weight)
    if bias is not None:
        _bias(layer).copy_(bias)
    return layer


def _bias(layer: nn.Conv2d) -> Tensor:
    assert layer.bias is not None
    return layer.bias
