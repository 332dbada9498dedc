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

"""How alike the answers of two arms are, on the frames that both answered."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import add

from e4_ros.evaluation.comparison.block import Block
from e4_ros.evaluation.comparison.intervals import Interval, of_share
from e4_ros.evaluation.metrics import Counts, Labels, compare, f1_interval, top1
from e4_ros.vision.detections import Detections


def likeness(
    blocks: Sequence[Block], stock: Sequence[Block], task: str, min_score: float
) -> Interval | None:
    """Agreement with the full network: F1 of boxes, or share of equal classes.

    The interval is over stretches of the footage (`f1_interval`), because rounds play the same
    frames: it says what other footage of the kind might give.

    Args:
        blocks: An arm's, one a round.
        stock: The stock arm's, same rounds.
        task: ``detect`` or ``classify``.
        min_score: Least score of a box that counts.

    Returns:
        None where neither found anything, or no frame was answered by both.
    """
    pairs = [_both(ours, theirs) for ours, theirs in zip(blocks, stock, strict=True)]
    if task != 'detect':
        shares = [top1(ours, theirs) for _, ours, theirs in pairs if ours]
        return of_share(shares, sum(len(ours) for _, ours, _ in pairs)) if shares else None
    counts: dict[int, Counts] = {}
    for indices, ours, theirs in pairs:
        reference = Labels.of_answers(theirs, min_score, 'the full network', indices)
        compared = compare(ours, reference, min_score, indices)
        for index, count in zip(compared.frames, compared.each, strict=True):
            counts[index] = counts.get(index, Counts()) + count
    rows = [counts[index] for index in sorted(counts)]
    value = reduce(add, rows, Counts()).f1
    if value is None:
        return None
    return Interval(value, *(f1_interval(rows) or (None, None)))


def _both(ours: Block, theirs: Block) -> tuple[list[int], list[Detections], list[Detections]]:
    indices = sorted(ours.answers.keys() & theirs.answers.keys())
    return indices, [ours.answers[i] for i in indices], [theirs.answers[i] for i in indices]
