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

"""Thresholds with a promise, from footage that the exits have not learned from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from e4_ros.vision.agreement import quality_lost
from e4_ros.vision.bundle.manifest import Calibration
from e4_ros.vision.calibration.learn_then_test import (
    Certificate,
    RiskError,
    blocks_needed,
    certify,
    check_promise,
    neighbours_correlate,
)
from e4_ros.vision.calibration.threshold_replay import Clip, PlayedStream
from e4_ros.vision.detections import Detections
from e4_ros.vision.inference.exit_thresholds import FULL
from e4_ros.vision.inference.frame_result import FrameResult
from e4_ros.vision.runtime.precision import FP32
from e4_ros.vision.staged_network import StagedNetwork

# Fixed before any footage is seen, from cautious to bold: the first lets nothing out early.
PATH = (1.01, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.6, 0.5, 0.3, 0.1)

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Promise:
    """What the user asks for.

    Attributes:
        risk: largest mean loss a frame, in (0, 1): of F1, or for classes the share of frames.
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
class Calibrated:
    """What came of it.

    Attributes:
        thresholds: the certified thresholds by exit; none where nothing was certified.
        calibration: result of their calibration.
        certificate: p-values and mean losses along the path.
        early_share: share of frames that the chosen setting answered early.
        correlation: of neighbouring blocks' losses at the boldest setting tried; blocks are taken
            as independent, so a promise from blocks that correlate is weaker than it says.
    """

    thresholds: dict[str, float]
    calibration: Calibration
    certificate: Certificate
    early_share: float
    correlation: float


def calibrate(
    network: StagedNetwork,
    clip: Clip | Sequence[Clip],
    reference: Sequence[Detections],
    promise: Promise,
    looks: Sequence[Detections] | None = None,
    progress: Progress = lambda done, total: None,
    threads: int | None = None,
    precision: str = FP32,
) -> Calibrated:
    """Find the boldest thresholds whose loss of quality is certified.

    A frame's loss is `quality_lost`: what the early answer's F1 against the reference lacks of the
    full network's; against the full network, 1 - F1; for classes whether it differs. All exits
    share one threshold, which is walked down `PATH`.

    Also found is what the engine wants to know: the share of all frames that each exit answered,
    and an upper bound for each exit on the mean loss that audits will see: by the teacher's look
    at single frames, or for classes by the full network.

    Args:
        network: the network with its exits.
        clip: ``(stamp_s, frame)`` in order of time, or several such clips.
        reference: the offline teacher's answers to all frames; not read if judged against the full
            network, as classifiers are.
        promise: risk and confidence that the user asks for.
        looks: the offline teacher's looks at single frames, for a detector's bounds; None leaves
            them out.
        progress: function that receives the number of settings done and of all settings.
        threads: threads within one operation; None for one per core.
        precision: precision of the network's stages, in which the promise then holds.

    Raises:
        RiskError: there are no exits to promise anything of, or too little footage for the promise;
            says how much is needed.
    """
    check_exits(network)
    clips: list[Clip] = [clip] if not clip or not _is_clip(clip[0]) else list(clip)  # type: ignore[arg-type, list-item]
    block, gap = check_footage(clips, promise)
    stream, task = PlayedStream(network, clips, threads), network.model.task
    against_full = promise.against_full or task == 'classify'
    judges = stream.full if against_full else list(reference)
    losses: list[np.ndarray] = []
    runs: list[list[FrameResult]] = []
    for done, threshold in enumerate(PATH):
        results = stream.play(_thresholds(network, threshold))
        runs.append(results)
        lost = [
            quality_lost(result.detections, full, judge, task)
            for result, full, judge in zip(results, stream.full, judges, strict=True)
        ]
        losses.append(stream.blocks(lost, block, gap, single=task == 'classify'))
        progress(done + 1, len(PATH))
        if done and certify(losses, promise.risk, promise.confidence).chosen != done:
            break  # what comes behind a failure is never looked at
    certificate = certify(losses, promise.risk, promise.confidence)
    chosen = certificate.chosen or 0  # the first setting is the full network: nothing to promise
    exits = [result.exit for result in runs[chosen]]
    calibration = Calibration(
        risk=promise.risk,
        confidence=promise.confidence,
        against='full' if against_full else 'teacher',
        precision=precision,
        mean_loss=certificate.means[chosen],
        blocks=certificate.blocks,
        audit_bounds=stream.audit_bounds(runs[chosen], looks, block, gap, promise.confidence),
        rates=stream.rates(runs[chosen]),
    )
    return Calibrated(
        _thresholds(network, PATH[chosen]) if chosen else {},
        calibration,
        certificate,
        1 - exits.count(FULL) / len(exits),
        neighbours_correlate(losses[-1]),
    )


def _is_clip(item: object) -> bool:
    """Whether an item of the footage is a clip, and not a frame with its time."""
    return not (isinstance(item, tuple) and len(item) == 2 and np.isscalar(item[0]))


def _thresholds(network: StagedNetwork, threshold: float) -> dict[str, float]:
    return dict.fromkeys(network.early_exits, threshold)


def check_exits(network: StagedNetwork) -> None:
    """Refuse a network without exits before any work is done.

    Raises:
        RiskError: says what to do.
    """
    if not network.early_exits:
        raise RiskError(
            'this network has no learnt exits, and so nothing to calibrate: `e4 fit` makes some. '
            'What its tracks may cost is a parameter, `risk`'
        )


def check_footage(clips: Sequence[Clip], promise: Promise) -> tuple[int, int]:
    """Block and gap in frames; refuses footage that promises nothing before any work is done.

    Raises:
        RiskError: says what is wrong, or how much is missing.
    """
    check_promise(promise.risk, promise.confidence)
    for number, clip in enumerate(clips, 1):
        _check_clip(number, clip)
    block, gap = _blocks(clips, promise)
    needed = blocks_needed(promise.risk, promise.confidence)
    there = sum((len(clip) + gap) // (block + gap) for clip in clips)
    if there < needed:
        missing_s = (needed - there) * (promise.block_s + promise.gap_s)
        raise RiskError(
            f'a risk of {promise.risk:g} with confidence {promise.confidence:g} needs at least '
            f'{needed} blocks of {promise.block_s:g} s, {needed * (block + gap) - gap} frames; '
            f'this footage has {there} in {sum(map(len, clips))} frames. Record '
            f'{missing_s / 60:.1f} minutes more at least, or allow a higher risk'
        )
    return block, gap


def _check_clip(number: int, clip: Clip) -> None:
    if not len(clip):
        raise RiskError(f'source {number} has no frames left; skip fewer of them')
    first = clip[0][1]
    if len(clip) > 1 and all(np.array_equal(frame, first) for _, frame in clip[1:]):
        raise RiskError(
            f'source {number} is one still image: what holds there says nothing of what moves'
        )


def _blocks(clips: Sequence[Clip], promise: Promise) -> tuple[int, int]:
    steps = [np.diff([stamp_s for stamp_s, _ in clip]) for clip in clips]
    if not all(len(step) and (step > 0).all() for step in steps):
        raise RiskError('calibration needs footage whose time rises from frame to frame')
    period_s = float(np.median(np.concatenate(steps)))
    return max(round(promise.block_s / period_s), 1), round(promise.gap_s / period_s)
