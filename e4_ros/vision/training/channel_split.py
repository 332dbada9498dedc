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

"""Both halves of a split by channels, trained without labels: DVFO's way of offloading a part.

At a cut the more important feature maps stay, the others travel; each half goes through a tail of
the network, and the two answers are added with weights. An untrained tail has never seen a frame
without half of its maps. So both tails learn with random masks from what the whole network says of
the same view.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from e4_ros.vision.nets.channel_ranking import ChannelRanking, keep_mask
from e4_ros.vision.networks.torch_graph import split
from e4_ros.vision.networks.torch_network import TorchNetwork
from e4_ros.vision.networks.trainable import TrainableModel
from e4_ros.vision.training.augment import plain_view, random_view
from e4_ros.vision.training.feature_extractor import FeatureExtractor, feature_extractors

_BATCH, _RATE = 8, 1e-3
_LEAST_SHARE = 0.2  # of the maps, in a random mask

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class SplitSamples:
    """What the whole network has at the cut and says at its end.

    Attributes:
        features: ``(N, C, h, w)`` in half precision.
        encodings: ``(N, A, 4)``.
        logits: ``(N, A, classes)``.
    """

    features: Tensor
    encodings: Tensor
    logits: Tensor


def split_samples(
    model: TrainableModel, cut: str, frames: Sequence[np.ndarray], views: int = 1, seed: int = 0
) -> SplitSamples:
    """Run the network over frames as they are and in random views.

    Args:
        model: a detector of the SSD kind, with outputs ``encodings`` and ``logits``.
        cut: name of the cut.
        frames: ``(H, W, 3)`` uint8 RGB each.
        views: views of each frame, the plain one included.
        seed: seed of the random views.
    """
    extractors = feature_extractors(model, [cut])

    def see(extractor: FeatureExtractor, index: int) -> list[tuple[np.ndarray, ...]]:
        rng, frame = np.random.default_rng([seed, index]), frames[index]
        place, found = model.place(frame.shape), list[tuple[np.ndarray, ...]]()
        for number in range(views):
            view = plain_view(place) if not number else random_view(place, model.input_size, rng)
            extractor.see(frame if not number else view.image(frame, model.input_size))
            outputs = extractor.outputs()
            found.append(
                (extractor.features(0), *(outputs[n][0].copy() for n in ('encodings', 'logits')))
            )
        return found

    every = [each for found in extractors.map(see, range(len(frames))) for each in found]
    features, encodings, logits = (
        torch.from_numpy(np.stack(part)) for part in zip(*every, strict=False)
    )
    return SplitSamples(features, encodings, logits)


class ChannelSplit(nn.Module):
    """A ranking of the feature maps at a cut, and a tail for either half.

    Maps that are missing are filled with their mean over the footage that was learned from.

    Args:
        model: a detector whose network is a torch module.
        cut: name of the cut.
        mean: mean of each map, ``(C,)``.
    """

    def __init__(self, model: TrainableModel, cut: str, mean: Tensor):
        super().__init__()
        network = model.network
        assert isinstance(network, TorchNetwork), 'a network of the zoo is a torch module'
        tail = split(network.module, torch.zeros(1, 3, *model.input_size), [cut])[1].module
        self.ranking = ChannelRanking(len(mean))
        self.tails = nn.ModuleList([copy.deepcopy(tail), copy.deepcopy(tail)])
        self.tails.requires_grad_(True)
        self.mean: Tensor
        self.register_buffer('mean', mean[None, :, None, None].clone())

    def forward(
        self, features: Tensor, share: float, fill: bool = True
    ) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Encodings and logits of the half that stays, and of the half that travels.

        Args:
            features: ``(B, C, h, w)``.
            share: share of the maps that stays.
            fill: whether missing maps are filled with their mean; else with zero.
        """
        mask = keep_mask(self.ranking(features), share)[:, :, None, None]
        filler = self.mean if fill else torch.zeros_like(self.mean)
        near, far = self.tails
        stays = near(features * mask + filler * (1 - mask))
        travels = far(features * (1 - mask) + filler * mask)
        return stays, travels


def fused(
    stays: tuple[Tensor, Tensor], travels: tuple[Tensor, Tensor], weight: float
) -> tuple[Tensor, Tensor]:
    """Both answers added, the one that stays with ``weight``."""
    encodings, logits = (
        weight * near + (1 - weight) * far for near, far in zip(stays, travels, strict=True)
    )
    return encodings, logits


def train_split(
    module: ChannelSplit,
    samples: SplitSamples,
    steps: int,
    seed: int = 0,
    progress: Progress = lambda done, total: None,
) -> list[float]:
    """Train ranking and tails with a random share a step; batch norms keep their statistics.

    Args:
        module: changed in place.
        samples: what the whole network has and says.
        steps: batches of eight.
        seed: seed of order and shares.
        progress: function that receives the steps done and all steps.

    Returns:
        The loss of each step.
    """
    module.eval()
    optimiser = torch.optim.AdamW(module.parameters(), _RATE, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, max(steps, 2))
    rng, history = np.random.default_rng(seed), []
    for step in range(steps):
        rows = torch.from_numpy(rng.integers(0, len(samples.features), _BATCH))
        wanted = samples.encodings[rows], samples.logits[rows]
        share = float(rng.uniform(_LEAST_SHARE, 1 - _LEAST_SHARE))
        stays, travels = module(samples.features[rows].float(), share)
        loss = sum(
            (split_loss(answer, wanted) for answer in (stays, travels, fused(stays, travels, 0.5))),
            torch.zeros(()),
        )
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 5.0)
        optimiser.step()
        schedule.step()
        history.append(float(loss.detach()))
        progress(step + 1, steps)
    return history


def split_loss(answer: tuple[Tensor, Tensor], wanted: tuple[Tensor, Tensor]) -> Tensor:
    """How far boxes and scores are from those of the whole network.

    Scores by quality focal loss (Li et al., arXiv 2006.04388), whose target is the network's own
    probability; boxes by the smooth L1 distance where the network sees something.

    Args:
        answer: encodings ``(B, A, 4)`` and logits ``(B, A, classes)``.
        wanted: the network's.
    """
    target = wanted[1].sigmoid()
    cross = F.binary_cross_entropy_with_logits(answer[1], target, reduction='none')
    far = (answer[1].sigmoid() - target).detach().square()
    objects = target.amax(2).square()
    boxes = F.smooth_l1_loss(answer[0], wanted[0], reduction='none').mean(2)
    count = objects.sum().clamp_min(1.0)
    return ((far * cross).sum() + (objects * boxes).sum()) / count
