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

"""Does the promise hold: on later footage, and when something happens to the camera."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from e4_ros.benchmarks.exits.footage import Judged
from e4_ros.benchmarks.exits.watched import Watched
from e4_ros.perception.setup import EngineOptions, set_up
from e4_ros.vision.agreement import quality_lost
from e4_ros.vision.bundle import load_bundle
from e4_ros.vision.calibration.calibrate import Promise, calibrate
from e4_ros.vision.calibration.learn_then_test import RiskError
from e4_ros.vision.detections import Detections
from e4_ros.vision.inference.exit_thresholds import FULL
from e4_ros.vision.staged_network import StagedNetwork

ALPHAS = (0.05, 0.1, 0.2)
CONFIDENCE = 0.95
# On this video an answer's loss says nothing of that half a second later (correlation below .1).
BLOCK_S, GAP_S = 0.5, 0.0
PATIENCE = 50  # frames after a change within which the audit should have closed a bad exit


@dataclass(frozen=True)
class Setting:
    """Thresholds, and what they promise.

    Attributes:
        alpha: the largest mean loss; None where nothing is promised.
        checkpoint: with the thresholds, none where nothing could be certified, and the bounds of
            the audit.
        why_not: why nothing could be certified, or empty.
    """

    alpha: float | None
    network: StagedNetwork
    why_not: str = ''


def settings(
    network: StagedNetwork,
    footage: Judged,
    threads: int,
    progress: Callable[[str, int, int], None],
) -> list[Setting]:
    """What can be certified at each risk, and first what `e4 fit` left, which promises nothing."""
    found = [Setting(None, network)]
    for alpha in ALPHAS:
        promise = Promise(alpha, CONFIDENCE, block_s=BLOCK_S, gap_s=GAP_S)
        try:
            result = calibrate(
                network, footage.clip, footage.reference, promise, footage.looks,
                partial(progress, f'calibration at {alpha:g}'), threads,
            )  # fmt: skip
        except RiskError as error:
            found.append(Setting(alpha, replace(network, thresholds={}), str(error)))
            continue
        why = '' if result.thresholds else 'only the full network passed'
        certified = replace(
            network,
            thresholds=result.thresholds,
            audit_bounds=result.calibration.audit_bounds,
            confidence=result.calibration.confidence,
            rates=result.calibration.rates,
        )
        found.append(Setting(alpha, certified, why))
    return found


def measure_risk(
    path: Path,
    calibration: Judged,
    streams: Sequence[Judged],
    threads: int,
    progress: Callable[[str, int, int], None],
) -> list[dict[str, Any]]:
    """Every setting on every stream, with the audit as on a robot.

    A frame's loss is what calibration bounds: what the answer's F1 against the teacher lacks of the
    full network's, never below 0. Frames before something happens are not counted.
    """
    tried = settings(load_bundle(path).network, calibration, threads, progress)
    engine = set_up(EngineOptions(str(path), threads=threads)).early_exits
    rows: list[dict[str, Any]] = []
    for stream in streams:
        full = [engine.process_full(frame).detections for _, frame in stream.clip]
        for setting in tried:
            own = setting.network
            way = Watched(engine, own, own.thresholds)
            rows.append(row_of(way, setting, stream, full))
            progress('promises', len(rows), len(streams) * len(tried))
    return rows


def row_of(
    way: Watched, setting: Setting, stream: Judged, full: Sequence[Detections]
) -> dict[str, Any]:
    """One setting on one stream, in the shape that the JSON has.

    Args:
        way: that begins this stream.
        setting: of the way.
        stream: and what the teacher says of it.
        full: the full network's answers.
    """
    said = [way.answer(frame, stamp_s) for stamp_s, frame in stream.clip]
    judged = zip(said, full, stream.reference, strict=True)
    losses = np.array([quality_lost(one.detections, f, r, 'detect') for one, f, r in judged])
    after = slice(stream.change, None)
    early = np.array([one.exit != FULL for one in said])
    observed = float(losses[after].mean())
    tripped_after = None if way.off_at is None else way.off_at - stream.change + 1
    quick = tripped_after is not None and tripped_after <= PATIENCE
    return {
        'stream': stream.name,
        'alpha': setting.alpha,
        'certified': not setting.why_not and setting.alpha is not None,
        'why_not': setting.why_not,
        'observed': observed,
        'early_share_before': float(early[: stream.change].mean()) if stream.change else None,
        'early_share': float(early[after].mean()),
        'loss_of_early': float(losses[after][early[after]].mean()) if early[after].any() else 0.0,
        'closed_after': closed_after(early[after]),
        'tripped': way.off_at is not None,
        'tripped_after': tripped_after,
        'kept': None if setting.alpha is None else observed <= setting.alpha or quick,
    }


def closed_after(early: np.ndarray) -> int | None:
    """Frames until the last early answer, whatever stopped them; None if they went on to the end.

    Args:
        early: ``(frames,)`` bool, whether each was answered early.
    """
    last = int(early.nonzero()[0].max(initial=-1)) + 1
    return None if len(early) - last < PATIENCE / 2 else last
