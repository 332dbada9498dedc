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

"""Learning governors are trained here: a gymnasium environment over a played board, and DQN on it.

Needs the extra ``learn`` (gymnasium, stable-baselines3); nothing else imports this module.

``ztt`` follows zTT (Kim et al., MobiSys 2021; ztt-21/zTT): a state of seven (its powers and
temperatures of CPU and GPU are the board's here, and how busy the two were takes their places),
nine actions (CPU and GPU clock down, same, up; the memory's stays at its top) and the reward
``min(1, fps / target) + temperature term + beta / power``. With the memory's clock, too, there are
27 actions and a state of nine. ``reliability`` stands for governors in the manner of Ring-DVFS, of
which no source is public: it pays for energy, missed deadlines, wear by heat (Arrhenius) and soft
errors, which grow as clocks and voltages fall (Zhu et al., ICCAD 2004).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

import gymnasium
import numpy as np
from stable_baselines3 import DQN

from e4_ros.evaluation.simulation.machine import Frame, Machine
from e4_ros.evaluation.simulation.playback import Timeline
from e4_ros.perception.controller import (
    BoardState,
    Decision,
    Observation,
    OperatingPoint,
    Wishes,
)
from e4_ros.perception.controllers.base import DepthOnly
from e4_ros.perception.controllers.context import Learnt, State
from e4_ros.perception.controllers.learned import actions, moved, state_of

Reward = Literal['ztt', 'reliability']
EPISODE_FRAMES = 100
PUBLISHED = ('cpu', 'gpu')
"""The domains whose clocks the papers' governors move."""


class Held(DepthOnly):
    """Begins at a point; the environment moves the clocks from there."""

    interval_s: float | None = math.inf

    def __init__(self, point: OperatingPoint) -> None:
        super().__init__(exits=True)  # frames are as deep as the workload has them
        self._point = point

    def decide(self, seen: Observation) -> Decision:
        """The point to begin with."""
        return Decision(point=self._point)


class ClockEnv(gymnasium.Env):
    """One step is one frame; the action moves the two clocks."""

    def __init__(
        self,
        machine: Machine,
        workload: Callable[[int], Sequence[Frame]],
        deadline_s: float,
        reward: Reward,
        domains: Sequence[str] = PUBLISHED,
    ) -> None:
        self.machine, self.workload, self.deadline_s = machine, workload, deadline_s
        self.reward = REWARDS[reward]
        self.scales = scales(machine, deadline_s, domains)
        table = machine.table
        self.tables = dict(zip(table.domains, table.axes_hz, strict=True))
        moves = self.scales.domains
        self.observation_space = gymnasium.spaces.Box(-1.0, 2.0, (2 * len(moves) + 3,), np.float32)
        self.action_space = gymnasium.spaces.Discrete(actions(moves))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[State, dict[str, Any]]:
        """A new stream at random clocks."""
        super().reset(seed=seed)
        names = self.scales.domains
        self.clocks = {n: int(self.np_random.integers(len(self.tables[n]))) for n in names}
        point = {name: self.tables[name][clock] for name, clock in self.clocks.items()}
        wishes = Wishes(deadline_s=self.deadline_s)
        self.timeline = Timeline(self.machine, Held(point), wishes)
        self.frames = list(self.workload(int(self.np_random.integers(2**31))))[::-1]
        return state_of(self.timeline.seen().board, 0.0, self.scales), {}

    def step(self, action: int) -> tuple[State, float, bool, bool, dict[str, Any]]:
        """Move the clocks, at the start of the next frame, and run it."""
        self.clocks = moved(self.tables, self.clocks, int(action), self.scales.domains)
        self.timeline.hold(tuple(self.clocks.get(name) for name in self.tables))
        self.timeline.restart_window()
        latency_s = self.timeline.run_frame(self.frames.pop())
        board = self.timeline.seen().board
        reward = self.reward(self.timeline, board, latency_s)
        seen = state_of(board, latency_s, self.scales)
        return seen, reward, False, not self.frames, {}


def scales(machine: Machine, deadline_s: float, domains: Sequence[str] = PUBLISHED) -> Learnt:
    """What the state of a machine is scaled by; the network is still to be trained."""
    power = machine.table.energy_j / machine.table.latency_s
    throttle_c = machine.board.thermal.throttle_c.value
    moves = tuple(name for name in domains if name in machine.table.domains)
    stay = actions(moves) // 2
    return Learnt(lambda _: stay, float(power[:, -1].max()), throttle_c, deadline_s, moves)


def train(
    machine: Machine,
    workload: Callable[[int], Sequence[Frame]],
    deadline_s: float,
    reward: Reward,
    frames: int,
    seed: int = 0,
    domains: Sequence[str] = PUBLISHED,
) -> Learnt:
    """Train on ``frames`` frames of the workload (called with a seed for every episode)."""
    known = scales(machine, deadline_s, domains)
    model = DQN(
        'MlpPolicy',
        ClockEnv(machine, workload, deadline_s, reward, known.domains),
        policy_kwargs={'net_arch': [32, 32]},
        learning_rate=1e-3,
        learning_starts=200,
        buffer_size=20_000,
        gamma=0.8,
        train_freq=1,
        target_update_interval=100,
        batch_size=64,
        exploration_fraction=0.4,
        seed=seed,
        device='cpu',
    )
    model.learn(frames)

    def predict(state: State) -> int:
        return int(model.predict(state, deterministic=True)[0])

    return replace(known, predict=predict)


def _ztt(timeline: Timeline, board: BoardState, latency_s: float) -> float:
    limit_c = timeline.machine.board.thermal.throttle_c.value
    rate = min(1.0, timeline.wishes.deadline_s / max(latency_s, 1e-9))
    cool = 0.2 * np.tanh(0.1 * (limit_c - timeline.temperature_c))
    heat = cool if timeline.temperature_c < limit_c else -2.0
    watts = board.power_w
    return float(rate + heat + timeline.machine.idle_w.min() / watts)


def _reliability(timeline: Timeline, board: BoardState, latency_s: float) -> float:
    tables = [(n, t) for n, t in board.tables.items() if n in PUBLISHED]
    slow = 1 - np.mean([t.index(board.point[n]) / max(len(t) - 1, 1) for n, t in tables])
    wear = 2 ** ((timeline.temperature_c - 60) / 10)  # Arrhenius: twice the wear for ten degrees
    energy = board.power_w / timeline.top_w
    missed = float(latency_s > timeline.wishes.deadline_s)
    return float(-energy - 2 * missed - 0.02 * wear - 0.01 * 10 ** (2 * slow) / 10)


REWARDS: dict[str, Callable[[Timeline, BoardState, float], float]] = {
    'ztt': _ztt,
    'reliability': _reliability,
}
