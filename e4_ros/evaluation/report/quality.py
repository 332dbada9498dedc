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

"""How good and how alike a run's answers are, as ``summary.json`` holds it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

from e4_ros.evaluation.metrics import (
    Compared,
    Counts,
    Judged,
    Labels,
    compare,
    f1_difference,
    judge,
)
from e4_ros.evaluation.metrics.judge import LIMITS
from e4_ros.perception.records import FrameRecord

Rounded = Annotated[float, AfterValidator(lambda value: float(f'{value:.6g}'))]
"""Six digits: what lies below is noise, and hard to read."""


class Boxes(BaseModel):
    """The boxes behind a figure; what lies in ignore regions is not among them.

    Attributes:
        hits: Detections that match a label, or a box of the full network.
        detections: Published detections.
        labels: What ought to be found: labels, or boxes of the full network.
    """

    model_config = ConfigDict(extra='forbid')

    hits: int
    detections: int
    labels: int


class Reported(BaseModel):
    """How long new objects wait for their first report.

    Attributes:
        mean_frames: Mean frames from the first label to the first hit, over the objects that were
            reported; null where not one was.
        reported: Objects that were reported.
        never: Objects that never were.
    """

    model_config = ConfigDict(extra='forbid')

    mean_frames: Rounded | None
    reported: int
    never: int


class Agreement(BaseModel):
    """How alike the answers of the run and of the full network are; not how good either is.

    Attributes:
        boxes: Boxes of both, at the run's ``min_score`` and IoU .5.
        delay: Delay until what the full network begins to report is reported; null where its
            answers have no ids.
    """

    model_config = ConfigDict(extra='forbid')

    boxes: Boxes
    delay: Reported | None


class AtLimit(BaseModel):
    """F1 at one score limit and least IoU of a hit."""

    model_config = ConfigDict(extra='forbid')

    min_score: float
    iou: float
    f1: Rounded | None
    boxes: Boxes


class Quality(BaseModel):
    """What labels say of a stream of answers; null where there is nothing behind a figure.

    Attributes:
        f1: F1 at the run's ``min_score`` and IoU .5.
        f1_interval: 95 % interval of it, by the block bootstrap.
        precision: Share of the detections that are right.
        recall: Share of the labels that were found.
        boxes: Boxes behind these.
        average_precision: Average precision at IoU .5.
        delay: Delay until new objects are reported.
        id_switches: Times that an object's id changed; null where answers have no ids.
        idf1: F1 of boxes with the right id; null likewise.
        mota: Multiple object tracking accuracy; null likewise.
        at_limits: F1 at other score limits and overlaps.
    """

    model_config = ConfigDict(extra='forbid')

    f1: Rounded | None
    f1_interval: tuple[Rounded, Rounded] | None
    precision: Rounded | None
    recall: Rounded | None
    boxes: Boxes
    average_precision: Rounded | None
    delay: Reported | None
    id_switches: int | None
    idf1: Rounded | None
    mota: Rounded | None
    at_limits: list[AtLimit]


class ByLabels(BaseModel):
    """The run, and the full network beside it, judged by labels that people drew.

    Attributes:
        labels: Name of the file.
        frames: Number of frames that were judged.
        first_frame: Index of the first of them, from 0; null without one.
        run: The run's answers.
        full: The full network's on the same frames; null where the run does not compare.
        f1_difference: 95 % interval of the run's F1 less the full network's; null likewise, and
            where the frames are too few.
    """

    model_config = ConfigDict(extra='forbid')

    labels: str
    frames: int
    first_frame: int | None
    run: Quality
    full: Quality | None
    f1_difference: tuple[Rounded, Rounded] | None


def agreement_with_full(records: Sequence[FrameRecord], min_score: float) -> Compared:
    """The run's boxes beside the full network's, on the frames that have both."""
    full = [record.full.detections for record in records if record.full]
    compared = [record for record in records if record.full]
    indices = [record.frame for record in compared]
    reference = Labels.of_answers(full, min_score, 'the full network', indices)
    return compare([r.result.detections for r in compared], reference, min_score, indices)


def agreement(compared: Compared) -> Agreement:
    """The figures of a comparison with the full network."""
    return Agreement(boxes=_boxes(compared.counts), delay=_delay(compared))


def by_labels(records: Sequence[FrameRecord], labels: Labels, min_score: float) -> ByLabels:
    """Judge a run by labels.

    Raises:
        MissingExtraError: the extra `labels` is not installed.
    """
    limits = [limit for limit in LIMITS if limit >= min_score]  # below, nothing was published
    indices = [record.frame for record in records]
    answers = [record.result.detections.above(min_score) for record in records]
    ours = judge(answers, labels, min_score, indices, limits)
    full = [record.full.detections.above(min_score) for record in records if record.full]
    theirs = None
    if len(full) == len(records):
        theirs = judge(full, labels, min_score, indices, limits)
    return ByLabels(
        labels=labels.name,
        frames=len(ours.frames),
        first_frame=ours.frames[0] if ours.frames else None,
        run=_quality(ours),
        full=None if theirs is None else _quality(theirs),
        f1_difference=None if theirs is None else f1_difference(ours.each, theirs.each),
    )


def _quality(judged: Judged) -> Quality:
    counts, tracking = judged.counts, judged.tracking
    return Quality(
        f1=counts.f1,
        f1_interval=judged.interval(),
        precision=counts.precision,
        recall=counts.recall,
        boxes=_boxes(counts),
        average_precision=judged.average_precision,
        delay=_delay(judged),
        id_switches=None if tracking is None else tracking.id_switches,
        idf1=None if tracking is None else tracking.idf1,
        mota=None if tracking is None else tracking.mota,
        at_limits=[
            AtLimit(
                min_score=row.min_score,
                iou=row.iou,
                f1=row.counts.f1,
                boxes=_boxes(row.counts),
            )
            for row in judged.rows
        ],
    )


def _boxes(counts: Counts) -> Boxes:
    return Boxes(hits=counts.hits, detections=counts.detections, labels=counts.labels)


def _delay(compared: Compared) -> Reported | None:
    return None if compared.delay is None else Reported(**vars(compared.delay))
