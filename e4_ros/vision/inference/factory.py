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

"""From a network in stages to an engine that is ready to run."""

from __future__ import annotations

import numpy as np

from e4_ros.vision.clip_network import ClipNetwork
from e4_ros.vision.inference.audit import Auditor
from e4_ros.vision.inference.audit_budget import DEFAULT_SHARE
from e4_ros.vision.inference.audit_record import AuditRecord
from e4_ros.vision.inference.clip_engine import ClipEngine
from e4_ros.vision.inference.clip_window import WindowSchedule
from e4_ros.vision.inference.engine import EarlyExitEngine
from e4_ros.vision.inference.exit_thresholds import DEFAULT_RISK, ExitThresholds
from e4_ros.vision.inference.ladder import Ladder
from e4_ros.vision.runtime.interfaces import Runtime
from e4_ros.vision.staged_network import StagedNetwork
from e4_ros.vision.tracking.association import LOWEST

_BOUNDS = 0.02, 0.98  # a betting test needs room on both sides


def make_engine(
    network: StagedNetwork,
    runtime: Runtime,
    exits: bool = True,
    min_score: float = 0.2,
    audit_share: float = DEFAULT_SHARE,
    record: AuditRecord | None = None,
    edge: bool = False,
) -> EarlyExitEngine:
    """An engine that stops where the network's thresholds say, or never early.

    Args:
        network: the network in stages, with its exits and their thresholds.
        runtime: runtime of the network.
        exits: whether frames may stop early; if not, the network is not even cut.
        min_score: detections that score less are left out.
        audit_share: seconds that audits may compute for each second that answers do, 0 to 1.
        record: where exits that an audit switched off are kept for later processes; None forgets
            them: for footage that is run again and again.
        edge: whether an edge server may answer.
    """
    if not exits:
        alone = network.without_exits()
        return EarlyExitEngine(alone, ExitThresholds(), runtime, min_score, edge=edge)
    bounds = {name: float(np.clip(bound, *_BOUNDS)) for name, bound in network.audit_bounds.items()}
    auditor = Auditor(bounds, audit_share, network.confidence, record)
    thresholds = ExitThresholds(network.thresholds)
    return EarlyExitEngine(network, thresholds, runtime, min_score, auditor, edge)


def make_ladder(
    network: StagedNetwork,
    runtime: Runtime,
    exits: bool = True,
    min_score: float = 0.3,
    risk: float = DEFAULT_RISK,
    audit_share: float = DEFAULT_SHARE,
    record: AuditRecord | None = None,
    passes: float = 0.0,
    edge: bool = False,
) -> Ladder:
    """A detector with tracks: the first exit, and better answers from all the others.

    Args:
        network: the network in stages, with its exits and their thresholds.
        runtime: runtime of the network.
        exits: whether frames may stop early; if not, the network runs on all, and is not even cut.
        min_score: score from which an object is reported.
        risk: mean loss that tracks may cost against the network on every frame, above 0, up to 1.
        audit_share: as in `make_engine`.
        record: as in `make_engine`.
        passes: passes of the network a frame, on average, that closer looks fill up to; see
            `closer.passes_of`. Nothing is looked at closer without exits.
        edge: as in `make_engine`.

    Raises:
        ValueError: the risk or the passes are not in their range.
    """
    lowest = min(min_score, LOWEST)
    engine = make_engine(network, runtime, exits, lowest, audit_share, record, edge)
    return Ladder(engine, risk, min_score, track=exits, passes=passes)


def make_clip_engine(
    network: ClipNetwork,
    runtime: Runtime,
    exits: bool = True,
    min_score: float = 0.2,
    window_s: float = 0.0,
    stride_s: float = 0.0,
) -> ClipEngine:
    """An engine that looks at windows of a stream.

    Args:
        network: backbone and step, with the gate's thresholds.
        runtime: runtime of the network.
        exits: whether a window may be answered before all of its frames were looked at.
        min_score: score below which classes are left out, 0 to 1.
        window_s: length of a window in seconds; 0 for that of the clips it learned from.
        stride_s: seconds between the beginnings of two windows; 0 for ``window_s``.

    Raises:
        ValueError: a length is negative or not finite.
    """
    window_s = window_s or network.window_s
    schedule = WindowSchedule(window_s, stride_s or window_s, network.frames)
    stops = ExitThresholds(network.thresholds if exits else {})
    return ClipEngine(network, stops, runtime, schedule, min_score)
