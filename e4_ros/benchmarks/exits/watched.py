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

"""A network's own exits under audit, without tracks: what `e4 calibrate` promises is about them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from e4_ros.benchmarks.exits.ways import Said
from e4_ros.vision.inference.audit import Auditor
from e4_ros.vision.inference.engine import EarlyExitEngine
from e4_ros.vision.inference.exit_thresholds import ExitThresholds
from e4_ros.vision.staged_network import StagedNetwork


class Watched:
    """An engine under thresholds, and what audits do to it; it begins a stream when it is made.

    Args:
        engine: is changed.
        network: the engine's network, with the audit's bounds.
        thresholds: by exit.

    Attributes:
        off_at: index of the frame after which an exit was switched off first; None if none was.
    """

    def __init__(
        self, engine: EarlyExitEngine, network: StagedNetwork, thresholds: Mapping[str, float]
    ):
        self._engine, self._count = engine, 0
        self.off_at: int | None = None
        # Exits that audits disabled are enabled again.
        engine.thresholds = ExitThresholds(thresholds)
        engine.auditor = Auditor(network.audit_bounds, confidence=network.confidence)
        engine.economics = None
        engine.reset()

    def answer(self, frame: np.ndarray, stamp_s: float) -> Said:
        """Answer the next frame, ``(H, W, 3)`` uint8 RGB, and audit the answer."""
        result = self._engine.process(frame, stamp_s)
        self._engine.audit(frame, result)
        if self._engine.off and self.off_at is None:
            self.off_at = self._count
        self._count += 1
        return Said(result.detections, result.exit)
