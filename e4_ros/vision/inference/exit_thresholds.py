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

"""Where a frame may stop: from the gate scores of the exits, one at a time, to a decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

FULL = 'full'
TEMPORAL = 'temporal'
TRACK = 'track'
CLOSER = 'closer'
EDGE = 'edge'

TAKEN = 0.5
"""Score of the exit `track` from which its answer is taken: where its drift is at the limit."""

DEFAULT_RISK = 0.12
"""Mean loss of a frame that tracks may cost, where the user says nothing; docs/exits.md."""


@dataclass(frozen=True)
class ExitThresholds:
    """Stop at the first exit whose gate score reaches its threshold; without any, never early.

    A controller decides them (`perception.controller`), an engine keeps to them.

    Attributes:
        thresholds: exit → least gate score at which its answer is taken; an exit without one is
            off.
    """

    thresholds: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for exit_name, threshold in self.thresholds.items():
            if not threshold >= 0:
                raise ValueError(f'the threshold of exit {exit_name!r} is {threshold}, not ≥ 0')

    def asks(self, exit_name: str) -> bool:
        """Whether this exit can be taken at all; one that cannot is not computed."""
        return exit_name in self.thresholds

    def takes(self, exit_name: str, gate_score: float) -> bool:
        """Whether to stop at this exit.

        Args:
            exit_name: name of the exit.
            gate_score: its gate's score for the frame, 0 to 1; NaN never stops.
        """
        return self.asks(exit_name) and gate_score >= self.thresholds[exit_name]
