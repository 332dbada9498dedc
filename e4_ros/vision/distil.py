"""Teach a box head to say, from the tensor between two stages, what a teacher says of the frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from e4_ros.vision.answer import Answer
from e4_ros.vision.exits import GridHead
from e4_ros.vision.grid_boxes import BoxTarget, box_loss, box_target
from e4_ros.vision.model import VisionModel
from e4_ros.vision.runtime import Buffer, OnnxRuntime, Piece
from e4_ros.vision.stages import Stage
from e4_ros.vision.views import plain_view, random_view

Progress = Callable[[int, int], None]


class Lessons:
    """Features of many views of the frames, with the teacher's boxes in the same views."""

    def __init__(self) -> None:
        self.features: list[Tensor] = []
        self.answers: list[Answer] = []

    def add(self, features: np.ndarray, answer: Answer) -> None:
        """Take one view; half precision is enough and halves the memory."""
        self.features.append(torch.from_numpy(features).half())
        self.answers.append(answer)


def prepare(
    model: VisionModel,
    stages: Sequence[Stage],
    frames: Sequence[np.ndarray],
    answers: Sequence[Answer],
    views: int,
    seed: int,
    progress: Progress = lambda done, total: None,
) -> Lessons:
    """Run the stages over every frame as it is and in random views.

    Args:
        model: what the stages were cut from.
        stages: the chain up to the cut.
        frames: ``(H, W, 3)`` uint8 each.
        answers: the teacher's, one for each frame.
        views: views of each frame, the plain one included.
        seed: of the random views.
        progress: called with the frames done and their number.
    """
    rng = np.random.default_rng(seed)
    runtime = OnnxRuntime()
    entry = runtime.buffer((1, 3, *model.input_size))
    pieces: list[Piece] = []
    joint: Buffer = entry
    for stage in stages:
        pieces.append(runtime.compile(stage.module, [joint]))
        joint = pieces[-1].outputs[0]
    lessons = Lessons()
    for index, (frame, answer) in enumerate(zip(frames, answers, strict=True)):
        for number in range(views):
            plain = number == 0
            size = model.input_size
            view = plain_view(frame.shape, size) if plain else random_view(frame.shape, size, rng)
            entry.write(model.preprocess(frame if plain else view.image(frame, size)))
            for piece in pieces:
                piece.run()
            lessons.add(joint.read()[0].copy(), view.answer(answer, size))
        progress(index + 1, len(frames))
    return lessons


def train_box_head(
    head: GridHead,
    lessons: Lessons,
    input_size: tuple[int, int],
    epochs: int,
    seed: int,
    batch: int = 16,
    learning_rate: float = 2e-3,
    progress: Progress = lambda done, total: None,
) -> list[float]:
    """Fit a head to the lessons (AdamW, one cosine); returns the mean loss of each epoch."""
    torch.manual_seed(seed)
    height, width = lessons.features[0].shape[1:]
    grid = (height, width)
    classes = head.settings['classes']
    targets = [box_target(answer, classes, grid, input_size) for answer in lessons.answers]
    optimiser = torch.optim.AdamW(head.parameters(), learning_rate, weight_decay=0.01)
    steps = epochs * -(-len(targets) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, learning_rate, steps)
    head.train()
    history = []
    for epoch in range(epochs):
        losses = []
        for rows in torch.randperm(len(targets)).split(batch):
            picked = [targets[i] for i in rows.tolist()]
            features = torch.stack([lessons.features[i] for i in rows.tolist()]).float()
            loss = _head_loss(head, features, picked)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(head.parameters(), 5.0)
            optimiser.step()
            schedule.step()
            losses.append(loss.item())
        history.append(float(np.mean(losses)))
        progress(epoch + 1, epochs)
    head.eval()
    return history


def _head_loss(head: GridHead, features: Tensor, targets: Sequence[BoxTarget]) -> Tensor:
    logits, sides = head(features)
    return box_loss(logits, sides, targets)
