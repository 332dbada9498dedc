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

"""Intervals by the bootstrap: of F1 over blocks of frames, of means over groups.

Neighbouring frames show the same objects, so frames are no independent draws: whole blocks of
consecutive frames are drawn instead (Künsch, Annals of Statistics 17, 1989).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from e4_ros.evaluation.metrics.counts import Counts

BLOCK = 25
"""Frames of a block: two to three seconds of a robot's camera."""
_FEWEST = 8  # blocks; the spread of fewer says nothing
_DRAWS = 2000


def f1_interval(
    counts: Sequence[Counts], block: int = BLOCK, confidence: float = 0.95, seed: int = 0
) -> tuple[float, float] | None:
    """Interval of F1.

    Args:
        counts: Boxes of each frame, in order.
        block: Frames of a block.
        confidence: Probability that the interval is to hold with.
        seed: The same seed gives the same interval.

    Returns:
        Lowest and highest F1; None for less than 8 blocks with boxes.
    """
    return _interval([_blocks(counts, block)], confidence, seed)


def f1_difference(
    ours: Sequence[Counts],
    theirs: Sequence[Counts],
    block: int = BLOCK,
    confidence: float = 0.95,
    seed: int = 0,
) -> tuple[float, float] | None:
    """Interval of what one stream's F1 is above another's, on the same frames.

    The same blocks are drawn for both, so what is hard for both does not widen the interval.

    Raises:
        ValueError: the two are not of the same frames.
    """
    if len(ours) != len(theirs):
        raise ValueError(f'{len(ours)} frames cannot be compared with {len(theirs)}')
    return _interval([_blocks(ours, block), _blocks(theirs, block)], confidence, seed)


def _interval(
    streams: list[np.ndarray], confidence: float, seed: int
) -> tuple[float, float] | None:
    from scipy.stats import bootstrap  # takes most of a second to import

    filled = np.all([blocks[:, 1] > 0 for blocks in streams], axis=0)
    if filled.sum() < _FEWEST:
        return None
    columns = [column for blocks in streams for column in blocks[filled].T]

    def statistic(*drawn: np.ndarray, axis: int) -> np.ndarray:
        sums = [column.sum(axis) for column in drawn]
        f1s = [2 * hits / boxes for hits, boxes in zip(sums[::2], sums[1::2], strict=True)]
        return f1s[0] if len(f1s) == 1 else f1s[0] - f1s[1]

    low, high = bootstrap(
        columns, statistic, paired=True, vectorized=True, n_resamples=_DRAWS, method='percentile',
        confidence_level=confidence, random_state=np.random.default_rng(seed),
    ).confidence_interval  # fmt: skip
    return float(low), float(high)


def _blocks(counts: Sequence[Counts], block: int) -> np.ndarray:
    """Hits, and boxes of both sides, of each block of frames."""
    rows = np.array([(c.hits, c.detections + c.labels) for c in counts], float).reshape(-1, 2)
    starts = np.arange(0, len(rows), block)
    return np.add.reduceat(rows, starts) if len(rows) else rows


def mean_interval(
    groups: Sequence[Sequence[float]], confidence: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Interval of a mean over groups, by bootstrap: groups are drawn, and values within them.

    Args:
        groups: Values of each group, as many in one as in another.
        confidence: Probability that the interval is to hold with.
        seed: The same seed gives the same interval.
    """
    values, rng = np.array(groups, float), np.random.default_rng(seed)
    many, each = values.shape
    rows = rng.integers(many, size=(_DRAWS, many, 1))
    columns = rng.integers(each, size=(_DRAWS, many, each))
    means = values[rows, columns].mean(axis=(1, 2))
    ends = (1 - confidence) / 2
    low, high = np.quantile(means, (ends, 1 - ends))
    return float(low), float(high)
