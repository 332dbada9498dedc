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

"""Whether two ways of reading a detector find the same boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from e4_ros.vision.boxes import iou_matrix
from e4_ros.vision.detections import Detections

LEAST_IOU, MOST_APART = 0.99, 0.01
"""Overlap and difference of scores up to which two boxes count as the same."""


@dataclass(frozen=True)
class Pairs:
    """Every box that either side finds, beside the likest of the other side.

    Attributes:
        iou: ``(N,)`` overlap; 0 where the other side has none of the class.
        apart: ``(N,)`` difference of the scores; 1 where there is none.
    """

    iou: np.ndarray
    apart: np.ndarray

    @property
    def same(self) -> np.ndarray:
        """``(N,)`` bool, whether the two count as the same box."""
        return np.asarray((self.iou >= LEAST_IOU) & (self.apart <= MOST_APART))


def pairs(ours: Detections, theirs: Detections, min_score: float) -> Pairs:
    """Compare the boxes of one frame.

    Args:
        ours: found by one way, from ``min_score - MOST_APART``: what just reaches the least score
            on one side may just miss it on the other.
        theirs: found by another way, likewise.
        min_score: boxes that score less are looked for by nobody.
    """
    found = [_beside(*both, min_score) for both in ((ours, theirs), (theirs, ours))]
    return Pairs(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def _beside(
    sought: Detections, there: Detections, min_score: float
) -> tuple[np.ndarray, np.ndarray]:
    sought = sought.above(min_score)
    if not len(sought) or not len(there):
        return np.zeros(len(sought)), np.ones(len(sought))
    iou = iou_matrix(sought.boxes.astype(float), there.boxes.astype(float))
    apart = np.abs(sought.scores[:, None] - there.scores)
    iou[sought.labels[:, None] != there.labels] = 0
    apart = np.where(iou > 0, apart, 1.0)
    rows, best = np.arange(len(sought)), (iou - apart).argmax(1)
    return iou[rows, best], apart[rows, best]


def agreement(found: Sequence[Pairs]) -> dict[str, Any]:
    """Frames, boxes of both sides, share of them that are the same, and the worst of each kind."""
    iou, apart, same = (
        np.concatenate([getattr(one, name) for one in found]) for name in ('iou', 'apart', 'same')
    )
    return {
        'frames': len(found),
        'boxes': len(iou),
        'same': float(same.mean()) if len(same) else None,
        'worst_iou': float(iou.min()) if len(iou) else None,
        'worst_score': float(apart.max()) if len(apart) else None,
        'kept': bool(len(same) and same.all()),
    }
