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
"""How the frames of several cameras share a network under service levels, after BCEdge.

BCEdge (arXiv 2305.01519; IEEE TNSM 2024, doi 10.1109/TNSM.2024.3409701) chooses batch and instances
for requests with service levels, by a learner that is paid with ``log(throughput / latency)``. Here
the same is chosen for cameras, and how much time a frame's depth may take besides. Order and drops
are the same for all of these policies (`service_levels`): the earliest deadline first.

* `BCEdgeExact` computes: from the measured table of batches, whether any of them pays, and which is
  the best that lets the tightest service level be kept, with the predicted interference counted.
* `BCEdgeGreedy` tries: the batch grows by one while nobody is late and shrinks where somebody is,
  as in Clipper (AIMD); the margin on the seconds of an exit is a bandit's (LinUCB).
* `BCEdgeLearned` runs a trained network (`evaluation.simulation.camera_learning`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from e4_ros.perception.camera_costs import CameraCosts
from e4_ros.perception.controller import Decision, Observation, Outcome
from e4_ros.perception.controllers.base import DepthOnly
from e4_ros.perception.controllers.linucb import Residual
from e4_ros.perception.controllers.policy_net import PolicyNet
from e4_ros.perception.interference import Conditions, Inflation
from e4_ros.perception.schedule import CameraState, Schedule

BATCHES, INSTANCES = (1, 2, 4), (1, 2)
MARGINS = (0.0, 1.0, 1.5, math.inf)
"""What a policy may choose from: frames of a batch, instances, times an exit's seconds."""
SEEN_CAMERAS = 4
STATE = 5 * SEEN_CAMERAS + 4
"""Numbers that a learner sees."""
_SCALE_S = 0.2
_LEAST_GAIN = 1.05  # times the frames a second, from which a longer wait may be worth it
_WAIT = 0.25  # of the tightest service level, that a frame may wait for others of its batch


class BCEdge(DepthOnly):
    """What these policies have in common: nothing is decided where no camera has a level.

    Args:
        largest: frames that whoever carries decisions out can run at the same time.
    """

    def __init__(self, largest: int = 1) -> None:
        super().__init__(exits=True)
        self._largest = largest

    def decide(self, seen: Observation) -> Decision:
        """A schedule, where a camera has a service level."""
        levels = [camera for camera in seen.cameras if camera.deadline_s]
        if not levels:
            return Decision(self.thresholds)
        schedule, why = self.choose(levels, seen)
        return Decision(self.thresholds, schedule=schedule, why=why)

    def choose(self, cameras: Sequence[CameraState], seen: Observation) -> tuple[Schedule, str]:
        """The schedule and why, for people.

        Args:
            cameras: those with a service level; one at least.
            seen: all that is known.
        """
        raise NotImplementedError

    def _fits(self, batch: int, instances: int) -> bool:
        return batch * instances <= self._largest


class BCEdgeExact(BCEdge):
    """The best batch, instances and wait of a measured table; see the module.

    Args:
        table: what batches take; None: one frame at a time.
        inflation: predicts interference; None: there is none.
        largest: frames that can run at the same time.
    """

    def __init__(
        self,
        table: CameraCosts | None = None,
        inflation: Inflation | None = None,
        largest: int = 1,
    ) -> None:
        super().__init__(largest)
        self._table, self._inflation = table, inflation

    def choose(self, cameras: Sequence[CameraState], seen: Observation) -> tuple[Schedule, str]:
        """The utility's best of the cells that keep the tightest level; one frame if none pays."""
        alone = Schedule(drop_late=True)
        if self._table is None:
            return alone, 'one frame at a time: no batch was measured here'
        if not self._table.pays or self._table.gain <= _LEAST_GAIN:
            return alone, 'one frame at a time: no batch pays on this device, as measured'
        tightest_s = min(camera.deadline_s for camera in cameras)
        waiting = max(sum(camera.waiting for camera in cameras), 1)
        rate_hz = sum(1 / c.period_s for c in cameras if c.period_s > 0)
        best, chosen = -math.inf, alone
        for batch, instances in self._table.run_s:
            if not self._fits(batch, instances):
                continue
            run_s = self._seconds(batch, instances, seen)
            missing = max(batch * instances - waiting, 0)
            wait_s = missing / rate_hz if rate_hz else math.inf * missing if missing else 0.0
            if wait_s > _WAIT * tightest_s or wait_s + run_s > tightest_s:
                continue  # the predictor's word is final
            rounds = math.ceil(waiting / (batch * instances))
            utility = math.log(batch * instances / run_s / (wait_s + rounds * run_s))
            if utility > best:
                best, chosen = utility, Schedule(batch, wait_s, instances, drop_late=True)
        why = f'batches of {chosen.batch} in {chosen.instances} instances are worth the most'
        return chosen, why

    def _seconds(self, batch: int, instances: int, seen: Observation) -> float:
        """What a cell takes now: as measured idle, times the interference that is predicted."""
        assert self._table is not None
        idle_s = self._table.run_s[batch, instances]
        busy = seen.board.utilisation.get('cpu', 0.0)
        if self._inflation is None or not busy:
            return idle_s
        now, idle = (
            self._inflation.times(Conditions(batch, instances, cores)) for cores in (busy, 0.0)
        )
        return idle_s * max(now / idle, 1.0)


class BCEdgeGreedy(BCEdge):
    """AIMD on the batch, a bandit on the margin; see the module.

    Args:
        largest: frames that can run at the same time.
    """

    def __init__(self, largest: int = 1) -> None:
        super().__init__(largest)
        self._batch, self._margin = 1.0, 1.0
        self._bandit = Residual(3, curiosity=0.2)
        self._before: tuple[float, NDArray[np.float64]] | None = None

    def choose(self, cameras: Sequence[CameraState], seen: Observation) -> tuple[Schedule, str]:
        """Learn from what became of the last choice, and choose again."""
        missed = float(np.mean([camera.missed for camera in cameras]))
        if seen.last is not None and self._before is not None:
            margin, features = self._before
            held = seen.last.exit == 'track' and seen.stream.gate_scores.get('track', 1.0) < 0.5
            self._bandit.observe(margin, features, 0.0, missed + 0.3 * held)
        late = any(camera.waiting and camera.slack_s < 0 for camera in cameras)
        self._batch = 0.9 * self._batch if late else min(self._batch + 0.1, self._largest)
        waiting = sum(camera.waiting for camera in cameras) / SEEN_CAMERAS
        features = np.array([1.0, waiting, missed])
        costs = {m: self._bandit.expect(m, features, 0.0) for m in MARGINS}
        self._margin = min(costs, key=lambda margin: costs[margin])
        self._before = self._margin, features
        batch = max(int(self._batch), 1)
        schedule = Schedule(batch, drop_late=True, margin=self._margin)
        return schedule, f'{self._margin:g} times the seconds of an exit have cost the least'


class BCEdgeLearned(BCEdge):
    """A trained network, asked once a frame.

    Args:
        net: from `state_of` to a choice for each branch: margin, batch, instances, or one for all.
        largest: frames that can run at the same time.
    """

    def __init__(self, net: PolicyNet, largest: int = 1) -> None:
        super().__init__(largest)
        self._net = net

    def choose(self, cameras: Sequence[CameraState], seen: Observation) -> tuple[Schedule, str]:
        """As the network learned; what cannot be carried out is cut to what can."""
        chosen = self._net.choose(state_of(cameras, seen.last))
        schedule = schedule_of(chosen)
        if not self._fits(schedule.batch, schedule.instances):
            schedule = Schedule(drop_late=True, margin=schedule.margin)
        return schedule, 'as the network learned'


def schedule_of(action: Sequence[int]) -> Schedule:
    """What an action means.

    Args:
        action: indices into `MARGINS`, `BATCHES` and `INSTANCES`, or one number for all three.
    """
    if len(action) == 1:
        rest, instances = divmod(int(action[0]), len(INSTANCES))
        action = *divmod(rest, len(BATCHES)), instances
    margin, batch, instances = (int(index) for index in action)
    return Schedule(
        BATCHES[batch], 0.0, INSTANCES[instances], drop_late=True, margin=MARGINS[margin]
    )


def action_of(branches: Sequence[int]) -> int:
    """The one number for a choice of each branch."""
    margin, batch, instances = branches
    return (int(margin) * len(BATCHES) + int(batch)) * len(INSTANCES) + int(instances)


ACTIONS = len(MARGINS) * len(BATCHES) * len(INSTANCES)


def state_of(cameras: Sequence[CameraState], last: Outcome | None) -> NDArray[np.float32]:
    """What a learner sees, ``(STATE,)``: the most urgent cameras, and the last answer.

    Args:
        cameras: those with a service level.
        last: the newest outcome.
    """
    urgent = sorted(cameras, key=lambda camera: (not camera.waiting, camera.slack_s))
    seen = [
        value
        for camera in urgent[:SEEN_CAMERAS]
        for value in (
            camera.waiting,
            np.clip(camera.slack_s / _SCALE_S, -1, 2) if camera.waiting else 1.0,
            camera.deadline_s / _SCALE_S,
            camera.missed,
            1.0 if math.isnan(camera.period_s) else min(camera.period_s / _SCALE_S, 2.0),
        )
    ]
    seen += [0.0] * (5 * SEEN_CAMERAS - len(seen))
    latency_s = 0.0 if last is None or math.isnan(last.latency_s) else last.latency_s
    deep = float(last is not None and last.exit != 'track')
    waiting = sum(camera.waiting for camera in cameras) / SEEN_CAMERAS
    seen += [deep, min(latency_s / 0.05, 2.0), waiting, float(np.mean([c.missed for c in cameras]))]
    return np.array(seen, np.float32)
