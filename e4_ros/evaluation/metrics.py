"""How well two lists of answers agree: F1 for boxes, top-1 for classes, and percentiles.

Boxes are matched one to one within a frame and a label by the Hungarian method
(`scipy.optimize.linear_sum_assignment`), which finds the most matches and, among those, the largest
sum of IoU. Unlike greedy matching it does not depend on the order of the boxes, so F1 is symmetric:
``f1(a, b) == f1(b, a)``. Counts are summed over all frames before F1 is taken (micro average).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from e4_ros.vision.answer import Answer


def iou_matrix(boxes_a: np.ndarray, boxes_b: np.ndarray) -> np.ndarray:
    """Intersection over union of all pairs.

    Args:
        boxes_a: ``(N, 4)``, ``x0, y0, x1, y1``.
        boxes_b: ``(M, 4)``.

    Returns:
        ``(N, M)`` in [0, 1]; 0 where both boxes have no area.
    """
    a, b = boxes_a[:, None].astype(float), boxes_b[None].astype(float)
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    intersection = np.clip(sides, 0, None).prod(-1)
    union = _area(a) + _area(b) - intersection
    return np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0)


def count_matches(answer_a: Answer, answer_b: Answer, iou: float = 0.5) -> int:
    """Number of box pairs of the same label that overlap by at least ``iou``, one to one."""
    if not len(answer_a) or not len(answer_b):
        return 0
    overlap = iou_matrix(answer_a.boxes, answer_b.boxes)
    matched = (overlap >= iou) & (answer_a.labels[:, None] == answer_b.labels[None])
    # A match is worth more than any sum of overlaps, so the count is maximised first.
    worth = np.where(matched, min(matched.shape) + overlap, 0.0)
    rows, columns = linear_sum_assignment(worth, maximize=True)
    return int(matched[rows, columns].sum())


def f1(
    answers_a: Sequence[Answer],
    answers_b: Sequence[Answer],
    score: float = 0.5,
    iou: float = 0.5,
) -> float:
    """F1 of one list of answers against another, frame by frame.

    Args:
        answers_a: One answer a frame.
        answers_b: The reference, same length.
        score: Boxes count that score above this.
        iou: Smallest overlap of a match.

    Returns:
        0 to 1; 1 where neither has a box in any frame.

    Raises:
        ValueError: the lists differ in length.
    """
    matched = total = 0
    for answer_a, answer_b in zip(answers_a, answers_b, strict=True):
        kept_a, kept_b = _above(answer_a, score), _above(answer_b, score)
        matched += count_matches(kept_a, kept_b, iou)
        total += len(kept_a) + len(kept_b)
    return 2 * matched / total if total else 1.0


def top1(answers_a: Sequence[Answer], answers_b: Sequence[Answer]) -> float:
    """Share of frames with the same best label; two empty answers agree.

    Raises:
        ValueError: the lists differ in length, or are empty.
    """
    if not answers_a:
        raise ValueError('no answers to compare')
    same = [_best(a) == _best(b) for a, b in zip(answers_a, answers_b, strict=True)]
    return sum(same) / len(same)


def agreement(task: str, answers_a: Sequence[Answer], answers_b: Sequence[Answer]) -> float:
    """How often an early answer equals the full network's: F1 for boxes, top-1 for classes."""
    return top1(answers_a, answers_b) if task == 'classify' else f1(answers_a, answers_b)


def _area(boxes: np.ndarray) -> np.ndarray:
    return np.clip(boxes[..., 2:] - boxes[..., :2], 0, None).prod(-1)


def _above(answer: Answer, score: float) -> Answer:
    keep = answer.scores > score
    return Answer(answer.boxes[keep], answer.scores[keep], answer.labels[keep])


def _best(answer: Answer) -> int:
    return int(answer.labels[0]) if len(answer) else -1
