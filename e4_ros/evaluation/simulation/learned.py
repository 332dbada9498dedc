"""Learning governors as baselines: a gymnasium environment over a played board, and DQN on it.

Needs the extra ``reproduce`` (gymnasium, stable-baselines3); nothing else imports this module.

``ztt`` follows zTT (Kim et al., MobiSys 2021; ztt-21/zTT): a state of seven (its powers and
temperatures of CPU and GPU are the board's here, and how busy the two were takes their places),
nine actions (CPU and GPU clock down, same, up; the memory's stays at its top) and the reward
``min(1, fps / target) + temperature term + beta / power``. ``reliability`` stands for governors in
the manner of Ring-DVFS, of which no source is public: it pays for energy, missed deadlines, wear by
heat (Arrhenius) and soft errors, which grow as clocks and voltages fall (Zhu et al., ICCAD 2004).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import gymnasium
import numpy as np
from stable_baselines3 import DQN

from e4_ros.evaluation.simulation.machine import Frame, Machine
from e4_ros.evaluation.simulation.playback import Timeline
from e4_ros.evaluation.simulation.watch import Window
from e4_ros.profiling.planning.cost_table import Floats

Reward = Literal['ztt', 'reliability']
CLOCKS = 2  # CPU and GPU; the memory's stays at its top
EPISODE_FRAMES = 100


@dataclass
class Held:
    """A policy whose clocks somebody else sets; it remembers what the last frame looked like."""

    clocks: tuple[int, ...]
    interval_s: float = 3600.0

    def start(self, machine: Machine) -> tuple[int, ...]:
        """The clocks as they are."""
        return self.clocks

    def tick(self, window: Window) -> None:
        """Nothing at intervals."""

    def segment(self, index: int) -> tuple[int, ...] | None:
        """The clocks, at the start of a frame."""
        return self.clocks if index == 0 else None

    def frame_end(self, latency_s: float, deadline_s: float) -> None:
        """Somebody else decides."""


class ClockEnv(gymnasium.Env):
    """One step is one frame; the action moves the two clocks."""

    def __init__(
        self,
        machine: Machine,
        workload: Callable[[int], Sequence[Frame]],
        deadline_s: float,
        reward: Reward,
    ) -> None:
        self.machine, self.workload, self.deadline_s = machine, workload, deadline_s
        self.reward = REWARDS[reward]
        self.observation_space = gymnasium.spaces.Box(-1.0, 2.0, (7,), np.float32)
        self.action_space = gymnasium.spaces.Discrete(9)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Floats, dict[str, Any]]:
        """A new stream at random clocks."""
        super().reset(seed=seed)
        shape = self.machine.table.shape[:CLOCKS]
        self.held = Held(tuple(int(self.np_random.integers(n)) for n in shape))
        self.timeline = Timeline(self.machine, self.held, self.deadline_s)
        self.frames = list(self.workload(int(self.np_random.integers(2**31))))[::-1]
        return observe(self.timeline, self.timeline.window(), 0.0), {}

    def step(self, action: int) -> tuple[Floats, float, bool, bool, dict[str, Any]]:
        """Move the clocks and run the next frame."""
        self.held.clocks = moved(self.machine, self.held.clocks, int(action))
        self.timeline.restart_window()
        latency_s = self.timeline.run_frame(self.frames.pop())
        window = self.timeline.window()
        reward = self.reward(self.timeline, window, latency_s)
        seen = observe(self.timeline, window, latency_s)
        return seen, reward, False, not self.frames, {}


class Learned:
    """A trained network as a policy."""

    interval_s = 3600.0

    def __init__(self, model: DQN) -> None:
        self._model = model

    def start(self, machine: Machine) -> tuple[int, ...]:
        """From the top, as after boot."""
        self._machine, self._clocks = machine, machine.top()[:CLOCKS]
        return machine.top()

    def attach(self, timeline: Timeline) -> None:
        """Look at this timeline."""
        self._timeline = timeline

    def tick(self, window: Window) -> None:
        """Nothing at intervals."""

    def segment(self, index: int) -> None:
        """Decisions are made per frame."""

    def frame_end(self, latency_s: float, deadline_s: float) -> tuple[int, ...]:
        """Ask the network."""
        seen = observe(self._timeline, self._timeline.window(), latency_s)
        action, _ = self._model.predict(seen, deterministic=True)
        self._timeline.restart_window()
        self._clocks = moved(self._machine, self._clocks, int(action))
        return self._clocks


def train(
    machine: Machine,
    workload: Callable[[int], Sequence[Frame]],
    deadline_s: float,
    reward: Reward,
    frames: int,
    seed: int = 0,
) -> Learned:
    """Train on ``frames`` frames of the workload (called with a seed for every episode)."""
    model = DQN(
        'MlpPolicy',
        ClockEnv(machine, workload, deadline_s, reward),
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
    return Learned(model)


def moved(machine: Machine, clocks: tuple[int, ...], action: int) -> tuple[int, ...]:
    """Clocks after one of nine actions; a move spans an eighth of the table."""
    steps = (action // 3 - 1, action % 3 - 1)
    return tuple(
        int(np.clip(clock + step * max(size // 8, 1), 0, size - 1))
        for clock, step, size in zip(clocks, steps, machine.table.shape, strict=False)
    )


def observe(timeline: Timeline, window: Window, latency_s: float) -> Floats:
    """The seven numbers of the state, scaled to about 0 to 1."""
    machine = timeline.machine
    shape = machine.table.shape[:CLOCKS]
    clocks = [c / max(n - 1, 1) for c, n in zip(window.clocks, shape, strict=False)]
    busy = window.cycles / window.seconds
    hot = (timeline.temperature_c - 25) / (machine.board.thermal.throttle_c.value - 25)
    rate = min(latency_s / timeline.deadline_s, 2.0)
    power = window.energy_j / window.seconds / timeline.top_w
    return np.array([*clocks, power, busy[0], busy[1], hot, rate], np.float32)


def _ztt(timeline: Timeline, window: Window, latency_s: float) -> float:
    limit_c = timeline.machine.board.thermal.throttle_c.value
    rate = min(1.0, timeline.deadline_s / max(latency_s, 1e-9))
    cool = 0.2 * np.tanh(0.1 * (limit_c - timeline.temperature_c))
    heat = cool if timeline.temperature_c < limit_c else -2.0
    watts = window.energy_j / window.seconds
    return float(rate + heat + timeline.machine.idle_w.min() / watts)


def _reliability(timeline: Timeline, window: Window, latency_s: float) -> float:
    shape = timeline.machine.table.shape[:CLOCKS]
    slow = 1 - np.mean([c / max(n - 1, 1) for c, n in zip(window.clocks, shape, strict=False)])
    wear = 2 ** ((timeline.temperature_c - 60) / 10)  # Arrhenius: twice the wear for ten degrees
    energy = window.energy_j / window.seconds / timeline.top_w
    missed = float(latency_s > timeline.deadline_s)
    return float(-energy - 2 * missed - 0.02 * wear - 0.01 * 10 ** (2 * slow) / 10)


REWARDS: dict[str, Callable[[Timeline, Window, float], float]] = {
    'ztt': _ztt,
    'reliability': _reliability,
}
