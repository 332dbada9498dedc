"""Where to stop: from the gate scores of the exits, one at a time, to a decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

FULL = 'full'
TEMPORAL = 'temporal'


class ExitPolicy(Protocol):
    """Decides whether an exit's answer is taken."""

    @property
    def name(self) -> str:
        """What the user calls it."""
        ...

    def asks(self, exit_name: str) -> bool:
        """Whether this exit can be taken at all; one that cannot is not computed."""
        ...

    def takes(self, exit_name: str, gate_score: float) -> bool:
        """Whether to stop at this exit, whose gate score for the frame is in [0, 1]."""
        ...


@dataclass(frozen=True)
class FullPolicy:
    """Every frame through the whole network."""

    name: str = FULL

    def asks(self, exit_name: str) -> bool:
        """See `ExitPolicy`."""
        return False

    def takes(self, exit_name: str, gate_score: float) -> bool:
        """See `ExitPolicy`."""
        return False


@dataclass(frozen=True)
class ThresholdPolicy:
    """Stop at the first exit whose gate score reaches its threshold.

    Attributes:
        thresholds: by exit name; an exit without one is off.
    """

    thresholds: Mapping[str, float] = field(default_factory=dict)
    name: str = 'e4'

    def __post_init__(self) -> None:
        for exit_name, threshold in self.thresholds.items():
            if not threshold >= 0:
                raise ValueError(f'the threshold of exit {exit_name!r} is {threshold}, not ≥ 0')

    def asks(self, exit_name: str) -> bool:
        """See `ExitPolicy`."""
        return exit_name in self.thresholds

    def takes(self, exit_name: str, gate_score: float) -> bool:
        """See `ExitPolicy`."""
        return self.asks(exit_name) and gate_score >= self.thresholds[exit_name]
