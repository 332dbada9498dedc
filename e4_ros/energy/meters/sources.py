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

"""The sources that a meter adds up: rails whose power is sampled, and counters of joules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from typing_extensions import override

from e4_ros.energy.errors import DomainError

SILENT_S = 1.0
"""A rail that does not answer for longer leaves a hole."""

_LONGEST_GAP_S = 5.0


class EnergySource(Protocol):
    """A rail or a counter.

    Attributes:
        label: name of the rail or counter.
        energy_j: joules since the first sample.
        power_w: power at the last sample, in watts.
        missing_s: seconds for which the source has no joules, because it did not answer.
    """

    label: str
    energy_j: float
    power_w: float
    missing_s: float

    def advance(self, time_s: float) -> None:
        """Sample the sensor at `time_s`, in seconds of the meter's time source.

        Raises:
            DomainError: the sensor does not answer.
        """


class SampledRail(EnergySource):
    """Power in watts, integrated by the trapezoidal rule over the times at which it was read.

    Time between two samples counts as missing where it is longer than five seconds, or than
    `SILENT_S` where the sensor was asked in between and did not answer.

    Args:
        label: name of the rail.
        watts: function that reads the sensor, in watts.
    """

    def __init__(self, label: str, watts: Callable[[], float]) -> None:
        self.label = label
        self.energy_j = 0.0
        self.power_w = 0.0
        self.missing_s = 0.0
        self._watts = watts
        self._last_s: float | None = None
        self._failed = False

    @override
    def advance(self, time_s: float) -> None:
        try:
            watts = self._watts()
        except DomainError:
            self._failed = True
            raise
        if self._last_s is not None:
            elapsed_s = time_s - self._last_s
            if elapsed_s <= (SILENT_S if self._failed else _LONGEST_GAP_S):
                self.energy_j += (self.power_w + watts) / 2 * elapsed_s
            else:
                self.missing_s += elapsed_s
        self._last_s, self.power_w, self._failed = time_s, watts, False


class CountedZone(EnergySource):
    """A counter of joules that wraps; it must be read more often than that.

    Its power is the mean between the last two reads at different times, and no time is missing.

    Args:
        label: name of the counter.
        joules: function that reads the counter, in joules.
        range_j: joules after which the counter starts again at 0.
    """

    def __init__(self, label: str, joules: Callable[[], float], range_j: float) -> None:
        self.label = label
        self.energy_j = 0.0
        self.power_w = 0.0
        self.missing_s = 0.0
        self._joules = joules
        self._range_j = range_j
        self._last: tuple[float, float] | None = None

    @override
    def advance(self, time_s: float) -> None:
        joules = self._joules()
        if self._last is not None:
            last_s, last_j = self._last
            used_j = joules - last_j
            if used_j < 0:
                used_j += self._range_j
            self.energy_j += used_j
            if time_s > last_s:
                self.power_w = used_j / (time_s - last_s)
        self._last = (time_s, joules)
