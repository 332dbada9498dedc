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

"""Whether a frame looks like the footage that an exit was fitted to, and was right on.

Exits that specialise to a camera are blind elsewhere, and sure of themselves all the same: this is
what closes them after a scene cut, in the dark, behind a covered lens, and in scenes that they were
shown but did not learn.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

_PROTOTYPES = 128
_MARGIN = 6.0  # multiple of the held-out footage's distance that is still in distribution
_NO_TRUST, _FULL_TRUST = 0.5, 0.75  # shares of held-out frames that an exit was right on
_HESITATION = 4.0  # frames' worth of the wider surroundings in a prototype's share


class InDistribution(nn.Module):
    """In-distribution score: likeness of a feature map's statistics to prototypes.

    Each prototype has a reliability: how often the exit was right on frames like it.

    Args:
        channels: number of channels of the feature map.
    """

    prototypes: Tensor
    trust: Tensor
    scale: Tensor
    limit: Tensor

    def __init__(self, channels: int):
        super().__init__()
        self.register_buffer('prototypes', torch.zeros(_PROTOTYPES, 2 * channels))
        self.register_buffer('trust', torch.ones(_PROTOTYPES))
        self.register_buffer('scale', torch.ones(1, 2 * channels))
        self.register_buffer(
            'limit', torch.tensor(1e6)
        )  # until it is fitted everything is in distribution

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """From `statistics`, ``(B, 2·C)``.

        Returns:
            The score ``(B, 1)``: 1 for the footage's like, 1/2 at the limit, then to 0; and the
            same, weighted by the reliability of each prototype.
        """
        likeness = self.likeness(tokens)
        trusted = (likeness * self.trust).amax(1, keepdim=True)
        return likeness.amax(1, keepdim=True), trusted

    def likeness(self, tokens: Tensor) -> Tensor:
        """``(B, 2·C)`` to ``(B, P)`` in [0, 1]."""
        return 1 / (1 + (self.apart(tokens) / self.limit.square()).square())

    def apart(self, tokens: Tensor) -> Tensor:
        """Squared distances ``(B, P)``: means over channels, in units of the scale."""
        return ((tokens[:, None] - self.prototypes) / self.scale).square().mean(2)


def statistics(seen: Tensor) -> Tensor:
    """Mean and standard deviation over places, ``(B, C, h, w)`` to ``(B, 2·C)``."""
    mean = seen.mean((2, 3))
    spread = (seen - mean[:, :, None, None]).square().mean((2, 3))
    return torch.cat([mean, (spread + 1e-6).sqrt()], 1)


@torch.no_grad()
def fit_in_distribution(
    in_distribution: InDistribution, learnt: Sequence[Tensor], held_out: Sequence[Tensor]
) -> None:
    """Remember what the footage looked like, and how far held-out footage strays from it.

    The source whose held-out part strays least sets the limit: another may be cut from scenes that
    have nothing in common.

    Args:
        in_distribution: filled in place.
        learnt: for each source ``(n, 2·C)`` statistics in order of time.
        held_out: likewise, of its held-out frames.
    """
    steps = torch.cat([tokens.diff(dim=0) for tokens in learnt])
    in_distribution.scale.copy_(steps.std(0, keepdim=True) + 1e-6)
    tokens = torch.cat(list(learnt))
    picks = np.linspace(0, len(tokens) - 1, _PROTOTYPES).round()
    in_distribution.prototypes.copy_(tokens[torch.from_numpy(picks).long()])
    strays = [in_distribution.apart(t).amin(1).sqrt().median() for t in held_out if len(t)]
    in_distribution.limit.copy_(_MARGIN * torch.stack(strays).min().clamp(min=1e-3))


@torch.no_grad()
def measure_reliability(in_distribution: InDistribution, tokens: Tensor, right: Tensor) -> None:
    """Measure the reliability of each prototype on held-out frames that are like it.

    It is 0 where the exit was right on half of them or less, and 1 from three quarters on. Where
    few frames are like a prototype, those in its wider surroundings count, too.

    Args:
        in_distribution: module whose reliabilities are set in place.
        tokens: ``(n, 2·C)`` statistics of held-out frames.
        right: 1 where the exit's detections were good enough, else 0, ``(n,)``.
    """
    near = 1 / (
        1 + (in_distribution.apart(tokens) / (in_distribution.limit / _MARGIN).square()).square()
    )
    wide = in_distribution.likeness(tokens) + 1e-6
    surroundings = right @ wide / wide.sum(0)
    share = (right @ near + _HESITATION * surroundings) / (near.sum(0) + _HESITATION)
    in_distribution.trust.copy_(((share - _NO_TRUST) / (_FULL_TRUST - _NO_TRUST)).clamp(0, 1))
