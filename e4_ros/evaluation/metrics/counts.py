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

"""Hits, detections and labels, and the shares made of them.

Boxes are matched one to one within a frame and a class by the Hungarian method, as many as there
can be. Ignore regions are treated as by the MOT benchmark (arXiv 1603.00831): all boxes are matched
by overlap first, a detection that got an ignored box is left out, and so are all ignored boxes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np

from e4_ros.evaluation.metrics.labels import FrameLabels, Labels
from e4_ros.vision.boxes import iou_matrix, match
from e4_ros.vision.detections import Detections


@dataclass(frozen=True)
class Counts:
    """How many boxes stand behind a figure.

    Attributes:
        hits: Detections that match a label.
        detections: Detections, less those in ignore regions.
        labels: Labels, less ignore regions.
    """

    hits: int = 0
    detections: int = 0
    labels: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.hits + other.hits,
            self.detections + other.detections,
            self.labels + other.labels,
        )

    @property
    def precision(self) -> float | None:
        """Share of the detections that are right; None without detections."""
        return self.hits / self.detections if self.detections else None

    @property
    def recall(self) -> float | None:
        """Share of the labels that were found; None without labels."""
        return self.hits / self.labels if self.labels else None

    @property
    def f1(self) -> float | None:
        """F1; None where there is no box on either side, which is no perfect answer."""
        total = self.detections + self.labels
        return 2 * self.hits / total if total else None


@dataclass(frozen=True)
class Matched:
    """The detections of a frame beside its labels.

    Attributes:
        kept: Indices of the detections that are judged, ``(K,)``.
        wanted: Indices of the labels that count, ``(L,)``.
        rows: Index into the detections of each hit, ``(H,)``.
        columns: Index into the labels of each hit, ``(H,)``.
        overlap: IoU of every detection with every label, 0 for another class, ``(N, M)``.
    """

    kept: np.ndarray
    wanted: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    overlap: np.ndarray

    @property
    def counts(self) -> Counts:
        """The numbers of boxes."""
        return Counts(len(self.rows), len(self.kept), len(self.wanted))


def match_frame(answer: Detections, labels: FrameLabels, iou: float = 0.5) -> Matched:
    """Match the detections of a frame with its labels.

    Args:
        answer: All detections that are to be judged.
        labels: Labels of the frame.
        iou: Least overlap of a match.
    """
    overlap = iou_matrix(answer.boxes.astype(float), labels.boxes)
    overlap = np.where(answer.labels[:, None] == labels.classes[None], overlap, 0.0)
    near = overlap >= iou
    kept = np.ones(len(answer), bool)
    if not labels.counted.all():
        rows, columns = match(np.where(near, overlap, 0.0))
        kept[rows[~labels.counted[columns]]] = False
    near &= kept[:, None] & labels.counted[None]
    # One more pair is worth more than any sum of overlaps.
    rows, columns = match(np.where(near, min(near.shape) + overlap, 0.0))
    return Matched(np.flatnonzero(kept), np.flatnonzero(labels.counted), rows, columns, overlap)


def judged_frames(
    answers: Sequence[Detections], labels: Labels, frames: Sequence[int] | None = None
) -> Iterator[tuple[int, Detections, FrameLabels]]:
    """The labelled ones of the frames that were answered: index, answer and labels.

    Args:
        answers: Answers.
        labels: Labels; answers of classes that they are not about are left out.
        frames: Index of each answer's frame, rising; 0, 1, … if left out.

    Raises:
        ValueError: `answers` and `frames` differ in length.
    """
    indices = range(len(answers)) if frames is None else frames
    for index, answer in zip(indices, answers, strict=True):
        if index in labels.span:
            yield index, of_classes(answer, labels.classes), labels.at(index)


def of_classes(answer: Detections, classes: frozenset[int] | None) -> Detections:
    """The detections of some classes; None for all."""
    if classes is None or not len(answer):
        return answer
    keep = np.isin(answer.labels, list(classes))
    return Detections(
        answer.boxes[keep],
        answer.scores[keep],
        answer.labels[keep],
        None if answer.ids is None else answer.ids[keep],
        None if answer.velocities is None else answer.velocities[keep],
    )


def count(
    answers: Sequence[Detections],
    labels: Labels,
    min_score: float = 0.2,
    iou: float = 0.5,
    frames: Sequence[int] | None = None,
) -> Counts:
    """Boxes of all judged frames together; `judge` says more.

    Args:
        answers: Answers.
        labels: Labels.
        min_score: Least score of a detection that is published.
        iou: Least overlap of a match.
        frames: Index of each answer's frame, rising; 0, 1, … if left out.
    """
    matched = (
        match_frame(answer.above(min_score), truth, iou).counts
        for _, answer, truth in judged_frames(answers, labels, frames)
    )
    return reduce(add, matched, Counts())
