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

"""Agreement of two lists of detections: F1 for boxes, top-1 for classes.

Boxes are matched one to one within a frame and a label by the Hungarian method
(`vision.agreement.matches`), which finds the most matches. Unlike greedy matching it does not
depend on the order of the boxes, so F1 is symmetric: ``f1(a, b) == f1(b, a)``. Counts are summed
over all frames before F1 is taken (micro average).
"""

from __future__ import annotations

from collections.abc import Sequence

from e4_ros.vision.agreement import confident, matches
from e4_ros.vision.detections import Detections


def f1(
    predicted: Sequence[Detections],
    reference: Sequence[Detections],
    score: float = 0.5,
    iou: float = 0.5,
) -> float:
    """F1 of one list of detections against another, frame by frame.

    Args:
        predicted: Detections of each frame.
        reference: Reference detections of each frame, same length.
        score: Score above which boxes count.
        iou: Smallest IoU of a match.

    Returns:
        0 to 1; 1 where neither has a box in any frame.

    Raises:
        ValueError: the lists differ in length.
    """
    matched = total = 0
    for ours, theirs in zip(predicted, reference, strict=True):
        matched += matches(ours, theirs, score, iou)
        total += len(confident(ours, score)) + len(confident(theirs, score))
    return 2 * matched / total if total else 1.0


def top1(predicted: Sequence[Detections], reference: Sequence[Detections]) -> float:
    """Share of frames with the same best label; two frames without detections agree.

    Raises:
        ValueError: the lists differ in length, or are empty.
    """
    if not predicted:
        raise ValueError('no detections to compare')
    same = [_best(a) == _best(b) for a, b in zip(predicted, reference, strict=True)]
    return sum(same) / len(same)


def agreement(
    task: str, predicted: Sequence[Detections], reference: Sequence[Detections]
) -> float | None:
    """Agreement with the reference, 0 to 1: F1 of boxes, or share of equal top-1 classes.

    Returns:
        None where neither has a box in any frame: that is no agreement of 1.
    """
    if task != 'detect':
        return top1(predicted, reference)
    if not any(len(confident(answer, 0.5)) for answer in (*predicted, *reference)):
        return None
    return f1(predicted, reference)


def _best(detections: Detections) -> int:
    return int(detections.labels[0]) if len(detections) else -1
