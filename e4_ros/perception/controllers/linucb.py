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

"""LinUCB (arXiv 1003.0146) on what a table of costs leaves unexplained.

The table says what a choice should cost; what it really cost differs by what nobody modelled: a
server that is busy, a link that drifts. A linear model of a few features learns that difference,
and choices of which little is known are tried a little more often.
"""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Residual:
    """Learns the difference between what choices cost and what was expected.

    Args:
        features: number of features; the first should be constant.
        curiosity: how many standard deviations of doubt are credited to a choice; 0: none.
        forget: share of what was learnt that each observation leaves in force, above 0, up to 1.
    """

    def __init__(self, features: int, curiosity: float = 0.3, forget: float = 0.99) -> None:
        if not 0 < forget <= 1:
            raise ValueError(f'{forget} is no share that is kept')
        self._size, self._curiosity, self._forget = features, curiosity, forget
        self._seen: dict[Hashable, tuple[Array, Array]] = {}

    def expect(self, choice: Hashable, features: Array, expected: float) -> float:
        """What a choice is counted on to cost: a little less than is likely, the less it is known.

        Args:
            choice: the choice.
            features: ``(features,)``.
            expected: what the table says.
        """
        gram, moment = self._of(choice)
        inverse = np.linalg.inv(gram)
        doubt = np.sqrt(features @ inverse @ features)
        return float(expected + features @ (inverse @ moment) - self._curiosity * doubt)

    def observe(self, choice: Hashable, features: Array, expected: float, cost: float) -> None:
        """A choice was made and cost so much; what is not finite teaches nothing."""
        if not np.isfinite([cost, expected, *features]).all():
            return
        gram, moment = self._of(choice)
        kept = self._forget
        gram = kept * gram + (1 - kept) * np.eye(self._size) + np.outer(features, features)
        self._seen[choice] = gram, kept * moment + (cost - expected) * features

    def _of(self, choice: Hashable) -> tuple[Array, Array]:
        return self._seen.get(choice, (np.eye(self._size), np.zeros(self._size)))
