"""Fit the temporal exit's network to a teacher, then its gate to what it got right."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from e4_ros.vision import grid_boxes
from e4_ros.vision.agreement import f1
from e4_ros.vision.answer import Answer
from e4_ros.vision.exits import GridHead
from e4_ros.vision.familiarity import fit_familiarity, statistics
from e4_ros.vision.grid_boxes import BoxTarget, box_loss, box_target
from e4_ros.vision.temporal import GRID, SLOTS, THUMBNAIL, TemporalNet, local_peaks
from e4_ros.vision.temporal_input import as_input
from e4_ros.vision.temporal_lessons import Footage, Moment, Moments

Progress = Callable[[int, int], None]


def train_net(
    net: TemporalNet,
    moments: Moments,
    steps: int,
    batch: int = 16,
    learning_rate: float = 4e-3,
    progress: Progress = lambda done, total: None,
) -> list[float]:
    """Teach the boxes (AdamW, one cycle); returns the loss of every step."""
    optimiser = torch.optim.AdamW(net.parameters(), learning_rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, learning_rate, max(steps, 2))
    net.train()
    history = []
    for step in range(steps):
        drawn = [moments.draw() for _ in range(batch)]
        out = _look(net, drawn)
        targets = [_target(moment, net.settings['classes']) for moment in drawn]
        loss = box_loss(out['logits'], out['sides'], targets)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimiser.step()
        schedule.step()
        history.append(loss.item())
        progress(step + 1, steps)
    net.eval()
    return history


def centre_threshold(net: TemporalNet, moments: Moments, count: int = 400) -> float:
    """Score threshold with the best F1 against the teacher, by moments not learned from."""
    with torch.no_grad():
        answered = [_answers(net, [moments.draw()])[0] for _ in range(count)]
    grid = np.linspace(0.2, 0.6, 17)
    quality = [np.mean([f1(a, b, t, truth_score=0.5) for a, b in answered]) for t in grid]
    return float(grid[int(np.argmax(quality))])


def move_threshold(net: TemporalNet | GridHead, threshold: float) -> None:
    """Shift the centre logits so that what was ``threshold`` becomes a score of a half."""
    assert net.centre.bias is not None
    with torch.no_grad():
        net.centre.bias -= float(np.log(threshold / (1 - threshold)))


def train_gate(
    net: TemporalNet,
    moments: Moments,
    count: int,
    tolerance: float = 0.05,
    progress: Progress = lambda done, total: None,
) -> float:
    """Teach the gate to say whether the exit is as good as the full network would be.

    The label of a moment is 1 where the exit's F1 against the teacher is at most ``tolerance``
    below the full network's (the rule of FrameExit, arXiv 2104.13400, with F1 for the loss). The
    rest of the net stays as it is.

    Returns:
        The share of moments whose label the gate gets right at one half.
    """
    net.eval()
    gathered: list[Tensor] = []
    labels: list[float] = []
    handle = net.gate.register_forward_pre_hook(lambda _, inputs: gathered.append(inputs[0]))
    with torch.no_grad():
        for done in range(count):
            moment = moments.draw()
            answer, taught = _answers(net, [moment])[0]
            early, late = f1(answer, taught), f1(moment.full, taught)
            labels.append(float(early >= late - tolerance))
            progress(done + 1, count)
    handle.remove()
    seen, wanted = torch.cat(gathered), torch.tensor(labels)[:, None]
    state = torch.zeros(len(seen), net.gate.decide.in_features)
    optimiser = torch.optim.AdamW(net.gate.parameters(), 1e-2, weight_decay=1e-3)
    for _ in range(400):
        logit, _state = net.gate(seen, state)
        loss = F.binary_cross_entropy_with_logits(logit, wanted)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        logit, _state = net.gate(seen, state)
    return float(((logit > 0) == (wanted > 0.5)).float().mean())


def fit_to_footage(
    net: TemporalNet, learnt: Sequence[Footage], held_out: Sequence[Footage]
) -> None:
    """Tell the net what its camera's frames look like; see `familiarity`."""

    def tokens(source: Footage) -> Tensor:
        images = (cv2.resize(frame, THUMBNAIL[::-1]) for frame in source.frames)
        with torch.no_grad():
            seen = [statistics(net.encoder(torch.from_numpy(as_input(image)))) for image in images]
        return torch.cat(seen)

    fit_familiarity(
        net.familiarity, [tokens(source) for source in learnt], [tokens(s) for s in held_out]
    )


def _look(net: TemporalNet, drawn: Sequence[Moment]) -> dict[str, Tensor]:
    images = torch.from_numpy(np.stack([moment.images for moment in drawn]))
    filled = torch.from_numpy(np.stack([moment.filled for moment in drawn]))
    prior = torch.from_numpy(np.stack([moment.prior for moment in drawn]))
    with torch.no_grad():  # the memory was made by the same encoder, some steps ago
        memory = net.encoder(images[:, 1:].flatten(0, 1)).unflatten(0, (len(drawn), SLOTS))
    return net(images[:, 0], memory, filled, prior)


def _answers(net: TemporalNet, drawn: Sequence[Moment]) -> list[tuple[Answer, Answer]]:
    out = _look(net, drawn)
    peaks, sides = local_peaks(out['logits']).numpy(), out['sides'].numpy()
    return [
        (grid_boxes.decode(peaks[i], sides[i], THUMBNAIL, 0.1), moment.taught)
        for i, moment in enumerate(drawn)
    ]


def _target(moment: Moment, classes: int) -> BoxTarget:
    return box_target(moment.taught, classes, GRID, THUMBNAIL)
