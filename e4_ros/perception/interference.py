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
"""How much longer a batch takes because of what else runs: BCEdge's predictor of interference.

A network of two small layers and a linear regression are fitted to measured runs
(`evaluation.simulation.interference`); the network is what schedules are filtered by. Here is what
both see, and the numpy that runs on a robot.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from e4_ros.perception.controllers.policy_net import PolicyNet


@dataclass(frozen=True)
class Conditions:
    """What a batch meets.

    Attributes:
        batch: its frames.
        instances: runs at the same time, itself included.
        cores_busy: cores that others keep busy.
        other_share: share of the time in which another model runs beside it, 0 to 1.
    """

    batch: int = 1
    instances: int = 1
    cores_busy: float = 0.0
    other_share: float = 0.0

    def features(self, cores: int) -> NDArray[np.float32]:
        """``(5,)``: the four, batch as its logarithm, and how many times the cores are asked for.

        Args:
            cores: cores of the machine.
        """
        asked = (cores + self.cores_busy + cores * self.other_share) / cores
        return np.array(
            [math.log2(self.batch), self.instances, self.cores_busy, self.other_share, asked],
            np.float32,
        )


class Inflation(Protocol):
    """Says how many times longer a batch takes than one frame alone on an idle machine."""

    def times(self, conditions: Conditions) -> float:
        """The factor."""
        ...


@dataclass(frozen=True)
class NetInflation:
    """The small network; its one output is the logarithm of the factor.

    Attributes:
        net: from `Conditions.features` to that logarithm.
        cores: cores of the machine that it was fitted on.
    """

    net: PolicyNet
    cores: int

    def times(self, conditions: Conditions) -> float:
        """See `Inflation`."""
        return float(np.exp(self.net.values(conditions.features(self.cores))[0][0]))


@dataclass(frozen=True)
class LinearInflation:
    """A linear regression of the factor.

    Attributes:
        weights: ``(6,)``, the last one is the constant.
        cores: cores of the machine that it was fitted on.
    """

    weights: NDArray[np.float64]
    cores: int

    def times(self, conditions: Conditions) -> float:
        """See `Inflation`."""
        return float(np.append(conditions.features(self.cores), 1.0) @ self.weights)
