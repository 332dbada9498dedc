"""How well two lists of answers agree: F1 for boxes, top-1 for classes.

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
    answers_a: Sequence[Detections],
    answers_b: Sequence[Detections],
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
    for detections_a, detections_b in zip(answers_a, answers_b, strict=True):
        matched += matches(detections_a, detections_b, score, iou)
        total += len(confident(detections_a, score)) + len(confident(detections_b, score))
    return 2 * matched / total if total else 1.0


def top1(answers_a: Sequence[Detections], answers_b: Sequence[Detections]) -> float:
    """Share of frames with the same best label; two empty answers agree.

    Raises:
        ValueError: the lists differ in length, or are empty.
    """
    if not answers_a:
        raise ValueError('no answers to compare')
    same = [_best(a) == _best(b) for a, b in zip(answers_a, answers_b, strict=True)]
    return sum(same) / len(same)


def agreement(task: str, answers_a: Sequence[Detections], answers_b: Sequence[Detections]) -> float:
    """How often an early answer equals the full network's: F1 for boxes, top-1 for classes."""
    return top1(answers_a, answers_b) if task == 'classify' else f1(answers_a, answers_b)


def _best(detections: Detections) -> int:
    return int(detections.labels[0]) if len(detections) else -1
