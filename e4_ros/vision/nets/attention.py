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

"""The attention of the cascade: over places, over past frames, and along the exits of a frame.

Every module has its ablation as a switch, so that what it is worth can be measured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

_NOT_THERE = -1e4  # likeness of a memory slot that is still empty


class AttentionPool(nn.Module):
    """One vector from a feature map: a mean over places, weighted by where to look.

    Args:
        channels: number of channels of the feature map.
        attend: whether to weight by attention; False for the plain mean.
    """

    def __init__(self, channels: int, attend: bool = True):
        super().__init__()
        self.interest = nn.Conv2d(channels, 1, 1) if attend else None

    def forward(self, features: Tensor) -> Tensor:
        """``(B, C, h, w)`` to ``(B, C)``."""
        if self.interest is None:
            return features.mean((2, 3))
        weights = self.interest(features).flatten(2).softmax(-1)
        return (features.flatten(2) * weights).sum(-1)


def coarse(features: Tensor) -> Tensor:
    """What a gate looks at, ``(B, C, h, w)`` to half of the height and width: a quarter to read."""
    return F.avg_pool2d(features, 2, ceil_mode=True)


class MemoryAttention(nn.Module):
    """What past frames had at each place, weighted by how well it fits what is there now.

    Attention over the slots of a memory, apart for each place of the map, by the cosine of
    embeddings and a learned sharpness. A learned empty slot lets it find nothing.

    Args:
        channels: number of channels of the feature maps.
        slots: frames in the memory.
        keys: channels of the embedding.
        attend: whether to weight by attention; False for the mean over the filled slots.
    """

    def __init__(self, channels: int, slots: int, keys: int = 8, attend: bool = True):
        super().__init__()
        self.attend = attend
        self.slots = slots
        self.embed = nn.Conv2d(channels, keys, 1)
        self.sharpness = nn.Parameter(torch.tensor(4.0))
        self.nothing = nn.Parameter(torch.zeros(1, 1, 1, 1))

    def forward(self, now: Tensor, memory: Tensor, filled: Tensor) -> tuple[Tensor, Tensor]:
        """Attend.

        Args:
            now: ``(B, C, h, w)``.
            memory: ``(B, K, C, h, w)``.
            filled: ``(B, K)``, 1 where a slot holds a frame, else 0.

        Returns:
            What was remembered ``(B, C, h, w)`` and the diversity ``(B, 1)`` in [0, 1]: how little
            the frame resembles the slot that it resembles most.
        """
        # All slots as one batch: fewer operations for a runtime to start.
        keys = self.keys(memory.flatten(0, 1)).unflatten(0, (-1, self.slots))
        slots = range(self.slots)
        return self.weigh(
            self.keys(now), [keys[:, i] for i in slots], [memory[:, i] for i in slots], filled
        )

    def keys(self, features: Tensor) -> Tensor:
        """What places are found by, ``(B, C, h, w)`` to ``(B, keys, h, w)``, of length one."""
        return _unit(self.embed(features))

    def weigh(
        self, query: Tensor, keys: Sequence[Tensor], slots: Sequence[Tensor], filled: Tensor
    ) -> tuple[Tensor, Tensor]:
        """As `forward`, with the keys of now and of each slot at hand.

        Args:
            query: ``(B, keys, h, w)``.
            keys: the same of each slot.
            slots: ``(B, C, h, w)`` each.
            filled: ``(B, K)``.
        """
        each = [(query * key).sum(1, keepdim=True) for key in keys]
        likeness = torch.cat(each, 1)
        nearest = (likeness.mean((2, 3)) + (1 - filled) * _NOT_THERE).amax(1, keepdim=True)
        diversity = 1 - nearest.clamp(0, 1)
        if self.attend:
            # A softmax written out: a cosine needs no guard against overflow, and the sums below
            # are a quarter of the time of reductions in ONNX Runtime.
            weights = torch.exp(self.sharpness * likeness) * filled[:, :, None, None]
            nothing = torch.exp(self.nothing)
        else:
            weights = torch.zeros_like(likeness) + filled[:, :, None, None]
            nothing = torch.full((1, 1, 1, 1), 1e-6)
        shares = [weights[:, i : i + 1] for i in range(self.slots)]
        total = sum(shares, nothing)
        parts = [slot * (share / total) for slot, share in zip(slots, shares, strict=True)]
        return sum(parts[1:], parts[0]), diversity


class TokenAttention(nn.Module):
    """The same over one vector a frame: ``(B, C)`` now, ``(B, K, C)`` of the past.

    Args:
        channels: length of the vectors.
        slots: frames in the memory.
        attend: whether to weight by attention; False for the mean over the filled slots.
    """

    def __init__(self, channels: int, slots: int, attend: bool = True):
        super().__init__()
        self.over_places = MemoryAttention(channels, slots, channels, attend)

    def forward(self, now: Tensor, memory: Tensor, filled: Tensor) -> tuple[Tensor, Tensor]:
        """What was remembered ``(B, C)`` and the diversity ``(B, 1)``."""
        remembered, diversity = self.over_places(
            now[:, :, None, None], memory[:, :, :, None, None], filled
        )
        return remembered.flatten(1), diversity


class Gate(nn.Module):
    """Whether an exit's answer will do, from what it saw and what the exits before it made of it.

    The state is carried along the exits of one frame by a gated update (Cho et al., arXiv
    1406.1078, without the reset gate).

    Args:
        inputs: length of what the exit saw.
        state: length of the state.
    """

    def __init__(self, inputs: int, state: int = 16):
        super().__init__()
        self.update = nn.Linear(inputs + state, state)
        self.propose = nn.Linear(inputs + state, state)
        self.decide = nn.Linear(state, 1)

    def forward(self, seen: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Logit ``(B, 1)`` and the next state ``(B, S)``, from ``(B, N)`` and ``(B, S)``."""
        both = torch.cat([seen, state], 1)
        share = torch.sigmoid(self.update(both))
        state = share * torch.tanh(self.propose(both)) + (1 - share) * state
        return self.decide(state), state


def peak_statistics(peaks: Tensor) -> Tensor:
    """``(B, 3)`` from peak probabilities ``(B, C, h, w)``: sure, doubtful and faint objects.

    Sums of p², p(1 − p) and of p below a half; scaled to stay near one in a crowded frame.
    """
    p = peaks.flatten(1)
    faint = (p * (p < 0.5)).sum(1)
    return torch.stack([(p * p).sum(1), 4 * (p * (1 - p)).sum(1), faint], 1) / 8


def class_statistics(logits: Tensor) -> Tensor:
    """``(B, 3)`` from class logits: highest probability, its lead, entropy as a share of the most.

    After JEI-DNN (Chataoui et al., ICLR 2024).
    """
    p = logits.softmax(1)
    first, second = p.topk(2, dim=1).values.unbind(1)
    entropy = -(p * p.clamp_min(1e-9).log()).sum(1)
    return torch.stack([first, first - second, entropy / math.log(logits.shape[1])], 1)


def _unit(x: Tensor) -> Tensor:
    """The same directions over channels, at length one."""
    return x * torch.rsqrt(x.square().sum(1, keepdim=True) + 1e-6)
