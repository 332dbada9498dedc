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

"""Distillation: a head learns the teacher's outputs from the tensor between two stages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from e4_ros.vision.detections import Detections
from e4_ros.vision.model import VisionModel
from e4_ros.vision.nets.heads import GridHead, Head
from e4_ros.vision.runtime.one_per_core import OnePerCore
from e4_ros.vision.training.augment import plain_view, random_view
from e4_ros.vision.training.data_parallel import DataParallel
from e4_ros.vision.training.feature_extractor import FeatureExtractor
from e4_ros.vision.training.grid_targets import box_loss, box_target
from e4_ros.vision.training.resumable import WorkFile, training_device

Progress = Callable[[int, int], None]

TEMPERATURE = 3.0
_BATCH, _LEARNING_RATE = 16, 2e-3  # samples in a step, highest rate of the cycle
_HARD_SHARE = 0.2  # of the loss against the teacher's first class alone


@dataclass
class Samples:
    """Views of frames as an exit sees them, with what the teacher says of the same views.

    Attributes:
        features: ``(C, h, w)`` each, in half precision, which halves the memory.
        answers: the teacher's boxes in the view; for classes the network's logits ``(classes,)``.
        plain: whether a view is the frame as it is.
    """

    features: list[Tensor] = field(default_factory=list)
    answers: list[Detections | Tensor] = field(default_factory=list)
    plain: list[bool] = field(default_factory=list)

    def extend(self, more: Samples) -> None:
        """Append other samples of the same cut."""
        self.features += more.features
        self.answers += more.answers
        self.plain += more.plain


def prepare(
    model: VisionModel,
    probes: OnePerCore[FeatureExtractor],
    cuts: int,
    frames: Sequence[np.ndarray],
    answers: Sequence[Detections],
    views: int,
    seed: int,
    progress: Progress = lambda done, total: None,
) -> list[Samples]:
    """Run the network over every frame as it is and in random views.

    Args:
        model: the network.
        probes: the same, cut where the exits go.
        cuts: number of cuts.
        frames: ``(H, W, 3)`` uint8 each.
        answers: the teacher's, one for each frame; not read for a classifier, which is its own.
        views: views of each frame, the plain one included.
        seed: seed of the random views.
        progress: function that receives the number of frames done and of all frames.

    Returns:
        Samples for each cut.
    """

    def seen(probe: FeatureExtractor, index: int) -> list[Samples]:
        rng = np.random.default_rng([seed, index])
        return _views(model, probe, cuts, frames[index], answers[index], views, rng)

    samples = [Samples() for _ in range(cuts)]
    for index, found in enumerate(probes.map(seen, range(len(frames)))):
        for sample, more in zip(samples, found, strict=True):
            sample.extend(more)
        progress(index + 1, len(frames))
    return samples


def _views(
    model: VisionModel,
    probe: FeatureExtractor,
    cuts: int,
    frame: np.ndarray,
    detections: Detections,
    views: int,
    rng: np.random.Generator,
) -> list[Samples]:
    """Samples of one frame for each cut."""
    samples, size = [Samples() for _ in range(cuts)], model.input_size
    for number in range(views):
        plain = number == 0
        place = model.place(frame.shape)
        view = plain_view(place) if plain else random_view(place, size, rng)
        probe.see(frame if plain else view.image(frame, size))
        pseudo_labels: Detections | Tensor = view.detections(detections, size)
        if model.task == 'classify':
            pseudo_labels = torch.from_numpy(probe.outputs()['logits'][0].copy())
        for cut, sample in enumerate(samples):
            sample.features.append(torch.from_numpy(probe.features(cut)))
            sample.answers.append(pseudo_labels)
            sample.plain.append(plain)
    return samples


def train_head(
    head: Head,
    samples: Samples,
    input_size: tuple[int, int],
    epochs: int,
    seed: int,
    weights: Tensor | None = None,
    work: Path | None = None,
    threads: int = 1,
    progress: Progress = lambda done, total: None,
) -> list[float]:
    """Train a head on samples (AdamW, one cycle).

    Args:
        head: changed in place, and in eval mode afterwards.
        samples: features and what the teacher says.
        input_size: ``(H, W)`` of the network, which boxes are relative to.
        epochs: number of passes over the samples.
        seed: seed of the order of the samples.
        weights: weight of each sample ``(n,)``: the share that reaches this exit; only for classes.
        work: file to go on from, and to keep what is needed to go on.
        threads: number of threads, each of which learns from a part of every batch.
        progress: function that receives the number of epochs done and of all epochs.

    Returns:
        The mean loss of each epoch that was done here.
    """
    device = training_device()
    head.to(device).to(memory_format=torch.channels_last)
    loss_of = _loss(head, samples, input_size, weights)
    count = len(samples.features)
    optimiser = torch.optim.AdamW(head.parameters(), _LEARNING_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, _LEARNING_RATE, max(epochs * -(-count // _BATCH), 2)
    )
    kept = WorkFile(work, head=head, optimiser=optimiser, schedule=schedule)
    head.train()
    heads = DataParallel(head, threads if device.type == 'cpu' else 1)
    history = []
    for epoch in range(kept.resume(), epochs):
        order = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
        losses = []
        shuffled = torch.randperm(count, generator=order)
        for rows in (batch.tolist() for batch in shuffled.split(_BATCH)):

            def loss(head: Head, part: slice, rows: list[int] = rows) -> Tensor:
                features = torch.stack([samples.features[i] for i in rows[part]]).to(device)
                features = features.float().contiguous(memory_format=torch.channels_last)
                return loss_of(head, features, rows[part])

            losses.append(heads.backward(loss, len(rows)))
            torch.nn.utils.clip_grad_norm_(head.parameters(), 5.0)
            optimiser.step()
            schedule.step()
        history.append(float(np.mean(losses)))
        kept.keep(epoch + 1)
        progress(epoch + 1, epochs)
    head.cpu().to(memory_format=torch.contiguous_format).eval()
    return history


def _loss(
    head: Head, samples: Samples, input_size: tuple[int, int], weights: Tensor | None
) -> Callable[[Head, Tensor, list[int]], Tensor]:
    if isinstance(head, GridHead):
        grid = head.grid(samples.features[0].shape)
        targets = [
            box_target(detections, head.settings['classes'], grid, input_size)
            for detections in samples.answers
            if isinstance(detections, Detections)
        ]

        def boxes(head: Head, features: Tensor, rows: list[int]) -> Tensor:
            logits, sides = head(features)
            return box_loss(logits.cpu(), sides.cpu(), [targets[i] for i in rows])

        return boxes
    pseudo_labels = torch.stack(
        [detections for detections in samples.answers if isinstance(detections, Tensor)]
    )
    weigh = torch.ones(len(pseudo_labels)) if weights is None else weights

    def classes(head: Head, features: Tensor, rows: list[int]) -> Tensor:
        each = distillation_loss(head(features), pseudo_labels[rows].to(features.device))
        return (each * weigh[rows].to(each.device)).sum() / weigh[rows].sum().clamp_min(1e-6)

    return classes


def distillation_loss(logits: Tensor, pseudo_labels: Tensor) -> Tensor:
    """``(B,)``: T²·KL(teacher ‖ head), and a little cross-entropy on the teacher's first class.

    Sources: Hinton et al. (arXiv 1503.02531); Phuong and Lampert (ICCV 2019) for exits.

    Args:
        logits: logits of the head, ``(B, classes)``.
        pseudo_labels: teacher's outputs for the same views.
    """
    soft = F.kl_div(
        F.log_softmax(logits / TEMPERATURE, 1),
        F.log_softmax(pseudo_labels / TEMPERATURE, 1),
        reduction='none',
        log_target=True,
    ).sum(1)
    hard = F.cross_entropy(logits, pseudo_labels.argmax(1), reduction='none')
    return (1 - _HARD_SHARE) * TEMPERATURE**2 * soft + _HARD_SHARE * hard
