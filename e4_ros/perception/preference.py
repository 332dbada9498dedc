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

"""What the application weighs, as parameters and batteries say it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from e4_ros.perception.weights import Weights

EQUAL = Weights(1, 1, 1)
"""Where the application has not said what it weighs."""

DEFAULT_RESERVE = 0.3
"""Charge of the battery, 0 to 1, below which energy begins to weigh more."""


def weights_of(values: Sequence[float]) -> Weights:
    """Weights from the three values of the parameter `preference`.

    Raises:
        ValueError: they are not three, one is negative or no number, or all are 0.
    """
    if len(values) != 3:
        raise ValueError(
            f'preference is three weights, of accuracy, latency and energy, such as '
            f'[0.5, 0.3, 0.2]; got {len(values)}'
        )
    return Weights(*values)


def with_battery(weights: Weights, charge: float, reserve: float) -> Weights:
    """What is weighed at a charge of the battery.

    At ``reserve`` and above, and where the charge is unknown, nothing changes. Below, accuracy and
    latency keep the share ``charge / reserve`` of their weights, and energy gets the rest: at half
    of the reserve half of what they had, with an empty battery all of it.

    Args:
        weights: what the application weighs.
        charge: 0 to 1; NaN where unknown.
        reserve: charge at which energy begins to weigh more, 0 to 1; 0: it never does.

    Example:
        >>> with_battery(Weights(1, 1, 2), 0.15, 0.3)
        Weights(accuracy=0.125, latency=0.125, energy=0.75)
    """
    if not charge < reserve:  # also where it is no number
        return weights
    kept = max(charge, 0.0) / reserve
    accuracy, latency = kept * weights.accuracy, kept * weights.latency
    return Weights(accuracy, latency, 1 - accuracy - latency)


def charge_of(percentage: float, charge: float = math.nan, capacity: float = math.nan) -> float:
    """Charge of a battery, 0 to 1, from what a driver says; NaN where it says nothing of use.

    Args:
        percentage: `percentage` of sensor_msgs/BatteryState, 0 to 1 by its definition.
        charge: `charge`, in the unit of ``capacity``; counts where there is no percentage.
        capacity: `capacity`, or where that is unknown `design_capacity`.
    """
    if 0 <= percentage <= 1:
        return percentage
    if math.isnan(percentage) and capacity > 0 and 0 <= charge <= capacity:
        return charge / capacity
    return math.nan
