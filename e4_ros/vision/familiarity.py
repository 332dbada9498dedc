"""Whether a frame looks like the footage that the exits were fitted to.

Exits that specialise to a camera are blind elsewhere, and sure of themselves all the same: this is
what closes them after a scene cut, in the dark, or behind a covered lens.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

_PROTOTYPES = 64
_MARGIN = 6.0  # how much farther than held-out footage of the same camera still counts as familiar


class Familiarity(nn.Module):
    """Distance of a feature map's statistics to the nearest of those seen when fitting.

    Args:
        channels: of the feature map.
    """

    prototypes: Tensor
    scale: Tensor
    limit: Tensor

    def __init__(self, channels: int):
        super().__init__()
        self.register_buffer('prototypes', torch.zeros(_PROTOTYPES, 2 * channels))
        self.register_buffer('scale', torch.ones(1, 2 * channels))
        self.register_buffer('limit', torch.tensor(1e6))  # until it is fitted all is familiar

    def forward(self, seen: Tensor) -> Tensor:
        """``(B, C, h, w)`` to ``(B, 1)``: 1 for the footage's like, 1/2 at the limit, then to 0."""
        return 1 / (1 + (self.distance(statistics(seen)) / self.limit) ** 4)

    def distance(self, tokens: Tensor) -> Tensor:
        """``(B, 2·C)`` to ``(B, 1)``: root mean square over channels, in units of the scale."""
        apart = (tokens[:, None] - self.prototypes) / self.scale
        return apart.square().mean(2).amin(1, keepdim=True).sqrt()


def statistics(seen: Tensor) -> Tensor:
    """Mean and standard deviation over places, ``(B, C, h, w)`` to ``(B, 2·C)``."""
    mean = seen.mean((2, 3))
    spread = (seen - mean[:, :, None, None]).square().mean((2, 3))
    return torch.cat([mean, (spread + 1e-6).sqrt()], 1)


@torch.no_grad()
def fit_familiarity(familiarity: Familiarity, learnt: list[Tensor], held_out: list[Tensor]) -> None:
    """Remember what the footage looked like, and how far held-out footage strays from it.

    The source whose held-out part strays least sets the limit: another may be cut from scenes that
    have nothing in common.

    Args:
        familiarity: filled in place.
        learnt: for each source ``(n, 2·C)`` statistics in order of time.
        held_out: likewise, of later footage.
    """
    steps = torch.cat([tokens.diff(dim=0) for tokens in learnt])
    familiarity.scale.copy_(steps.std(0, keepdim=True) + 1e-6)
    tokens = torch.cat(learnt)
    picks = np.linspace(0, len(tokens) - 1, _PROTOTYPES).round()
    familiarity.prototypes.copy_(tokens[torch.from_numpy(picks).long()])
    strays = [familiarity.distance(tokens).median() for tokens in held_out if len(tokens)]
    familiarity.limit.copy_(_MARGIN * torch.stack(strays).min().clamp(min=1e-3))
