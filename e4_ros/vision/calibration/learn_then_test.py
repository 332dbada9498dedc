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

"""How far may thresholds be lowered, with a guarantee: Learn-then-Test on a video.

Sources: Angelopoulos et al., "Learn then Test" (arXiv 2110.01052) for the fixed sequence; Bates et
al., "Distribution-Free, Risk-Controlling Prediction Sets" (arXiv 2101.02703) for the
Hoeffding-Bentkus p-value.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binom


class RiskError(ValueError):
    """A certificate cannot be had from this footage, whatever the exits do."""


@dataclass(frozen=True)
class Certificate:
    """What calibration can promise.

    Attributes:
        chosen: index in the sequence of the last setting that is certified; None if none is.
        p_values: p-value of each setting that was tested, in order.
        means: mean loss of the same settings.
        blocks: number of blocks of footage of the test.
    """

    chosen: int | None
    p_values: list[float]
    means: list[float]
    blocks: int


def p_value(losses: np.ndarray, risk: float) -> float:
    """How likely losses this low are, if their true mean exceeded ``risk``.

    Exact binomial where every loss is 0 or 1, else Hoeffding-Bentkus.

    Args:
        losses: ``(n,)`` in [0, 1], independent.
        risk: largest mean loss to certify, in (0, 1).
    """
    count, total = len(losses), float(losses.sum())
    if np.isin(losses, (0.0, 1.0)).all():
        return float(binom.cdf(total, count, risk))
    mean = total / count
    if mean >= risk:
        return 1.0
    # Rounding first: a sum that is whole but for its last bits must not be counted up.
    bentkus = math.e * float(binom.cdf(math.ceil(round(total, 9)), count, risk))
    return min(1.0, _hoeffding(mean, risk, count), bentkus)


def certify(losses: Sequence[np.ndarray], risk: float, confidence: float) -> Certificate:
    """Walk a sequence of settings from cautious to bold and stop at the first that fails.

    With probability ``confidence`` the true mean loss of the chosen setting is at most ``risk``.
    The sequence must have been fixed before the losses were seen.

    Args:
        losses: for each setting ``(n,)`` losses in [0, 1], one for each block.
        risk: largest mean loss that is fine.
        confidence: probability with which the promise holds.

    Raises:
        RiskError: too few blocks for any setting to pass; says how many are needed.
    """
    check_promise(risk, confidence)
    blocks = len(losses[0]) if losses else 0
    needed = blocks_needed(risk, confidence)
    if blocks < needed:
        raise RiskError(
            f'a risk of {risk:g} with confidence {confidence:g} needs at least {needed} '
            f'independent blocks of footage; there are {blocks}. '
            'Give longer footage or a higher risk'
        )
    certificate = Certificate(None, [], [], blocks)
    for index, block_losses in enumerate(losses):
        p = p_value(block_losses, risk)
        certificate.p_values.append(p)
        certificate.means.append(float(block_losses.mean()))
        if p > 1 - confidence:
            break
        certificate = Certificate(index, certificate.p_values, certificate.means, blocks)
    return certificate


def blocks_needed(risk: float, confidence: float) -> int:
    """Blocks without any loss that it takes to certify a risk."""
    check_promise(risk, confidence)
    return math.ceil(math.log(1 - confidence) / math.log(1 - risk) - 1e-9)


def check_promise(risk: float, confidence: float) -> None:
    """Refuse a risk or confidence outside (0, 1)."""
    for name, value in (('risk', risk), ('confidence', confidence)):
        if not 0 < value < 1:
            raise RiskError(f'the {name} must lie between 0 and 1, got {value}')


def spaced_blocks(frame_losses: np.ndarray, block: int, gap: int) -> np.ndarray:
    """Mean loss of each block of a video, in time order.

    Neighbouring frames say nearly the same; blocks that are long and far apart against the time in
    which the scene changes may be taken as independent. A block's mean has the frames' mean.

    Args:
        frame_losses: ``(frames,)`` in order of time; NaN where a frame does not count.
        block: frames in a block.
        gap: frames between blocks, which count for nothing.
    """
    starts = range(0, len(frame_losses) - block + 1, block + gap)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', RuntimeWarning)  # a block of nothing but NaN has no mean
        means = [np.nanmean(frame_losses[start : start + block]) for start in starts]
    return np.array(means, float)


def upper_bound(losses: np.ndarray, confidence: float) -> float:
    """The smallest mean that losses this low rule out, by `p_value`; in (0, 1].

    Args:
        losses: ``(n,)`` in [0, 1], independent.
        confidence: probability with which the true mean is below.
    """
    low, high = float(losses.mean()), 1.0
    for _ in range(30):
        middle = (low + high) / 2
        if p_value(losses, middle) <= 1 - confidence:
            high = middle
        else:
            low = middle
    return high


def neighbours_correlate(losses: np.ndarray) -> float:
    """Correlation of each block's loss with the next one's; 0 where none can be seen."""
    if len(losses) < 4 or losses[:-1].std() == 0 or losses[1:].std() == 0:
        return 0.0
    return float(np.corrcoef(losses[:-1], losses[1:])[0, 1])


def _hoeffding(mean: float, risk: float, count: int) -> float:
    if mean <= 0:
        divergence = -math.log(1 - risk)
    else:
        divergence = mean * math.log(mean / risk) + (1 - mean) * math.log((1 - mean) / (1 - risk))
    return math.exp(-count * divergence)
