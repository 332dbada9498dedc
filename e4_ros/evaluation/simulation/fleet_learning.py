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

"""How long robots of a fleet keep exits that no longer fit: from drift to new, certified ones.

A robot's scene drifts at random moments. Its audits notice, what its ring holds goes to a trainer,
a fit waits for a free one, newer frames certify the result, and the exits come back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from e4_ros.evaluation.simulation.fleet_queues import played_waits, poisson
from e4_ros.profiling.planning.cost_table import Floats

DAY_S = 86400.0


@dataclass(frozen=True)
class Learning:
    """What renewing one robot's exits takes; all of it assumed, see `docs/fleet.md`.

    Attributes:
        drift_s: seconds between two drifts of a robot, in the mean.
        notice_s: until its audits are sure.
        upload_bytes: frames of the ring that go to the trainer.
        fit_s: seconds of a trainer.
        certify_s: until enough newer frames have judged the exits.
        exits_bytes: what comes back.
        robot_bps: bits a second that one robot gets for both.
    """

    drift_s: float = DAY_S
    notice_s: float = 60.0
    upload_bytes: float = 20e6
    fit_s: float = 900.0
    certify_s: float = 150.0
    exits_bytes: float = 3e6
    robot_bps: float = 10e6

    @property
    def least_s(self) -> float:
        """Staleness where no fit waits for a trainer."""
        moved_s = 8 * (self.upload_bytes + self.exits_bytes) / self.robot_bps
        return self.notice_s + moved_s + self.fit_s + self.certify_s

    def trainers(self, robots: int) -> float:
        """Trainers that are busy in the mean."""
        return robots * self.fit_s / self.drift_s


def staleness_s(
    robots: int, trainers: int, learning: Learning, seed: int = 0, days: float = 20.0
) -> Floats:
    """Seconds from drift to new exits, of each drift; robots drift on their own.

    Args:
        robots: number of robots.
        trainers: fits that run at a time.
        learning: what renewing takes.
        seed: the same seed gives the same drifts.
        days: days that are played.
    """
    rng = np.random.default_rng([seed, robots])
    at_s = poisson(rng, robots / learning.drift_s, days * DAY_S)
    waits = played_waits(at_s, np.full(len(at_s), learning.fit_s), trainers)
    return learning.least_s + waits


def staleness_together_s(robots: int, trainers: int, share: float, learning: Learning) -> Floats:
    """The same where a share of the fleet drifts at once, as when it begins to rain."""
    drifting = max(round(share * robots), 1)
    fits = np.full(drifting, learning.fit_s)
    return learning.least_s + played_waits(np.zeros(drifting), fits, trainers)
