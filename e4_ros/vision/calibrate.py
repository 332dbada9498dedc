"""Thresholds with a promise, from footage that the exits have not learned from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from e4_ros.vision.agreement import f1
from e4_ros.vision.answer import Answer
from e4_ros.vision.checkpoint import Checkpoint
from e4_ros.vision.engine import EarlyExitEngine
from e4_ros.vision.model import VisionModel
from e4_ros.vision.policy import TEMPORAL, ThresholdPolicy
from e4_ros.vision.risk import (
    Certificate,
    RiskError,
    blocks_needed,
    certify,
    check_promise,
    spaced_blocks,
)
from e4_ros.vision.runtime import make_runtime

# Fixed before any footage is seen, from cautious to bold: the first lets nothing out early.
PATH = (1.01, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.6, 0.5, 0.3, 0.1)

Clip = Sequence[tuple[float, np.ndarray]]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Promise:
    """What the user asks for.

    Attributes:
        risk: largest mean loss of F1 a frame, in (0, 1).
        confidence: probability with which it holds, in (0, 1).
        against_full: judge early answers by the full network's alone, not by the offline teacher.
        block_s: seconds of footage in a block; blocks are taken as independent.
        gap_s: seconds between blocks.
    """

    risk: float = 0.05
    confidence: float = 0.95
    against_full: bool = False
    block_s: float = 1.0
    gap_s: float = 0.5


@dataclass(frozen=True)
class Calibration:
    """What came of it.

    Attributes:
        checkpoint: with the certified thresholds; with none where nothing was certified.
        certificate: p-values and mean losses along the path.
        early_share: share of frames that the chosen setting answered early.
    """

    checkpoint: Checkpoint
    certificate: Certificate
    early_share: float


def calibrate(
    model: VisionModel,
    checkpoint: Checkpoint,
    clip: Clip,
    reference: Sequence[Answer],
    promise: Promise,
    progress: Progress = lambda done, total: None,
    threads: int | None = None,
) -> Calibration:
    """Find the boldest thresholds whose loss of quality is certified.

    A frame's loss is what the early answer's F1 against the reference lacks of the full network's,
    never below 0; or, against the full network, 1 - F1. All exits share one threshold, which is
    walked down `PATH`.

    Args:
        model: the network.
        checkpoint: its exits.
        clip: ``(stamp_s, frame)`` in order of time.
        reference: the offline teacher's answers; not read if judged against the full network.
        promise: what the user asks for.
        progress: called with settings done and their number.
        threads: threads within one operation; None for one per core.

    Raises:
        RiskError: too little footage for the promise; says how much is needed.
    """
    block, gap = _in_frames(clip, promise)
    engine = EarlyExitEngine(
        model,
        ThresholdPolicy(_thresholds(checkpoint, PATH[0])),
        make_runtime('onnxruntime', threads),
        checkpoint.exits,
        checkpoint.temporal,
    )
    full = [engine.process_full(frame).answer for _, frame in clip]
    judges = full if promise.against_full else list(reference)
    losses, early = [], []
    for done, threshold in enumerate(PATH):
        engine.policy = ThresholdPolicy(_thresholds(checkpoint, threshold))
        engine.reset()
        results = [engine.process(frame, stamp_s) for stamp_s, frame in clip]
        early.append(float(np.mean([result.exit != 'full' for result in results])))
        answers = [result.answer for result in results]
        losses.append(spaced_blocks(_losses(answers, full, judges), block, gap))
        progress(done + 1, len(PATH))
        if done and certify(losses, promise.risk, promise.confidence).chosen != done:
            break  # what comes behind a failure is never looked at
    certificate = certify(losses, promise.risk, promise.confidence)
    chosen = certificate.chosen or 0  # the first setting is the full network: nothing to promise
    thresholds = _thresholds(checkpoint, PATH[chosen]) if chosen else {}
    notes = checkpoint.notes | {
        'risk': promise.risk,
        'confidence': promise.confidence,
        'against': 'full' if promise.against_full else 'teacher',
        'blocks': certificate.blocks,
        'mean_loss': certificate.means[chosen],
    }
    return Calibration(
        replace(checkpoint, thresholds=thresholds, notes=notes), certificate, early[chosen]
    )


def _thresholds(checkpoint: Checkpoint, threshold: float) -> dict[str, float]:
    return dict.fromkeys([TEMPORAL, *(e.name for e in checkpoint.exits)], threshold)


def _in_frames(clip: Clip, promise: Promise) -> tuple[int, int]:
    """Block and gap in frames; refuses footage that is too short before any work is done."""
    check_promise(promise.risk, promise.confidence)
    stamps = np.array([stamp_s for stamp_s, _ in clip])
    if len(stamps) < 2 or not (np.diff(stamps) > 0).all():
        raise RiskError('calibration needs footage whose time rises from frame to frame')
    period_s = float(np.median(np.diff(stamps)))
    block = max(round(promise.block_s / period_s), 1)
    gap = round(promise.gap_s / period_s)
    needed = blocks_needed(promise.risk, promise.confidence)
    frames_needed = needed * (block + gap) - gap
    if len(clip) < frames_needed:
        raise RiskError(
            f'a risk of {promise.risk:g} with confidence {promise.confidence:g} needs at least '
            f'{needed} blocks of {promise.block_s:g} s, {frames_needed} frames of this footage; '
            f'it has {len(clip)}. Record more, or allow a higher risk'
        )
    return block, gap


def _losses(
    answers: Sequence[Answer], full: Sequence[Answer], judges: Sequence[Answer]
) -> np.ndarray:
    """``(frames,)`` in [0, 1]: what each answer's F1 lacks of the full network's."""
    lacks = [f1(b, j) - f1(a, j) for a, b, j in zip(answers, full, judges, strict=True)]
    return np.clip(lacks, 0, 1)
