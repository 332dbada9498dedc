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

"""Which arm runs when: blocks in random order within each round, each with a warm-up.

Randomised interleaved trials (Abedi and Brecht, ICPE 2017): whatever drifts over minutes, such as
heat, the battery's voltage or the machine's other work, meets every arm alike, and the arms of a
round are compared with each other. A warm-up in each block lets governors, tracks and the clocks
of a plan settle, and the block before fade from the meter; it is not counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

IDLE_S = 10.0
"""Time in which the waiting board is measured before the first round."""

_ROUNDS = (
    5  # at least, where there is time: over three, Student's t makes an interval twice as wide
)
_SHORTEST_S, _LONGEST_S = 6.0, 25.0
_WARM_UP_SHARE, _LONGEST_WARM_UP_S = 0.2, 5.0
_IDLE_SHARE = 0.1


@dataclass(frozen=True)
class Schedule:
    """The plan of a comparison.

    Attributes:
        orders: For each round, the indices of the arms in the order in which they run.
        block_s: Seconds of a block, warm-up included.
        warm_up_s: Seconds at its beginning that are not counted.
        idle_s: Seconds in which the waiting board is measured first.
    """

    orders: tuple[tuple[int, ...], ...]
    block_s: float
    warm_up_s: float
    idle_s: float

    @property
    def counted_s(self) -> float:
        """Seconds of a block that count."""
        return self.block_s - self.warm_up_s

    @property
    def total_s(self) -> float:
        """Seconds of the whole, without repeated blocks."""
        return self.idle_s + self.block_s * sum(map(len, self.orders))


def schedule(minutes: float, arms: int, seed: int, block_s: float = 0.0) -> Schedule:
    """Plan a comparison.

    Args:
        minutes: How long it may take.
        arms: Number of arms.
        seed: Seed of the orders.
        block_s: Seconds of a block; 0: as long as five rounds allow, 6 to 25 s.

    Raises:
        ValueError: there is not even time for one round.
    """
    total_s = 60 * minutes
    idle_s = min(IDLE_S, _IDLE_SHARE * total_s)
    left_s = total_s - idle_s
    if not block_s:
        block_s = min(max(left_s / (_ROUNDS * arms), _SHORTEST_S), _LONGEST_S)
    rounds = int(left_s / (block_s * arms) + 1e-9)
    if rounds < 1:
        raise ValueError(
            f'{minutes:g} minutes are too short for one round of {arms} blocks of {block_s:g} s; '
            f'give at least --minutes {(block_s * arms) / (60 * (1 - _IDLE_SHARE)) + 0.05:.1f}'
        )
    rng = np.random.default_rng(seed)
    orders = tuple(tuple(rng.permutation(arms).tolist()) for _ in range(rounds))
    return Schedule(orders, block_s, min(_WARM_UP_SHARE * block_s, _LONGEST_WARM_UP_S), idle_s)


def places(orders: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    """Round and arm of every block, in the order in which they run."""
    return [(number, arm) for number, order in enumerate(orders) for arm in order]
