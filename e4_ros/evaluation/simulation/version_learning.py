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

"""Trains the policy of `infer_edge:learned`: A2C of stable-baselines3 with weights as inputs.

One network serves all weights, because they are among what it sees: its worlds go through the
whole simplex. What it is paid is the negative cost of a frame, changes of version included. It is
three small layers, which numpy runs on a robot (`controllers.policy_net`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import torch
from stable_baselines3 import A2C
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import DummyVecEnv

from e4_ros.evaluation.simulation.version_world import Setting, World
from e4_ros.perception.controllers.infer_edge import LEVELS, at_level, state_of, state_size
from e4_ros.perception.controllers.policy_net import PolicyNet
from e4_ros.perception.controllers.version_facts import Drift
from e4_ros.perception.versions import Version
from e4_ros.vision.inference.exit_thresholds import FULL

_FRAMES, _HOLD = 480, 6  # of a world, and for which the same is weighed
_EPISODE = 60
_TOGETHER = 64
_HIDDEN = [64, 64]
_STREAM = 200


class VersionEnv(gymnasium.Env):
    """One step is one frame; the action is a version and how fast it runs.

    Args:
        worlds: an episode is a part of any of them.
        count: number of versions.
    """

    def __init__(self, worlds: Sequence[World], count: int) -> None:
        self._worlds, self._count = worlds, count
        self.observation_space = gymnasium.spaces.Box(
            -np.inf, np.inf, (state_size(count),), np.float32
        )
        self.action_space = gymnasium.spaces.MultiDiscrete([count, LEVELS])

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Another part of a world."""
        super().reset(seed=seed)
        self._world = self._worlds[int(self.np_random.integers(len(self._worlds)))]
        self._frame = int(self.np_random.integers(len(self._world) - _EPISODE))
        self._end = self._frame + _EPISODE
        self._drift, self._current = Drift(self._count), int(self.np_random.integers(self._count))
        table, levels = self._world.table, range(LEVELS)
        self._choice = [[at_level(table, v, n) for n in levels] for v in range(self._count)]
        return self._state(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Answer a frame by that version at those clocks."""
        version, level = (int(part) for part in action)
        world, frame = self._world, self._frame
        cost = float(world.cost[frame, self._choice[version][level]])
        if version != self._current:
            cost += float(world.change[frame])
        self._drift.observe(version, float(world.slower[frame, version]))
        self._current, self._frame = version, frame + 1
        return self._state(), -cost, False, self._frame == self._end - 1, {}

    def _state(self) -> np.ndarray:
        weights = self._world.weighed(self._frame)
        return state_of(weights, self._drift.factors, self._current)


class _Tell(BaseCallback):
    def __init__(self, progress: Callable[[int], None]) -> None:
        super().__init__()
        self._progress = progress

    def _on_step(self) -> bool:
        self._progress(self.num_timesteps)
        return True


def train_policy(
    versions: Sequence[Version],
    board: str,
    frames: int,
    progress: Callable[[int], None] = lambda done: None,
    seed: int = 0,
    worlds: int = 24,
) -> PolicyNet:
    """Train on so many simulated frames.

    Args:
        versions: what is known of the versions, accuracies included.
        board: name of the board.
        frames: number of frames.
        progress: receives the number of frames so far.
        seed: the same one gives the same policy.
        worlds: how many different ones there are.

    Returns:
        The policy, for the same versions in the same order.
    """
    torch.manual_seed(seed)
    f1 = np.array([version.f1 for version in versions])
    setting = Setting(versions, f1, board, stream_like(versions[0], seed))
    seen = [World(setting, _FRAMES, 1000 + seed + k, _HOLD) for k in range(worlds)]
    envs = DummyVecEnv([partial(VersionEnv, seen, len(versions)) for _ in range(_TOGETHER)])
    model = A2C(
        'MlpPolicy',
        envs,
        learning_rate=lambda left: 3e-3 * left + 1e-5,
        n_steps=2,
        gamma=0.0,
        ent_coef=0.3,
        use_rms_prop=False,
        normalize_advantage=True,
        policy_kwargs={'net_arch': _HIDDEN, 'activation_fn': torch.nn.ReLU},
        seed=seed,
        device='cpu',
    )
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        model.learn(frames, callback=_Tell(progress))
    finally:
        torch.set_num_threads(before)
    return _exported(model, len(versions), int(model.num_timesteps))


def stream_like(version: Version, seed: int) -> list[str]:
    """Exits in a random order, each as often as the version's footage had it."""
    shares = version.shares or {FULL: 1.0}
    values = np.array(list(shares.values()))
    drawn = np.random.default_rng(seed).choice(len(values), _STREAM, p=values / values.sum())
    return [list(shares)[i] for i in drawn]


def _exported(model: A2C, versions: int, frames: int) -> PolicyNet:
    """The actor's layers as numbers."""
    policy = model.policy
    hidden = [m for m in policy.mlp_extractor.policy_net if isinstance(m, torch.nn.Linear)]
    layers: list[Any] = [*hidden, policy.action_net]
    size = state_size(versions)
    return PolicyNet(
        [layer.weight.detach().numpy().astype(np.float32) for layer in layers],
        [layer.bias.detach().numpy().astype(np.float32) for layer in layers],
        (versions, LEVELS),
        np.zeros(size, np.float32),
        np.ones(size, np.float32),
        frames,
    )
