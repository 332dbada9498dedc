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

"""Several streams on one machine: what is known of each, and how their frames take turns."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class CameraState:
    """One camera's queue.

    Attributes:
        name: name of the camera; empty for the only one.
        waiting: number of its images that wait; 0 or 1 where the newest replaces the one before.
        age_s: seconds since the oldest of them came; 0 where none waits.
        deadline_s: seconds from an image's arrival until its answer is late; 0: it never is.
        period_s: seconds from image to image; NaN where unknown.
        missed: share of its last images that were late or dropped, 0 to 1.
    """

    name: str = ''
    waiting: int = 0
    age_s: float = 0.0
    deadline_s: float = 0.0
    period_s: float = math.nan
    missed: float = 0.0

    @property
    def slack_s(self) -> float:
        """Seconds left until the waiting image is late; infinite where it never is."""
        return self.deadline_s - self.age_s if self.deadline_s else math.inf


@dataclass(frozen=True)
class Schedule:
    """How the frames of all cameras share the network.

    Attributes:
        batch: most frames that one run of the network takes.
        wait_s: longest that a frame waits for others of its batch.
        instances: runs of the network at the same time.
        drop_late: whether a frame that cannot be in time is dropped before anything is computed.
        depth_s: exit → seconds that it takes; a frame goes no deeper than its slack allows. None:
            as it was measured where this is carried out; empty: depth is the exits' own choice.
        margin: times these seconds that are allowed for: 0 leaves depth to the exits, infinity
            leaves only the cheapest answer.
    """

    batch: int = 1
    wait_s: float = 0.0
    instances: int = 1
    drop_late: bool = False
    depth_s: Mapping[str, float] | None = None
    margin: float = 1.0

    def __post_init__(self) -> None:
        if self.batch < 1 or self.instances < 1 or self.wait_s < 0 or not self.margin >= 0:
            raise ValueError(
                f'batches of {self.batch}, {self.instances} instances and a wait of '
                f'{self.wait_s} s, and {self.margin} times the seconds, are no schedule'
            )
