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

"""What an edge server is like over time, seen by one of the robots that share it.

Other robots' requests come at random (a Poisson process) at a load that is now low, now high, and
are served one after the other, first come first served. A request of ours waits for the work that
is there when it arrives; it is small beside that of the others, so it does not make them wait.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from e4_ros.evaluation.simulation.edge_traces import STEP_S
from e4_ros.profiling.planning.cost_table import Floats


@dataclass(frozen=True)
class Crowd:
    """What other robots ask of the server.

    Attributes:
        loads: share of the server's time that they need, in calm and in busy times.
        stay_s: seconds of each, in the mean.
        service_s: seconds that one of their requests computes, in the mean.
    """

    loads: tuple[float, float] = (0.2, 0.7)
    stay_s: float = 8.0
    service_s: float = 0.012


def waits(seed: int, seconds: float, crowd: Crowd = Crowd()) -> Floats:
    """Seconds that a request waits which arrives in each step of `STEP_S`, ``(N,)``.

    Args:
        seed: the same seed makes the same crowd.
        seconds: length of it all.
        crowd: what it is like.
    """
    rng = np.random.default_rng([seed, 2])
    steps = max(round(seconds / STEP_S), 1)
    load, at, busy = np.empty(steps), 0, False
    while at < steps:
        stays = max(round(rng.exponential(crowd.stay_s) / STEP_S), 1)
        load[at : at + stays] = crowd.loads[busy]
        at, busy = at + stays, not busy
    arrivals = rng.poisson(load * STEP_S / crowd.service_s)
    brought = rng.gamma(arrivals, crowd.service_s) if arrivals.any() else np.zeros(steps)
    work = np.cumsum(brought - STEP_S)
    return work - np.minimum(np.minimum.accumulate(work), 0.0)  # Lindley 1952
