"""Exits for one camera, from unlabelled footage: teach, hold out, set thresholds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from e4_ros.vision import grid_boxes
from e4_ros.vision.agreement import f1
from e4_ros.vision.answer import Answer
from e4_ros.vision.checkpoint import Checkpoint, Exit, network_hash
from e4_ros.vision.distil import Lessons, prepare, train_box_head
from e4_ros.vision.engine import EarlyExitEngine
from e4_ros.vision.exits import GridHead, Peaks
from e4_ros.vision.model import VisionModel
from e4_ros.vision.policy import TEMPORAL, FullPolicy
from e4_ros.vision.runtime import make_runtime
from e4_ros.vision.stages import find_cuts, nearest_cuts, split
from e4_ros.vision.teacher import OfflineTeacher
from e4_ros.vision.temporal import TemporalNet
from e4_ros.vision.temporal_lessons import Footage, Moments, footage
from e4_ros.vision.temporal_training import (
    centre_threshold,
    fit_to_footage,
    move_threshold,
    train_gate,
    train_net,
)

Clip = Sequence[tuple[float, np.ndarray]]
Progress = Callable[[str, int, int], None]

_LEAST_FRAMES = 40


class FitError(ValueError):
    """The footage or the model is not fit for fitting; says what is missing."""


@dataclass(frozen=True)
class FitSettings:
    """What can be turned.

    Attributes:
        seed: of everything that is random.
        held_out: last share of each source that nothing learns from; thresholds are set on it.
        steps: training steps of the temporal exit.
        epochs: passes of the mid-network exit over its lessons.
        views: views of each frame in those lessons.
        cut: where the mid-network exit goes: a share of the cost, or a traced node's name.
        attention: False for plain means in place of attention.
        memory: False for a temporal exit that sees the thumbnail alone.
    """

    seed: int = 0
    held_out: float = 0.2
    steps: int = 1000
    epochs: int = 10
    views: int = 5
    cut: float | str = 0.5
    attention: bool = True
    memory: bool = True


def fit(
    model: VisionModel,
    clips: Sequence[Clip],
    settings: FitSettings | None = None,
    progress: Progress = lambda phase, done, total: None,
) -> Checkpoint:
    """Exits for a detector, taught by its own offline teacher.

    Args:
        model: a detector.
        clips: for each source its ``(stamp_s, frame)`` in order of time, frames of one size.
        settings: what can be turned.
        progress: called with the phase's name, what is done and how much there is.

    Raises:
        FitError: the model is no detector, or there is too little footage or nothing in it.
    """
    settings = settings or FitSettings()
    _check(model, clips)
    taught = _teach(model, clips, progress)
    learn, held = zip(*(_parted(*parts, settings.held_out) for parts in taught), strict=True)
    temporal, gate_right = _temporal(model, learn, held, settings, progress)
    mid = _mid_exit(model, learn, held, settings, progress)
    notes = {'settings': asdict(settings), 'gate_right_share': gate_right}
    return Checkpoint(
        model.name,
        network_hash(model.network),
        [mid],
        temporal,
        {TEMPORAL: 0.5, mid.name: 0.3},
        notes,
    )


Part = tuple[list[np.ndarray], list[Answer], list[Answer]]


def _check(model: VisionModel, clips: Sequence[Clip]) -> None:
    if model.task != 'detect':
        raise FitError(f'{model.name} is a classifier; its exits cannot be fitted yet')
    for index, clip in enumerate(clips):
        if len(clip) < _LEAST_FRAMES:
            raise FitError(
                f'source {index + 1} has {len(clip)} frames; fitting needs at least {_LEAST_FRAMES}'
            )
        if all(np.array_equal(frame, clip[0][1]) for _, frame in clip[1:]):
            raise FitError(f'source {index + 1} is one still image; there is nothing to learn')
    if not clips:
        raise FitError('fitting needs at least one source')


def _teach(model: VisionModel, clips: Sequence[Clip], progress: Progress) -> list[Part]:
    teacher = OfflineTeacher(model)
    network = EarlyExitEngine(model, FullPolicy(), make_runtime('onnxruntime'))
    total = sum(len(clip) for clip in clips)
    done, parts = 0, []
    for clip in clips:
        before = done
        answers = teacher.teach(clip, lambda n, b=before: progress('teacher', b + n, total))  # type: ignore[misc]
        done += len(clip)
        frames = [frame for _, frame in clip]
        parts.append((frames, answers, [network.process_full(f).answer for f in frames]))
    if not any(len(answer.above(0.5)) for _, answers, _ in parts for answer in answers):
        raise FitError('the teacher finds nothing in this footage; there is nothing to learn')
    return parts


def _parted(
    frames: list[np.ndarray], taught: list[Answer], full: list[Answer], held_out: float
) -> tuple[Part, Part]:
    cut = round(len(frames) * (1 - held_out))
    return (frames[:cut], taught[:cut], full[:cut]), (frames[cut:], taught[cut:], full[cut:])


def _temporal(
    model: VisionModel,
    learn: Sequence[Part],
    held: Sequence[Part],
    settings: FitSettings,
    progress: Progress,
) -> tuple[TemporalNet, float]:
    classes = len(model.class_names)
    sources = [footage(*part) for part in learn]
    kept = [footage(*part) for part in held if _has_objects(part)] or sources
    torch.manual_seed(settings.seed)
    net = TemporalNet(classes, attention=settings.attention, memory=settings.memory)

    def told(phase: str) -> Callable[[int, int], None]:
        return lambda done, total: progress(phase, done, total)

    def moments(of: Sequence[Footage], offset: int, trouble: float) -> Moments:
        return Moments(of, classes, settings.seed + offset, trouble)

    train_net(net, moments(sources, 0, 0.1), settings.steps, progress=told('temporal exit'))
    move_threshold(net, centre_threshold(net, moments(kept, 1, 0.0)))
    right = train_gate(net, moments([*sources, *kept], 2, 0.3), 1500, progress=told('gate'))
    fit_to_footage(net, sources, [footage(*part) for part in held])
    return net.requires_grad_(False), right


def _mid_exit(
    model: VisionModel,
    learn: Sequence[Part],
    held: Sequence[Part],
    settings: FitSettings,
    progress: Progress,
) -> Exit:
    example = torch.zeros(1, 3, *model.input_size)
    cut = settings.cut
    if not isinstance(cut, str):
        cut = nearest_cuts(find_cuts(model.network, example), [cut])[0]
    stages = split(model.network, example, [cut])[:1]

    def lessons(parts: Sequence[Part], views: int) -> Lessons:
        frames = [frame for part in parts for frame in part[0]]
        answers = [answer for part in parts for answer in part[1]]
        seed = settings.seed
        return prepare(
            model, stages, frames, answers, views, seed, lambda a, b: progress('features', a, b)
        )

    taught = lessons(learn, settings.views)
    torch.manual_seed(settings.seed)
    head = GridHead(taught.features[0].shape[0], len(model.class_names), depth=4)
    train_box_head(
        head,
        taught,
        model.input_size,
        settings.epochs,
        settings.seed,
        progress=lambda a, b: progress('mid-network exit', a, b),
    )
    kept = [part for part in held if _has_objects(part)] or list(learn)
    move_threshold(head, _head_threshold(head, lessons(kept, 1), model.input_size))
    return Exit('exit1', cut, head.requires_grad_(False))


def _head_threshold(head: GridHead, lessons: Lessons, size: tuple[int, int]) -> float:
    """Score threshold with the best mean F1 against the teacher."""
    peaks = Peaks(head).eval()
    grid = np.linspace(0.2, 0.6, 17)
    quality: list[Any] = []
    for features, taught in zip(lessons.features, lessons.answers, strict=True):
        with torch.no_grad():
            p, sides = peaks(features.float()[None])
        answer = grid_boxes.decode(p[0].numpy(), sides[0].numpy(), size, 0.1)
        quality.append([f1(answer, taught, s, truth_score=0.5) for s in grid])
    return float(grid[int(np.mean(quality, 0).argmax())])


def _has_objects(part: Part) -> bool:
    return any(len(answer.above(0.5)) for answer in part[1])
