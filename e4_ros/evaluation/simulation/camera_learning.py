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
"""BCEdge's learners are trained here on simulated cameras: discrete SAC, and a branching DQN.

Needs the extra ``learn`` (torchrl, which has the loss of SAC; gymnasium). The paper of 2023 learns
by maximum-entropy reinforcement for discrete actions (arXiv 1910.07207): the actor makes
``Σ π (α log π - min Q)`` small, the critics learn ``r + γ Σ π (min Q - α log π)``, α keeps the
entropy near its target. The journal version's is a DQN with a branch for each decision
(`concurrent_dqn`). Its third decision, memory that models share, is none here: sessions of a model
share their weights anyway. What comes out are policies that `BCEdgeLearned` runs by numpy.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import gymnasium
import numpy as np

from e4_ros.evaluation.simulation.camera_world import CameraWorld, LevelsPlayer
from e4_ros.evaluation.simulation.concurrent_dqn import Settings, Transition, train
from e4_ros.perception.controllers.bcedge import (
    ACTIONS,
    BATCHES,
    INSTANCES,
    MARGINS,
    STATE,
    BCEdge,
    action_of,
    schedule_of,
    state_of,
)
from e4_ros.perception.controllers.policy_net import Array, PolicyNet
from e4_ros.perception.schedule import Schedule

HIDDEN = (64, 64)
_GAMMA, _BATCH, _TAU = 0.9, 128, 0.01
_FIRST = 500  # turns at random before anything is learnt
_EVERY = 4  # turns for each step of the optimiser


class _Told(BCEdge):
    """Decides what it is told."""

    def __init__(self) -> None:
        super().__init__(largest=8)
        self.schedule = Schedule(drop_late=True)

    def choose(self, cameras: Any, seen: Any) -> tuple[Schedule, str]:
        return self.schedule, ''


class CameraEnv(gymnasium.Env):
    """One step is one turn of the network; the action is a schedule.

    Args:
        worlds: makes the world of an episode from its number.
    """

    def __init__(self, worlds: Callable[[int], CameraWorld]) -> None:
        self._worlds, self._told = worlds, _Told()
        self.observation_space = gymnasium.spaces.Box(-10.0, 10.0, (STATE,), np.float32)
        self.action_space = gymnasium.spaces.Discrete(ACTIONS)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """The next world."""
        super().reset(seed=seed)
        self.player = LevelsPlayer(self._worlds(int(self.np_random.integers(2**31))), self._told)
        return self._state(), {}

    def step(self, action: int) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Take a turn; paid for what answers are worth, less one for each image that was missed."""
        play = self.player.play
        before = play.values - sum(play.late) - sum(play.dropped)
        self._told.schedule = schedule_of([int(action)])
        goes_on = self.player.turn()
        reward = play.values - sum(play.late) - sum(play.dropped) - before
        return self._state(), float(reward), False, not goes_on, {}

    def _state(self) -> Array:
        return state_of(self.player.queues(), self.player.last)


class _School:
    """The same as a world of `concurrent_dqn`: a decision holds from its turn on."""

    def __init__(self, env: CameraEnv) -> None:
        self._env = env

    def reset(self, seed: int) -> Array:
        return self._env.reset(seed=seed)[0]

    def step(self, picked: tuple[int, ...]) -> Transition:
        state, reward, _, ended, _ = self._env.step(action_of(picked))
        return Transition(0.0, reward, 1.0, state, ended)


def train_branching(
    worlds: Callable[[int], CameraWorld],
    turns: int,
    seed: int = 0,
    shown: Callable[[int], None] = lambda turn: None,
) -> PolicyNet:
    """Train the branching DQN; see `train_sac`."""
    branches = len(MARGINS), len(BATCHES), len(INSTANCES)
    settings = Settings(frames=turns, discount=_GAMMA, every=_EVERY)
    school = _School(CameraEnv(worlds))
    return train(school, branches, settings, seed, 'cameras', lambda done, of: shown(done))


def train_sac(
    worlds: Callable[[int], CameraWorld],
    turns: int,
    seed: int = 0,
    shown: Callable[[int], None] = lambda turn: None,
) -> PolicyNet:
    """Train.

    Args:
        worlds: makes the world of an episode from its number.
        turns: turns of the network to learn from.
        seed: of chance.
        shown: called now and then with the turns that are done.
    """
    import torch
    from tensordict import TensorDict
    from tensordict.nn import TensorDictModule
    from torch import nn
    from torchrl.data import OneHot
    from torchrl.modules import OneHotCategorical, ProbabilisticActor
    from torchrl.objectives import DiscreteSACLoss, SoftUpdate

    torch.manual_seed(seed)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    rng, env = np.random.default_rng(seed), CameraEnv(worlds)

    def layers() -> nn.Sequential:
        sizes = (STATE, *HIDDEN)
        body = [
            part
            for inputs, outputs in pairwise(sizes)
            for part in (nn.Linear(inputs, outputs), nn.ReLU())
        ]
        return nn.Sequential(*body, nn.Linear(sizes[-1], ACTIONS))

    policy, spec = layers(), OneHot(ACTIONS)
    actor = ProbabilisticActor(
        TensorDictModule(policy, in_keys=['observation'], out_keys=['logits']),
        in_keys=['logits'],
        out_keys=['action'],
        spec=spec,
        distribution_class=OneHotCategorical,
    )
    critic = TensorDictModule(layers(), in_keys=['observation'], out_keys=['action_value'])
    loss = DiscreteSACLoss(
        actor,
        critic,
        action_space=spec,
        num_actions=ACTIONS,
        alpha_init=0.2,
        target_entropy_weight=0.3,
        delay_qvalue=True,
    )
    loss.make_value_estimator(gamma=_GAMMA)
    target = SoftUpdate(loss, tau=_TAU)
    optimiser = torch.optim.Adam(loss.parameters(), 1e-3)
    states = np.zeros((turns + 1, STATE), np.float32)
    following = np.zeros_like(states)
    acts, rewards = np.zeros(turns, np.int64), np.zeros(turns, np.float32)
    ends = np.zeros(turns, bool)
    state, _ = env.reset(seed=seed)
    for turn in range(turns):
        if turn < _FIRST:
            action = int(rng.integers(ACTIONS))
        else:
            with torch.no_grad():
                logits = policy(torch.from_numpy(state))
            odds = torch.softmax(logits, -1).numpy().astype(np.float64)
            action = int(rng.choice(ACTIONS, p=odds / odds.sum()))
        seen, reward, _, ended, _ = env.step(action)
        states[turn], following[turn], acts[turn] = state, seen, action
        rewards[turn], ends[turn] = reward, ended
        state = env.reset()[0] if ended else seen
        if turn >= _FIRST and turn % _EVERY == 0:
            chosen = rng.integers(turn, size=_BATCH)
            one_hot = nn.functional.one_hot(torch.from_numpy(acts[chosen]), ACTIONS)
            after = {
                'observation': torch.from_numpy(following[chosen]),
                'reward': torch.from_numpy(rewards[chosen])[:, None],
                'done': torch.from_numpy(ends[chosen])[:, None],
                'terminated': torch.zeros(_BATCH, 1, dtype=torch.bool),
            }
            data = TensorDict(
                {
                    'observation': torch.from_numpy(states[chosen]),
                    'action': one_hot,
                    'next': TensorDict(after, [_BATCH]),
                },
                [_BATCH],
            )
            losses = loss(data)
            optimiser.zero_grad()
            (losses['loss_actor'] + losses['loss_qvalue'] + losses['loss_alpha']).backward()
            optimiser.step()
            target.step()
        if turn % 500 == 0:
            shown(turn)
    torch.set_num_threads(threads)
    return _as_policy([m for m in policy if isinstance(m, nn.Linear)], turns)


def _as_policy(linear: Any, turns: int) -> PolicyNet:
    return PolicyNet(
        [layer.weight.detach().numpy().copy() for layer in linear],
        [layer.bias.detach().numpy().copy() for layer in linear],
        (ACTIONS,),
        np.zeros(STATE, np.float32),
        np.ones(STATE, np.float32),
        turns,
    )
