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

"""DVFO's learner at school: worlds of a robot, a link and a server, one after the other.

Needs the extra ``learn``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from e4_ros.evaluation.simulation.concurrent_dqn import Settings, Transition, train
from e4_ros.evaluation.simulation.edge_play import Timeline
from e4_ros.evaluation.simulation.edge_world import Conditions, Scenario
from e4_ros.perception.controllers.dvfo.choices import Newest
from e4_ros.perception.controllers.dvfo.learned import Recent, branches_of, decode
from e4_ros.perception.controllers.policy_net import Array, PolicyNet

EPISODE_FRAMES = 300


@dataclass
class EdgeSchool:
    """One step is one frame: a decision, and the frame that begins next.

    Attributes:
        scenario: the kind of worlds.
        branches: sizes of the branches.
    """

    scenario: Scenario
    branches: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        tables = self.scenario.board_state().tables
        sizes = {name: len(table) for name, table in tables.items()}
        self.branches = branches_of(sizes, len(self.scenario.choices) + 1)

    def reset(self, seed: int) -> Array:
        """A new world."""
        self._timeline = Timeline(Conditions.of(self.scenario, seed, EPISODE_FRAMES))
        self._recent, self._newest = Recent(), Newest()
        return self._state(None)

    def step(self, picked: tuple[int, ...]) -> Transition:
        """Decide for the next frame, and play it."""
        timeline = self._timeline
        choice, point = decode(picked, self.branches, timeline.costs)
        if not timeline.watch.seen(timeline.now_s)[0].up:
            choice = 0
        self._recent.decided(timeline.now_s, picked, self.branches, choice)
        timeline.decide(choice, point)
        answer = timeline.frame()
        unit = timeline.costs.top_w * self.scenario.price.deadline_s
        reward = -answer.cost / unit
        before, after = (0.0, reward) if answer.held else (reward, 0.0)
        share = min(answer.taken_s / self.scenario.period_s, 2.0)
        if not answer.held:
            share += 1.0  # it holds from the frame after this one on
        return Transition(before, after, share, self._state(answer), timeline.over)

    def _state(self, answer: object) -> Array:
        timeline = self._timeline
        last = None
        if answer is not None:
            last = timeline.outcome(timeline.answers[-1])
            for request in last.requests:
                self._newest.note(request, timeline.now_s)
            self._recent.observe(last, self.scenario.period_s)
        seen = timeline.seen(last)
        return self._recent.state(seen, self.scenario.price, self._newest.ways(seen.time_s))


def train_policy(
    scenario: Scenario,
    frames: int,
    seed: int = 0,
    told: Callable[[int, int], None] = lambda done, of: None,
) -> PolicyNet:
    """A policy for `controllers.dvfo.learned.Learned`.

    Args:
        scenario: the kind of worlds that it learns in.
        frames: number of frames.
        seed: of everything.
        told: is told how many frames were played.
    """
    school = EdgeSchool(scenario)
    settings = Settings(frames=frames, discount=0.5)  # what is done now matters little later
    return train(school, school.branches, settings, seed, scenario.board, told)
