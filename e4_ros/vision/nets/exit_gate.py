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

"""The gate of an exit between two stages: attention over places, past frames and earlier exits."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from e4_ros.vision.nets.attention import AttentionPool, Gate, TokenAttention
from e4_ros.vision.nets.in_distribution import InDistribution, statistics

SLOTS = 3  # frames in an exit's memory
STATE = 16  # length of the state that is carried along the exits of a frame
STATISTICS = 3  # numbers that describe an answer


class ExitGate(nn.Module):
    """Whether the answer of the exit that it belongs to will do.

    Args:
        channels: number of channels of the features at the exit.
        attention: whether to weight by attention; False for means over places and past frames.
        memory: whether the gate sees past frames and earlier exits.
    """

    def __init__(self, channels: int, attention: bool = True, memory: bool = True):
        super().__init__()
        self.settings = {'channels': channels, 'attention': attention, 'memory': memory}
        self.channels = channels
        self.use_memory = memory
        self.pool = AttentionPool(channels, attention)
        self.norm = nn.LayerNorm(channels)
        self.recall = TokenAttention(channels, SLOTS, attention)
        self.gate = Gate(2 * channels + 1 + STATISTICS, STATE)
        self.in_distribution = InDistribution(channels)

    def token(self, features: Tensor) -> Tensor:
        """What a frame is remembered by, from `coarse` features: ``(B, C, h, w)`` to ``(B, C)``."""
        return self.norm(self.pool(features))

    def forward(
        self, features: Tensor, described: Tensor, memory: Tensor, filled: Tensor, state: Tensor
    ) -> dict[str, Tensor]:
        """Judge a batch of frames.

        Args:
            features: ``(B, C, h, w)``, `coarse`, of what the stage before leaves behind.
            described: ``(B, 3)``, `peak_statistics` or `class_statistics` of the exit's answer.
            memory: ``(B, K, C)``, the tokens of the frames that it was last asked about.
            filled: ``(B, K)``, 1 where a slot holds a frame, else 0.
            state: ``(B, S)``, of the exit before.

        Returns:
            ``gate`` (logit), ``diversity``, ``token`` and ``state``.
        """
        token = self.token(features)
        remembered, diversity = self.recall(token, memory, filled)
        if not self.use_memory:
            remembered, state = torch.zeros_like(remembered), torch.zeros_like(state)
            diversity = torch.zeros_like(diversity)
        seen = torch.cat([token, remembered, diversity, described], 1)
        gate, state = self.gate(seen, state)
        return {'gate': gate, 'diversity': diversity, 'token': token, 'state': state}

    def trusted(self, features: Tensor) -> Tensor:
        """Reliability-weighted in-distribution score of ``(B, C, h, w)``: ``(B, 1)`` in [0, 1]."""
        return self.in_distribution(statistics(features))[1]
