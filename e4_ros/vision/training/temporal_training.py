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

"""Fit the temporal exit's network to a teacher."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from e4_ros.vision.agreement import f1
from e4_ros.vision.detections import Detections
from e4_ros.vision.inference import grid_boxes
from e4_ros.vision.inference.temporal_input import as_input
from e4_ros.vision.nets.heads import GridHead, local_peaks
from e4_ros.vision.nets.in_distribution import fit_in_distribution, statistics
from e4_ros.vision.nets.temporal_net import GRID, SLOTS, THUMBNAIL, TemporalNet
from e4_ros.vision.runtime.one_per_core import OnePerCore
from e4_ros.vision.training.data_parallel import DataParallel
from e4_ros.vision.training.grid_targets import BoxTarget, box_loss, box_target
from e4_ros.vision.training.resumable import WorkFile, training_device
from e4_ros.vision.training.temporal_samples import Footage, TemporalSample, TemporalSamples

Progress = Callable[[int, int], None]

_THRESHOLDS = np.linspace(0.2, 0.6, 17)
_KEEP_EVERY = 100  # steps


def train_net(
    net: TemporalNet,
    samples: TemporalSamples,
    steps: int,
    batch: int = 16,
    learning_rate: float = 4e-3,
    work: Path | None = None,
    threads: int = 1,
    progress: Progress = lambda done, total: None,
) -> list[float]:
    """Train the network's boxes (AdamW, one cycle).

    Args:
        net: changed in place, and in eval mode afterwards.
        samples: training samples.
        steps: number of steps of the optimiser.
        batch: moments in a step.
        learning_rate: highest learning rate of the schedule.
        work: file to go on from, and to keep what is needed to go on.
        threads: number of threads, each of which learns from a part of every batch.
        progress: function that receives the number of steps done and of all steps.

    Returns:
        The loss of every step that was done here.
    """
    device = training_device()
    net.to(device).to(memory_format=torch.channels_last).train()
    optimiser = torch.optim.AdamW(net.parameters(), learning_rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, learning_rate, max(steps, 2))
    kept = WorkFile(work, net=net, optimiser=optimiser, schedule=schedule)
    history = []
    nets = DataParallel(net, threads if device.type == 'cpu' else 1)
    first, classes = kept.resume(), net.settings['classes']

    def draw(_: None, step: int) -> tuple[list[TemporalSample], list[BoxTarget]]:
        drawn = samples.batch(step, batch)
        return drawn, [box_target(m.pseudo_labels, classes, GRID, THUMBNAIL) for m in drawn]

    # The next batches are drawn while the net learns from this one.
    batches = OnePerCore(lambda: None, 1).map(draw, range(first, steps))
    for step, (drawn, targets) in enumerate(batches, first):

        def loss(
            net: TemporalNet,
            part: slice,
            drawn: Sequence[TemporalSample] = drawn,
            targets: Sequence[BoxTarget] = targets,
        ) -> Tensor:
            out = _look(net, drawn[part])
            return box_loss(out['logits'].cpu(), out['sides'].cpu(), targets[part])

        history.append(nets.backward(loss, batch))
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimiser.step()
        schedule.step()
        if (step + 1) % _KEEP_EVERY == 0 or step + 1 == steps:
            kept.keep(step + 1)
        progress(step + 1, steps)
    net.cpu().to(memory_format=torch.contiguous_format).eval()
    return history


def centre_threshold(net: TemporalNet, samples: TemporalSamples, batches: int = 25) -> float:
    """Score threshold with the best F1 against the teacher, by moments not learned from."""
    answered = [
        pair for number in range(batches) for pair in _answers(net, samples.batch(number, 16))
    ]
    return best_threshold(answered)


def best_threshold(answered: Sequence[tuple[Detections, Detections]]) -> float:
    """Score threshold with the best mean F1, from pairs of an answer and the teacher's."""
    quality = [np.mean([f1(a, b, t, truth_score=0.5) for a, b in answered]) for t in _THRESHOLDS]
    return float(_THRESHOLDS[int(np.argmax(quality))])


def move_threshold(net: TemporalNet | GridHead, threshold: float) -> None:
    """Shift the centre logits so that what was ``threshold`` becomes a score of a half."""
    assert net.centre.bias is not None
    with torch.no_grad():
        net.centre.bias -= float(np.log(threshold / (1 - threshold)))


def fit_to_footage(
    net: TemporalNet, learnt: Sequence[Footage], held_out: Sequence[Footage]
) -> None:
    """Tell the net what its camera's frames look like; see `in_distribution`."""

    def tokens(source: Footage) -> Tensor:
        images = (cv2.resize(frame, THUMBNAIL[::-1]) for frame in source.frames)
        with torch.no_grad():
            seen = [statistics(net.encoder(torch.from_numpy(as_input(image)))) for image in images]
        return torch.cat(seen)

    fit_in_distribution(
        net.in_distribution, [tokens(s) for s in learnt], [tokens(s) for s in held_out]
    )


def _look(net: TemporalNet, drawn: Sequence[TemporalSample]) -> dict[str, Tensor]:
    device = net.centre.weight.device

    def stacked(arrays: Sequence[np.ndarray]) -> Tensor:
        return torch.from_numpy(np.stack(arrays)).to(device)

    images = stacked([sample.images for sample in drawn])
    with torch.no_grad():  # the memory was made by the same encoder, some steps ago
        past = images[:, 1:].flatten(0, 1).contiguous(memory_format=torch.channels_last)
        memory = net.encoder(past).unflatten(0, (len(drawn), SLOTS))
    now = images[:, 0].contiguous(memory_format=torch.channels_last)
    filled, prior = stacked([m.filled for m in drawn]), stacked([m.prior for m in drawn])
    return net(now, memory, filled, prior)


@torch.no_grad()
def _answers(
    net: TemporalNet, drawn: Sequence[TemporalSample]
) -> list[tuple[Detections, Detections]]:
    out = _look(net, drawn)
    peaks, sides = local_peaks(out['logits']).numpy(), out['sides'].numpy()
    return [
        (grid_boxes.decode(peaks[i], sides[i], THUMBNAIL, 0.1), sample.pseudo_labels)
        for i, sample in enumerate(drawn)
    ]
