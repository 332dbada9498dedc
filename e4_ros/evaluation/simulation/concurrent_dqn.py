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

"""A branching DQN whose decisions take time to hold: the concurrent Bellman operator, in torch.

While a policy thinks, the world moves on under its previous decision ("thinking while moving",
Xiao et al., ICLR 2020, arXiv 2004.06089). A decision that is made at a state holds from ``t_AS``
later on. With ``H`` the time that a decision usually holds, a transition is worth::

    y = r_before + g ** (t_AS / H) * (r_after + g ** (1 - t_AS / H) * V(x'))
    V(x') = mean over branches d of  Q'_d(x', argmax Q_d(x'))

``r_before`` is what came while the previous decision still held, ``r_after`` what came under the
new one until the next state ``x'``, Q' the target network. Where a decision holds only when the
next one is made (t_AS >= H), that is the paper's discrete operator, r(s, a_previous) +
g ** (t_AS / H) * max Q(s', a, a'); where it holds at once (t_AS = 0), it is the plain operator,
r + g * V. States must contain the previous decision and t_AS; else they are no Markov process.

Needs the extra ``learn``; what is trained runs without it (`PolicyNet`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
import torch
from torch import nn

from e4_ros.perception.controllers.policy_net import Array, PolicyNet


@dataclass(frozen=True)
class Transition:
    """What followed a decision.

    Attributes:
        before: reward while the previous decision still held.
        after: reward under the new one, until the next state.
        share: time until it held, over the time that decisions usually hold: t_AS / H.
        state: the next state.
        over: whether the episode ended there.
    """

    before: float
    after: float
    share: float
    state: Array
    over: bool = False


class World(Protocol):
    """What is learnt in."""

    def reset(self, seed: int) -> Array:
        """Begin an episode; the first state."""
        ...

    def step(self, picked: tuple[int, ...]) -> Transition:
        """Decide, and see what follows."""
        ...


@dataclass(frozen=True)
class Settings:
    """How is learnt.

    Attributes:
        layers: sizes of the hidden layers.
        discount: what a reward is worth that comes one H later, of one that comes now.
        frames: number of decisions.
        kept: transitions that are kept for learning.
        batch: transitions of one step of learning.
        every: decisions for each step of learning.
        rate: learning rate of Adam; it falls to a tenth by the end.
        target: steps of learning after which the target network is renewed.
        curious: share of ``frames`` over which random decisions become rare.
    """

    layers: tuple[int, ...] = (64, 64)
    discount: float = 0.8
    frames: int = 30_000
    kept: int = 50_000
    batch: int = 64
    every: int = 2
    rate: float = 1e-3
    target: int = 250
    curious: float = 0.6


class Replay:
    """The transitions of late, the oldest forgotten first."""

    def __init__(self, kept: int, figures: int, branches: int) -> None:
        self.states, self.nexts = (np.zeros((kept, figures), np.float32) for _ in range(2))
        self.picked = np.zeros((kept, branches), np.int64)
        self.rewards = np.zeros((kept, 4), np.float32)  # before, after, share, over
        self.count = 0

    def add(self, state: Array, picked: Sequence[int], came: Transition) -> None:
        """Keep one."""
        at = self.count % len(self.states)
        self.states[at], self.nexts[at], self.picked[at] = state, came.state, picked
        self.rewards[at] = came.before, came.after, came.share, came.over
        self.count += 1

    def sample(self, rng: np.random.Generator, size: int) -> tuple[torch.Tensor, ...]:
        """States, picks, rewards and next states of some."""
        at = rng.integers(min(self.count, len(self.states)), size=size)
        arrays = (self.states, self.picked, self.rewards, self.nexts)
        return tuple(torch.from_numpy(array[at]) for array in arrays)


def concurrent_target(
    before: torch.Tensor,
    after: torch.Tensor,
    share: torch.Tensor,
    best_next: torch.Tensor,
    discount: float,
) -> torch.Tensor:
    """What transitions are worth; see this module. All arguments are ``(B,)`` or broadcast.

    Args:
        before: reward while the previous decision held.
        after: reward under the new one.
        share: t_AS / H.
        best_next: value of the next state, 0 where the episode ended.
        discount: γ, a reward's worth one H later.
    """
    rest = torch.clamp(1 - share, min=0)
    return before + discount**share * (after + discount**rest * best_next)


def branch_values(values: torch.Tensor, branches: Sequence[int]) -> list[torch.Tensor]:
    """Outputs ``(B, sum of branches)`` cut into branches."""
    return list(torch.split(values, list(branches), dim=1))


def best_value(online: torch.Tensor, target: torch.Tensor, branches: Sequence[int]) -> torch.Tensor:
    """Mean over branches of what the target network says of the online network's picks, ``(B,)``.

    Args:
        online: outputs of the network at the next states, ``(B, sum of branches)``.
        target: those of the target network.
        branches: sizes of the branches.
    """
    pairs = zip(branch_values(online, branches), branch_values(target, branches), strict=True)
    return torch.stack(
        [theirs.gather(1, mine.argmax(1, keepdim=True))[:, 0] for mine, theirs in pairs]
    ).mean(0)


def loss_of(
    values: torch.Tensor, picked: torch.Tensor, wanted: torch.Tensor, branches: Sequence[int]
) -> torch.Tensor:
    """Mean over transitions and branches of the squared error of what was picked.

    Args:
        values: the network's outputs, ``(B, sum of branches)``.
        picked: picks, ``(B, D)``.
        wanted: `concurrent_target`, ``(B,)``; nothing is learnt through it.
        branches: sizes of the branches.
    """
    cut = branch_values(values, branches)
    said = torch.stack(
        [part.gather(1, picked[:, d : d + 1])[:, 0] for d, part in enumerate(cut)], dim=1
    )
    return ((said - wanted.detach()[:, None]) ** 2).mean()


def make_net(figures: int, layers: Sequence[int], outputs: int) -> nn.Sequential:
    """Layers with ReLU between them, as `PolicyNet` has them."""
    sizes = [figures, *layers]
    parts: list[nn.Module] = []
    for size, following in pairwise(sizes):
        parts += [nn.Linear(size, following), nn.ReLU()]
    return nn.Sequential(*parts, nn.Linear(sizes[-1], outputs))


def train(
    world: World,
    branches: tuple[int, ...],
    settings: Settings = Settings(),
    seed: int = 0,
    of: str = '',
    told: Callable[[int, int], None] = lambda done, of: None,
) -> PolicyNet:
    """Learn in a world.

    Args:
        world: what is learnt in.
        branches: number of picks of each decision.
        settings: how.
        seed: of weights, random picks and samples.
        of: what the policy is for; kept in its file.
        told: is told how many of the decisions were made.
    """
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # such small layers only wait for each other
    try:
        return _train(world, branches, settings, rng, of, told, seed)
    finally:
        torch.set_num_threads(threads)


def _train(
    world: World,
    branches: tuple[int, ...],
    settings: Settings,
    rng: np.random.Generator,
    of: str,
    told: Callable[[int, int], None],
    seed: int,
) -> PolicyNet:
    episode = 0
    state = world.reset(_seed(seed, episode))
    online, target = (make_net(len(state), settings.layers, sum(branches)) for _ in range(2))
    target.load_state_dict(online.state_dict())
    adam = torch.optim.Adam(online.parameters(), settings.rate)
    replay = Replay(settings.kept, len(state), len(branches))
    steps = 0
    for frame in range(settings.frames):
        curious = max(1 - frame / (settings.curious * settings.frames), 0.02)
        picked = _pick(online, state, branches, curious, rng)
        came = world.step(picked)
        replay.add(state, picked, came)
        state = came.state
        if came.over:
            episode += 1
            state = world.reset(_seed(seed, episode))
        adam.param_groups[0]['lr'] = settings.rate * (1 - 0.9 * frame / settings.frames)
        if replay.count >= 2 * settings.batch and frame % settings.every == 0:
            _learn(online, target, adam, replay.sample(rng, settings.batch), branches, settings)
            steps += 1
            if steps % settings.target == 0:
                target.load_state_dict(online.state_dict())
        if frame % 500 == 0:
            told(frame, settings.frames)
    return exported(online, branches, settings.frames, of)


def exported(net: nn.Sequential, branches: tuple[int, ...], frames: int, of: str = '') -> PolicyNet:
    """A network as a robot runs it."""
    linear = [part for part in net if isinstance(part, nn.Linear)]
    figures = linear[0].in_features
    return PolicyNet(
        [part.weight.detach().numpy().astype(np.float32) for part in linear],
        [part.bias.detach().numpy().astype(np.float32) for part in linear],
        branches,
        np.zeros(figures, np.float32),
        np.ones(figures, np.float32),
        frames,
        of,
    )


def _learn(
    online: nn.Sequential,
    target: nn.Sequential,
    adam: torch.optim.Optimizer,
    batch: tuple[torch.Tensor, ...],
    branches: tuple[int, ...],
    settings: Settings,
) -> None:
    states, picked, rewards, nexts = batch
    before, after, share, over = rewards.T
    with torch.no_grad():
        best = best_value(online(nexts), target(nexts), branches) * (1 - over)
        wanted = concurrent_target(before, after, share, best, settings.discount)
    loss = loss_of(online(states), picked, wanted, branches)
    adam.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(online.parameters(), 10.0)
    adam.step()


def _pick(
    net: nn.Sequential,
    state: Array,
    branches: Sequence[int],
    curious: float,
    rng: np.random.Generator,
) -> tuple[int, ...]:
    """The best pick of each branch, and now and then a random one."""
    with torch.no_grad():
        values = branch_values(net(torch.from_numpy(state)[None]), branches)
    return tuple(
        int(rng.integers(size)) if rng.random() < curious else int(part.argmax())
        for size, part in zip(branches, values, strict=True)
    )


def _seed(seed: int, episode: int) -> int:
    """Worlds of training; those that policies are compared on have small numbers."""
    return 1_000_000 * (seed + 1) + episode
