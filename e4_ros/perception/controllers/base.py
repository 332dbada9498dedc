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
