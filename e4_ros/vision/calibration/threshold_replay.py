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

"""Calibration's footage as the exits answer it, and what is read off that."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from e4_ros.vision.agreement import quality_lost
from e4_ros.vision.calibration.learn_then_test import spaced_blocks, upper_bound
from e4_ros.vision.detections import Detections
from e4_ros.vision.inference.engine import EarlyExitEngine
from e4_ros.vision.inference.exit_thresholds import FULL, ExitThresholds
from e4_ros.vision.inference.frame_result import FrameResult
from e4_ros.vision.runtime.factory import make_runtime
from e4_ros.vision.staged_network import StagedNetwork

_LEAST_BLOCKS = 8  # that an exit must have answered in for its bound to mean anything

Clip = Sequence[tuple[float, np.ndarray]]


class PlayedStream:
    """Footage, played through exits at one threshold after another.

    Args:
        network: the network with its exits.
        clips: ``(stamp_s, frame)`` in order of time each.
        threads: threads within one operation; None for one per core.

    Attributes:
        full: the full network's answers to all frames, in the same precision.
    """

    def __init__(self, network: StagedNetwork, clips: Sequence[Clip], threads: int | None = None):
        self._clips, self._task = clips, network.model.task
        self._names = network.early_exits
        runtime = make_runtime('onnxruntime', threads)
        self._engine = EarlyExitEngine(network, ExitThresholds({}), runtime)
        process = self._engine.process_full
        self.full = [process(frame).detections for clip in clips for _, frame in clip]

    def play(self, thresholds: dict[str, float]) -> list[FrameResult]:
        """Results of all frames; each clip is a stream of its own."""
        self._engine.thresholds = ExitThresholds(thresholds)
        results = []
        for clip in self._clips:
            self._engine.reset()
            results += [self._engine.process(frame, stamp_s) for stamp_s, frame in clip]
        return results

    def blocks(
        self, values: Sequence[float], block: int, gap: int, single: bool = False
    ) -> np.ndarray:
        """Means of blocks, none of which spans two clips; NaN counts for nothing.

        Args:
            values: one for each frame.
            block: frames in a block.
            gap: frames between blocks.
            single: one frame stands for its block, so that 0 and 1 stay what they are.
        """
        parts, start = [], 0
        for clip in self._clips:
            own = np.array(values[start : start + len(clip)], float)
            start += len(clip)
            parts.append(spaced_blocks(own, 1 if single else block, gap + (block - 1) * single))
        means = np.concatenate(parts)
        return means[~np.isnan(means)]

    def rates(self, results: Sequence[FrameResult]) -> dict[str, float]:
        """Share of all frames of a run that each exit answered."""
        exits = [result.exit for result in results]
        return {name: exits.count(name) / len(exits) for name in self._names}

    def audit_bounds(
        self,
        results: Sequence[FrameResult],
        looks: Sequence[Detections] | None,
        block: int,
        gap: int,
        confidence: float,
    ) -> dict[str, float]:
        """Upper bound of each exit's mean loss as audits measure it; none from too few blocks.

        Args:
            results: results of all frames.
            looks: the offline teacher's look at each, which judges a detector's answers; without
                them these have no bounds. Classifiers need none.
            block: frames in a block.
            gap: frames between blocks.
            confidence: probability with which a bound holds.
        """
        bounds: dict[str, float] = {}
        if looks is None:
            if self._task != 'classify':
                return bounds
            looks = self.full
        for name in sorted({result.exit for result in results} - {FULL}):
            lost = [
                quality_lost(result.detections, full, look, self._task)
                if result.exit == name
                else np.nan
                for result, full, look in zip(results, self.full, looks, strict=True)
            ]
            means = self.blocks(lost, block, gap)
            if len(means) >= _LEAST_BLOCKS:
                bounds[name] = upper_bound(means, confidence)
        return bounds
