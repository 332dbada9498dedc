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

"""Which feature maps matter most: channel and spatial attention, as DVFO ranks them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_KERNEL = 7
_SQUEEZE = 8  # channels for each unit of the hidden layer
_SHARPNESS = 0.1  # of the slope that stands for a hard choice when it is learned


class ChannelRanking(nn.Module):
    """Importance of each feature map of a frame.

    Channel attention ``A_c = σ(MLP(mean F) + MLP(max F))`` times the mean of a map under spatial
    attention ``A_s = σ(conv7×7[mean_c F; max_c F])``: DVFO (arXiv 2306.01811), whose module is
    after CBAM (Woo et al., arXiv 1807.06521). Maps of a linear layer have both signs, so sizes are
    averaged, not values.

    Args:
        channels: number of feature maps.
    """

    def __init__(self, channels: int):
        super().__init__()
        hidden = max(channels // _SQUEEZE, 4)
        self.channel = nn.Sequential(
            nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels)
        )
        self.spatial = nn.Conv2d(2, 1, _KERNEL, padding=_KERNEL // 2)

    def forward(self, features: Tensor) -> Tensor:
        """``(B, C, h, w)`` to importances ``(B, C)`` that sum to 1 in each row."""
        across = self.channel(features.mean((2, 3))) + self.channel(features.amax((2, 3)))
        along = torch.cat([features.mean(1, keepdim=True), features.amax(1, keepdim=True)], 1)
        seen = (torch.sigmoid(self.spatial(along)) * features.abs()).mean((2, 3))
        importance = torch.sigmoid(across) * seen
        return importance / importance.sum(1, keepdim=True).clamp_min(1e-9)


def keep_mask(importance: Tensor, share: float) -> Tensor:
    """Which maps are kept: the most important ones, 1 for kept and 0 for the rest.

    Its gradient is that of a steep slope at the least important map that is kept, so that the
    ranking can be learned.

    Args:
        importance: ``(B, C)``.
        share: share of the maps that is kept, 0 to 1.

    Returns:
        ``(B, C)``.
    """
    count = max(round(importance.shape[1] * share), 1)
    least = importance.topk(count, 1).values[:, -1:]
    hard = (importance >= least).to(importance)
    soft = torch.sigmoid((importance - least) * importance.shape[1] / _SHARPNESS)
    return hard + soft - soft.detach()
