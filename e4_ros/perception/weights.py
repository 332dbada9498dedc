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

"""What the application weighs: accuracy against latency against energy."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Weights:
    """Three weights that sum to 1, whatever was given.

    Attributes:
        accuracy: weight of being right.
        latency: weight of being quick.
        energy: weight of spending little.

    Raises:
        ValueError: one is negative or not finite, or all are 0.

    Example:
        >>> Weights(2, 1, 1)
        Weights(accuracy=0.5, latency=0.25, energy=0.25)
    """

    accuracy: float
    latency: float
    energy: float

    def __post_init__(self) -> None:
        given = (self.accuracy, self.latency, self.energy)
        if not all(0 <= weight < math.inf for weight in given) or not sum(given) > 0:
            raise ValueError(
                f'weights of accuracy, latency and energy must be 0 or more, and not all 0; '
                f'got {", ".join(map(str, given))}'
            )
        total = sum(given)
        for name, weight in zip(('accuracy', 'latency', 'energy'), given, strict=True):
            object.__setattr__(self, name, weight / total)
