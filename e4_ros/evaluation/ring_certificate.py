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

"""Whether exits that were fitted to a ring may answer: judged on frames that came after."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from e4_ros.evaluation.metrics import top1
from e4_ros.evaluation.ring_footage import RingFootage, frames_to_certify, read_footage
from e4_ros.evaluation.sources.ring import RingSource
from e4_ros.perception.key_frame_ring import RingFile, is_written, ring_files
from e4_ros.perception.setup import EngineOptions, set_up
from e4_ros.vision.agreement import confident, matches
from e4_ros.vision.bundle import load_bundle
from e4_ros.vision.bundle.folder import save_changed
from e4_ros.vision.calibration.calibrate import Promise, calibrate, check_footage
from e4_ros.vision.calibration.learn_then_test import RiskError
from e4_ros.vision.detections import Detections
from e4_ros.vision.teacher.offline_teacher import OfflineTeacher

Progress = Callable[[str, int, int], None]

NEWER = 'newer frames'
"""Phase that waits for frames that nothing was learned from."""

_MOST_FRAMES = 1500  # of the newer ones: the teacher looks at each of them some ten times
_POLL_S = 1.0
_SURE = 0.5  # score of a teacher's detections that count


MARGIN = 0.01
"""F1 that new exits may lose against what was published: they cost a fraction of it."""


@dataclass(frozen=True)
class RingVerdict:
    """What newer frames say of new exits.

    Attributes:
        certified: whether early answers keep the promise.
        frames: number of newer frames.
        mean_loss: mean loss a frame at the chosen thresholds.
        early_share: share of the newer frames that the new exits answer.
        f1_before: by the offline teacher, of what perception published on these frames; None where
            there was nothing to be found.
        f1_after: of what the new bundle answers to them; likewise.
    """

    certified: bool
    frames: int
    mean_loss: float
    early_share: float
    f1_before: float | None
    f1_after: float | None

    @property
    def take_over(self) -> bool:
        """Whether the new exits are to answer from now on: safe, of use, and hardly worse."""
        return self.certified and self.early_share > 0 and not self.worse

    @property
    def worse(self) -> bool:
        """Whether the new answers lose more than `MARGIN`, or nobody can say."""
        if self.f1_before is None or self.f1_after is None:
            return True
        return self.f1_after < self.f1_before - MARGIN

    @property
    def words(self) -> str:
        """The verdict for people."""
        judged = f'on {self.frames} newer frames'
        if self.f1_before is None or self.f1_after is None:
            return f'nothing was to be found {judged}, so nothing says what the new exits are worth'
        judged += (
            f', by the offline teacher: F1 {self.f1_after:.3f}, {self.f1_before:.3f} as published'
        )
        if not self.certified:
            return f'nothing could be certified {judged}'
        if not self.early_share:
            return f'no new exit trusts itself {judged}'
        share = f'{self.early_share:.0%} answered early'
        if self.worse:
            return f'certified, but worse than what answers now {judged}, {share}'
        return f'certified {judged}, {share}'


def certify_on_ring(
    bundle: Path,
    ring: Path,
    after: RingFile,
    promise: Promise,
    progress: Progress,
    wait_s: float = 600.0,
) -> RingVerdict:
    """Set a bundle's thresholds on what came into a ring after its fit, and judge it there.

    Args:
        bundle: the bundle, which gets the thresholds; none where nothing is certified.
        ring: the ring; while somebody writes to it, newer frames are waited for.
        after: newest entry that the exits have learned from.
        promise: risk and confidence that the user asks for.
        progress: function that receives the phase, the steps done and their number.
        wait_s: seconds to wait for newer frames at most.

    Raises:
        RiskError: too few newer frames came; says how many are needed.
    """
    loaded = load_bundle(bundle)
    network, task = loaded.network, loaded.network.model.task
    footage = newer_footage(ring, after, promise, progress, wait_s)
    reference: list[Detections] = []
    looks: list[Detections] = []
    if task == 'detect':
        teacher = OfflineTeacher(network)
        for clip in footage.clips:
            reference += teacher.pseudo_label(clip, partial(_told, progress, len(clip)))
            looks += [teacher.look(frame) for _, frame in clip]  # kept since a moment ago
    walked = partial(progress, 'thresholds')
    found = calibrate(network, footage.clips, reference, promise, looks or None, walked)
    save_changed(bundle, loaded.manifest.calibrated(found.thresholds, found.calibration), {}, None)
    if task == 'classify':
        reference = _answers(bundle, footage, exits=False)
    after_it = _answers(bundle, footage)
    return RingVerdict(
        bool(found.thresholds),
        footage.frames,
        found.calibration.mean_loss or 0.0,
        found.early_share if found.thresholds else 0.0,
        _quality(task, footage.answers, reference),
        _quality(task, after_it, reference),
    )


def _quality(
    task: str, published: Sequence[Detections], reference: Sequence[Detections]
) -> float | None:
    """F1, or share of right classes: all that is published counts, and what the teacher is sure of.

    Returns:
        None where there is nothing in either.
    """
    if task == 'classify':
        return top1(published, reference)
    pairs = list(zip(published, reference, strict=True))
    total = sum(len(ours) + len(confident(theirs, _SURE)) for ours, theirs in pairs)
    matched = sum(matches(ours, theirs, 0.0, truth_score=_SURE) for ours, theirs in pairs)
    return 2 * matched / total if total else None


def _told(progress: Progress, total: int, done: int) -> None:
    progress('teacher on newer frames', done, total)


def _answers(bundle: Path, footage: RingFootage, exits: bool = True) -> list[Detections]:
    """What a bundle answers, by the engine that a robot runs."""
    engine = set_up(EngineOptions(str(bundle), exits)).engine
    answers = []
    for clip in footage.clips:
        engine.reset()
        answers += [engine.process(frame, stamp_s).detections for stamp_s, frame in clip]
    return answers


def newer_footage(
    ring: Path, after: RingFile, promise: Promise, progress: Progress, wait_s: float
) -> RingFootage:
    """What came into a ring after an entry; while somebody writes to it, enough is waited for.

    Raises:
        RiskError: there is too little for the promise.
    """
    deadline_s = time.monotonic() + wait_s
    needed = frames_to_certify(RingSource(ring), promise)
    while True:
        waiting = is_written(ring) and time.monotonic() < deadline_s
        there = sum(file > after for file in ring_files(ring))
        progress(NEWER, min(there, needed), needed)
        if there >= needed or not waiting:
            break
        time.sleep(_POLL_S)
    if not there:
        raise RiskError(f'nothing can be certified: no newer frames have come into {ring}')
    newest = min(_MOST_FRAMES, 2 * needed)
    footage = read_footage(RingSource(ring, newest, after), least=2)
    check_footage(footage.clips, promise)
    return footage
