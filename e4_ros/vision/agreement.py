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

"""How well two answers for the same frame agree."""

from __future__ import annotations

import numpy as np

from e4_ros.vision.boxes import iou_matrix, match
from e4_ros.vision.detections import Detections


def matches(
    detections: Detections,
    truth: Detections,
    score: float = 0.5,
    iou: float = 0.5,
    truth_score: float | None = None,
) -> int:
    """Pairs of boxes of the same class that overlap, one to one, as many as there can be.

    Args:
        detections: detections to compare.
        truth: reference detections.
        score: only what scores more counts, on both sides.
        iou: overlap that makes two boxes the same.
        truth_score: another such limit for the truth.
    """
    detections = confident(detections, score)
    truth = confident(truth, score if truth_score is None else truth_score)
    if not len(detections) or not len(truth):
        return 0
    overlap = iou_matrix(detections.boxes, truth.boxes)
    same = (overlap >= iou) & (detections.labels[:, None] == truth.labels[None])
    # One more pair is worth more than any sum of overlaps.
    worth = np.where(same, min(same.shape) + overlap, 0.0)
    return len(match(worth)[0])


def f1(
    detections: Detections,
    truth: Detections,
    score: float = 0.5,
    iou: float = 0.5,
    truth_score: float | None = None,
) -> float:
    """F1 of one frame in [0, 1]; 1 where both are empty. Arguments as in `matches`."""
    other = score if truth_score is None else truth_score
    total = len(confident(detections, score)) + len(confident(truth, other))
    return 2 * matches(detections, truth, score, iou, truth_score) / total if total else 1.0


def disagreement(detections: Detections, truth: Detections, task: str, score: float = 0.5) -> float:
    """How far an answer is from another, in [0, 1]: 1 - F1 of boxes, 0 or 1 for classes.

    Args:
        detections: detections to compare.
        truth: reference detections.
        task: ``detect`` or ``classify``.
        score: only boxes that score more count.
    """
    if task == 'detect':
        return 1 - f1(detections, truth, score)
    return float(detections.labels[:1].tolist() != truth.labels[:1].tolist())


def quality_lost(
    detections: Detections, full: Detections, reference: Detections, task: str
) -> float:
    """What an early answer costs, in [0, 1].

    For boxes what its F1 against the reference lacks of the full network's; never below 0, so that
    a good frame does not pay for a bad one. For classes 1 where it is not the full network's.

    Args:
        detections: the early one.
        full: the full network's for the same frame.
        reference: the offline teacher's; the full network's again to be judged by that alone.
        task: task of the network, ``detect`` or ``classify``.
    """
    if task == 'classify':
        return disagreement(detections, full, task)
    return max(f1(full, reference) - f1(detections, reference), 0.0)


def confident(detections: Detections, score: float) -> Detections:
    """What scores more than ``score``."""
    return detections.above(float(np.nextafter(np.float32(score), np.float32(2))))
