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

"""Whether fitted exits are worth more than the tracks alone, which need no fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from e4_ros.perception.setup import EngineOptions, set_up
from e4_ros.vision.agreement import confident, matches
from e4_ros.vision.bundle import load_bundle
from e4_ros.vision.bundle.folder import save_changed
from e4_ros.vision.detections import Detections
from e4_ros.vision.inference.exit_thresholds import TRACK, ExitThresholds
from e4_ros.vision.inference.stream_engine import StreamEngine
from e4_ros.vision.teacher.offline_teacher import OfflineTeacher
from e4_ros.vision.training.holdout import held_out_ranges

Clip = Sequence[tuple[float, np.ndarray]]

_SURE = 0.5  # score from which the teacher's word counts
_LEAD_IN = 60  # frames before a held-out stretch that are played, and not judged
_NOISE = 0.05  # share by which two equal costs may differ when they are measured


@dataclass(frozen=True)
class Played:
    """What a ladder did on held-out footage.

    Attributes:
        f1: F1 of what it published against the offline teacher; None where neither found anything.
        cost_s: expected seconds of a frame: each exit's median, by how often it answered.
    """

    f1: float | None
    cost_s: float


@dataclass(frozen=True)
class AgainstLadder:
    """A ladder with learnt exits, and one without, on the same held-out frames.

    Attributes:
        frames: number of frames.
        fitted: with the learnt exits.
        bare: with tracks and the network alone.
    """

    frames: int
    fitted: Played
    bare: Played

    @property
    def better(self) -> bool:
        """Whether the learnt exits answer better, and at no higher cost."""
        if self.fitted.f1 is None or self.bare.f1 is None:
            return False
        return (
            self.fitted.f1 > self.bare.f1 and self.fitted.cost_s <= (1 + _NOISE) * self.bare.cost_s
        )

    @property
    def words(self) -> str:
        """The verdict for people."""
        judged = f'on {self.frames} held-out frames'
        if self.fitted.f1 is None or self.bare.f1 is None:
            return f'nothing was to be found {judged}: no exit is switched on'
        seen = (
            f'{judged}, by the offline teacher: F1 {self.fitted.f1:.3f} in '
            f'{1e3 * self.fitted.cost_s:.2f} ms a frame; tracks and the network without them '
            f'{self.bare.f1:.3f} in {1e3 * self.bare.cost_s:.2f} ms'
        )
        if self.better:
            return f'the fitted exits pay {seen}'
        return f'the fitted exits do not pay {seen}. No exit is switched on'


def keep_if_better(bundle: Path, clips: Sequence[Clip], held_out: float) -> AgainstLadder:
    """Compare a detector's fitted bundle with the ladder that needs no fit; else switch it off.

    Args:
        bundle: the bundle. Where its exits are not better at equal or lower cost, they lose their
            thresholds.
        clips: the footage of the fit: for each source ``(stamp_s, frame)`` in order of time.
        held_out: share of each that heads were not trained on.
    """
    loaded = load_bundle(bundle)
    teacher = OfflineTeacher(loaded.network)
    stretches = [_Stretch(clip, r) for clip in clips for r in held_out_ranges(len(clip), held_out)]
    reference = [labels for one in stretches for labels in teacher.pseudo_label(one.judged)]
    engine = set_up(EngineOptions(str(bundle))).engine
    fitted = _played(engine, stretches, reference)
    engine.thresholds = ExitThresholds(
        {name: least for name, least in engine.thresholds.thresholds.items() if name == TRACK}
    )
    found = AgainstLadder(len(reference), fitted, _played(engine, stretches, reference))
    if not found.better:
        off = dict.fromkeys(loaded.manifest.thresholds)
        save_changed(bundle, loaded.manifest.with_thresholds(off), {})
    return found


class _Stretch:
    """Frames that are judged, and those before them in which memory, tracks and risk settle."""

    def __init__(self, clip: Clip, rows: range) -> None:
        self.judged = clip[rows.start : rows.stop]
        self.lead_in = clip[max(rows.start - _LEAD_IN, 0) : rows.start]


def _played(
    engine: StreamEngine, stretches: Sequence[_Stretch], reference: Sequence[Detections]
) -> Played:
    results = []
    for stretch in stretches:
        engine.reset()
        for stamp_s, frame in stretch.lead_in:
            engine.process(frame, stamp_s)
        results += [engine.process(frame, stamp_s) for stamp_s, frame in stretch.judged]
    pairs = [(one.detections, sure) for one, sure in zip(results, reference, strict=True)]
    total = sum(len(ours) + len(confident(theirs, _SURE)) for ours, theirs in pairs)
    matched = sum(matches(ours, theirs, 0.0, truth_score=_SURE) for ours, theirs in pairs)
    took: dict[str, list[float]] = {}
    for one in results:
        took.setdefault(one.exit, []).append(one.latency_s)
    cost_s = sum(len(times) * float(np.median(times)) for times in took.values()) / len(results)
    return Played(2 * matched / total if total else None, cost_s)
