"""What most controllers have in common."""

from __future__ import annotations

from collections.abc import Mapping

from e4_ros.perception.controller import Decision, Observation, Outcome


class DepthOnly:
    """Exits on or off, and the clocks left to the kernel.

    Args:
        exits: whether frames may stop early, at the thresholds that the exits were calibrated with.
    """

    interval_s: float | None = None

    def __init__(self, exits: bool) -> None:
        self.thresholds: Mapping[str, float] | None = None if exits else {}

    def decide(self, seen: Observation) -> Decision:
        """The same for every frame."""
        return Decision(self.thresholds)

    def observe(self, outcome: Outcome) -> None:
        """Nothing is learned from it."""

    def check(self, seen: Observation) -> None:
        """Nothing is promised, so there is nothing that could not be kept."""

    def facts(self) -> Mapping[str, str]:
        """Nothing to show."""
        return {}
