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

"""Everything that labels say of a stream of answers.

Hits and F1 are counted here (`counts`), in a robot's own arithmetic. Average precision is that of
`supervision`, id switches and IDF1 are those of `trackers`, which follows TrackEval: the extra
`labels`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np

from e4_ros import extras
from e4_ros.evaluation.metrics.counts import Counts, Matched, count, judged_frames, match_frame
from e4_ros.evaluation.metrics.intervals import f1_interval
from e4_ros.evaluation.metrics.labels import FrameLabels, Labels
from e4_ros.vision.detections import Detections

LIMITS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
OVERLAPS = (0.4, 0.5)
IOU = 0.5
_MOST = 1000  # detections of a frame that average precision looks at


@dataclass(frozen=True)
class Row:
    """The boxes at one score limit and overlap: at least so much makes a detection, and a hit."""

    min_score: float
    iou: float
    counts: Counts


@dataclass(frozen=True)
class Delay:
    """How long new objects wait for their first report.

    Attributes:
        mean_frames: Mean frames from an object's first label to its first hit, over those that were
            ever reported; 0 where it is hit at once. None where not one was.
        reported: Objects that were reported.
        never: Objects that never were; they are in no mean.
    """

    mean_frames: float | None
    reported: int
    never: int


@dataclass(frozen=True)
class Tracking:
    """How well ids follow the objects, at the published score and IoU .5.

    Attributes:
        id_switches: Times that an object's hit had another id than the one before.
        idf1: F1 of boxes with the right id, each object having one.
        mota: Multiple object tracking accuracy.
    """

    id_switches: int
    idf1: float
    mota: float


@dataclass(frozen=True)
class Compared:
    """What can be said of answers beside labels without any library.

    Attributes:
        labels: Name of the labels.
        min_score: Least score of a detection that counts.
        frames: Indices of the frames that were compared.
        each: Boxes of each of them at ``min_score`` and IoU .5.
        delay: Delay until new objects are reported; None where labels have no ids, or no object
            is new.
    """

    labels: str
    min_score: float
    frames: Sequence[int]
    each: Sequence[Counts]
    delay: Delay | None

    @property
    def counts(self) -> Counts:
        """Boxes of all frames together, at ``min_score`` and IoU .5."""
        return reduce(add, self.each, Counts())

    @property
    def f1(self) -> float | None:
        """F1 at ``min_score`` and IoU .5; None where there is no box on either side."""
        return self.counts.f1

    def interval(self) -> tuple[float, float] | None:
        """95 % interval of F1 by the block bootstrap; None where there are too few frames."""
        return f1_interval(self.each)


@dataclass(frozen=True)
class Judged(Compared):
    """What labels say of answers.

    Attributes:
        rows: F1 over score limits and overlaps.
        average_precision: Average precision at IoU .5 over all answers given; None without labels
            or detections.
        tracking: None where answers or labels have no ids, or nothing was hit.
    """

    rows: Sequence[Row]
    average_precision: float | None
    tracking: Tracking | None


def compare(
    answers: Sequence[Detections],
    labels: Labels,
    min_score: float = 0.2,
    frames: Sequence[int] | None = None,
) -> Compared:
    """Compare answers with labels, or with other answers, on the frames that have both.

    Args:
        answers: Answers.
        labels: Labels, or other answers as such: `Labels.of_answers`.
        min_score: Least score of a detection that is published, and so counts.
        frames: Index of each answer's frame, rising; 0, 1, … if left out.

    Raises:
        ValueError: `answers` and `frames` differ in length.
    """
    judged = list(judged_frames(answers, labels, frames))
    matched = [match_frame(answer.above(min_score), truth, IOU) for _, answer, truth in judged]
    indices = [index for index, _, _ in judged]
    counts = [pairs.counts for pairs in matched]
    return Compared(labels.name, min_score, indices, counts, _delay(labels, indices, matched))


def judge(
    answers: Sequence[Detections],
    labels: Labels,
    min_score: float = 0.2,
    frames: Sequence[int] | None = None,
    limits: Sequence[float] = LIMITS,
) -> Judged:
    """Judge answers by labels, on the frames that have both: `compare`, and what libraries add.

    Args:
        answers: Answers, with all that they may publish.
        labels: Labels, or other answers as such: `Labels.of_answers`.
        min_score: Least score of a detection that is published, and so judged.
        frames: Index of each answer's frame, rising; 0, 1, … if left out.
        limits: Score limits of the rows.

    Raises:
        MissingExtraError: the extra `labels` is not installed.
        ValueError: `answers` and `frames` differ in length.
    """
    extras.require('labels', 'judging by labels')
    judged = [pair[1:] for pair in judged_frames(answers, labels, frames)]
    rows = [
        Row(limit, iou, count(answers, labels, limit, iou, frames))
        for iou in OVERLAPS
        for limit in limits
    ]
    return Judged(
        **vars(compare(answers, labels, min_score, frames)),
        rows=rows,
        average_precision=_average_precision(judged),
        tracking=_tracking([(answer.above(min_score), truth) for answer, truth in judged]),
    )


def _average_precision(frames: Sequence[tuple[Detections, FrameLabels]]) -> float | None:
    from supervision import Detections as Boxes
    from supervision.metrics import MeanAveragePrecision

    if not any(len(a) for a, _ in frames) or not any(t.counted.any() for _, t in frames):
        return None
    metric = MeanAveragePrecision(max_detection_thresholds=(1, 10, _MOST))
    metric.update(
        [Boxes(a.boxes.astype(float), confidence=a.scores, class_id=a.labels) for a, _ in frames],
        [
            Boxes(
                truth.boxes, class_id=truth.classes, data={'ignore': (~truth.counted).astype(int)}
            )
            for _, truth in frames
        ],
    )
    return float(metric.compute().map50)


def _delay(labels: Labels, indices: Sequence[int], matched: Sequence[Matched]) -> Delay | None:
    seen = set(indices)
    waiting = {name: first for name, first in labels.births().items() if first in seen}
    if not waiting:
        return None
    total, waits = len(waiting), []
    for index, pairs in zip(indices, matched, strict=True):
        ids = labels.at(index).ids
        if ids is not None:
            for name in ids[pairs.columns].tolist():
                if name in waiting:
                    waits.append(index - waiting.pop(name))
    return Delay(float(np.mean(waits)) if waits else None, len(waits), total - len(waits))


def _tracking(frames: Sequence[tuple[Detections, FrameLabels]]) -> Tracking | None:
    from trackers.eval import compute_clear_metrics, compute_identity_metrics

    theirs, ours, overlaps, hits = [], [], [], 0
    for answer, truth in frames:
        if (answer.ids is None and len(answer)) or (truth.ids is None and len(truth.boxes)):
            return None
        pairs = match_frame(answer, truth, IOU)
        hits += len(pairs.rows)
        theirs.append(_ids(truth.ids, pairs.wanted))
        ours.append(_ids(answer.ids, pairs.kept))
        overlaps.append(pairs.overlap[np.ix_(pairs.kept, pairs.wanted)].T)
    if not hits:
        return None
    clear = compute_clear_metrics(theirs, ours, overlaps, threshold=IOU)
    identity = compute_identity_metrics(theirs, ours, overlaps, threshold=IOU)
    return Tracking(int(clear['IDSW']), float(identity['IDF1']), float(clear['MOTA']))


def _ids(ids: np.ndarray | None, chosen: np.ndarray) -> np.ndarray:
    return np.zeros(0, np.int64) if ids is None else ids[chosen]
