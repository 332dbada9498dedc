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

"""Confidence intervals over rounds, and what a meter's steps add to them.

A round is one observation: all its arms ran within the same minute, so what both had in common
cancels in their ratio. The interval is Student's t over the rounds' log ratios. The meter's
resolution is the same error in every round and does not shrink with their number; it is added in
quadrature, as the Guide to the Expression of Uncertainty in Measurement (JCGM 100:2008, F.2.2.1)
has it. A constant gain error of the meter cancels in a share; its offset does not, and is not in
the interval.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """A figure and its confidence interval.

    Attributes:
        value: The figure.
        low: Lower end; None where one round says nothing of its spread.
        high: Upper end.
    """

    value: float
    low: float | None = None
    high: float | None = None

    @property
    def known(self) -> bool:
        """Whether there is an interval."""
        return self.low is not None and self.high is not None

    def scaled(self, factor: float) -> Interval:
        """The same in another unit; a negative factor swaps the ends."""
        if self.low is None or self.high is None:
            return Interval(self.value * factor)
        ends = sorted((self.low * factor, self.high * factor))
        return Interval(self.value * factor, *ends)


def of_rounds(
    values: Sequence[float], systematic: float = 0.0, confidence: float = CONFIDENCE
) -> Interval:
    """The mean of the rounds.

    Args:
        values: One value a round.
        systematic: Standard uncertainty that all rounds share, in the values' unit.
        confidence: Probability that the interval is to hold with.
    """
    from scipy.stats import norm, t  # takes most of a second to import

    mean = float(np.mean(values))
    if len(values) < 2:
        return Interval(mean)
    spread = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    half = math.hypot(
        t.ppf((1 + confidence) / 2, len(values) - 1) * spread,
        norm.ppf((1 + confidence) / 2) * systematic,
    )
    return Interval(mean, mean - half, mean + half)


def of_share(
    values: Sequence[float], observations: int, confidence: float = CONFIDENCE
) -> Interval:
    """The mean of shares, within 0 and 1.

    Args:
        values: One share a round.
        observations: How many observations they were counted from: where all shares are 0 or all
            are 1, the other end is what so many may hide (the rule of three).
        confidence: Probability that the interval is to hold with.
    """
    found = of_rounds(values, confidence=confidence)
    if found.low is None or found.high is None:
        return found
    hidden = min(-math.log(1 - confidence) / max(observations, 1), 1.0)
    if found.value in (0.0, 1.0):
        low, high = (0.0, hidden) if found.value == 0 else (1 - hidden, 1.0)
        return Interval(found.value, low, high)
    return Interval(found.value, max(found.low, 0.0), min(found.high, 1.0))


def saved_share(
    stock: Sequence[float],
    other: Sequence[float],
    resolution: float = 0.0,
    confidence: float = CONFIDENCE,
) -> Interval:
    """The share of stock's energy that another arm saves, paired by round.

    Args:
        stock: Watts (or joules a frame) of each round.
        other: The other arm's, same rounds.
        resolution: Step of the meter, in the same unit; each arm's mean may be off by half of it.
        confidence: Probability that the interval is to hold with.

    Raises:
        ValueError: the two are not of the same rounds.
    """
    if len(stock) != len(other):
        raise ValueError(f'{len(stock)} rounds cannot be paired with {len(other)}')
    ratios = np.log(np.asarray(other, float) / np.asarray(stock, float))
    step = resolution / math.sqrt(12)  # standard uncertainty of a value rounded to steps
    systematic = math.hypot(step / float(np.mean(stock)), step / float(np.mean(other)))
    found = of_rounds(ratios.tolist(), systematic, confidence)
    if found.low is None or found.high is None:
        return Interval(1 - math.exp(found.value))
    return Interval(1 - math.exp(found.value), 1 - math.exp(found.high), 1 - math.exp(found.low))


def saved_amount(
    stock: Sequence[float],
    other: Sequence[float],
    resolution: float = 0.0,
    confidence: float = CONFIDENCE,
) -> Interval:
    """What another arm saves in the values' own unit, paired by round; arguments as above."""
    differences = np.asarray(stock, float) - np.asarray(other, float)
    step = resolution / math.sqrt(12)
    return of_rounds(differences.tolist(), math.sqrt(2) * step, confidence)


def meter_step(samples_w: Sequence[float]) -> float:
    """Step of a meter in watts, from what it showed; 0 where it showed less than two values.

    The smallest distance between two different values: a converter shows multiples of its step.
    """
    values = np.unique(np.round(np.asarray(samples_w, float), 6))
    return float(np.diff(values).min()) if len(values) > 1 else 0.0
