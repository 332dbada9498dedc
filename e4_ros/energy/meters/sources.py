"""What a meter adds up: a rail whose power is sampled, or a counter that already holds joules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

_LONGEST_GAP_S = 1.0


class Source(Protocol):
    """Something that gathers joules as time goes by."""

    label: str
    energy_j: float
    power_w: float
    missing_s: float

    def advance(self, time_s: float) -> None:
        """Catch up with `time_s`; raises `DomainError` if the sensor does not answer."""


class SampledRail:
    """Power in watts, integrated by the trapezoidal rule over the times at which it was read.

    Args:
        label: the rail's name.
        watts: reads the sensor.
        longest_gap_s: a rail that did not answer for longer has a hole in its energy.

    Attributes:
        energy_j: since the first sample.
        power_w: of the last sample.
        missing_s: the holes.
    """

    def __init__(
        self, label: str, watts: Callable[[], float], longest_gap_s: float = _LONGEST_GAP_S
    ) -> None:
        self.label = label
        self.energy_j = 0.0
        self.power_w = 0.0
        self.missing_s = 0.0
        self._watts = watts
        self._longest_gap_s = longest_gap_s
        self._last_s: float | None = None

    def advance(self, time_s: float) -> None:
        """See `Source.advance`."""
        watts = self._watts()
        if self._last_s is not None:
            elapsed_s = time_s - self._last_s
            if elapsed_s <= self._longest_gap_s:
                self.energy_j += (self.power_w + watts) / 2 * elapsed_s
            else:
                self.missing_s += elapsed_s
        self._last_s, self.power_w = time_s, watts


class CountedZone:
    """A counter of joules that starts again after `range_j`.

    It must be read more often than it wraps. Attributes as for `SampledRail`; the power is the mean
    between the last two reads that lie apart, and nothing is ever missing.
    """

    def __init__(self, label: str, joules: Callable[[], float], range_j: float) -> None:
        self.label = label
        self.energy_j = 0.0
        self.power_w = 0.0
        self.missing_s = 0.0
        self._joules = joules
        self._range_j = range_j
        self._last: tuple[float, float] | None = None

    def advance(self, time_s: float) -> None:
        """See `Source.advance`."""
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
