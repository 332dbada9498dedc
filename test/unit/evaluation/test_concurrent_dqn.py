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

"""The concurrent Bellman operator: its ends, a step by hand, and what plain DQN cannot learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip('torch')

from e4_ros.evaluation.simulation.concurrent_dqn import (  # noqa: E402
    Settings,
    Transition,
    best_value,
    concurrent_target,
    exported,
    loss_of,
    make_net,
    train,
)
from e4_ros.perception.controllers.policy_net import PolicyNet  # noqa: E402


def tensors(*rows):
    return [torch.tensor(row, dtype=torch.float64) for row in rows]


def test_a_decision_that_holds_at_once_is_worth_what_the_plain_operator_says():
    before, after, best = tensors([0.0, 0.0], [1.0, -2.0], [3.0, 0.5])
    wanted = concurrent_target(before, after, torch.zeros(2), best, 0.9)
    assert wanted.tolist() == pytest.approx([1 + 0.9 * 3, -2 + 0.9 * 0.5])
    nearly = concurrent_target(before, after, torch.full((2,), 1e-9), best, 0.9)
    assert nearly.tolist() == pytest.approx(wanted.tolist())


def test_one_that_holds_when_the_next_is_made_is_worth_what_the_paper_says():
    before, after, best = tensors([1.0, -2.0], [0.0, 0.0], [3.0, 0.5])
    for share in (1.0, 2.0):  # r(s, a before) + discount ** (t_AS / H) * max Q
        wanted = concurrent_target(before, after, torch.full((2,), share), best, 0.9)
        assert wanted.tolist() == pytest.approx([1 + 0.9**share * 3, -2 + 0.9**share * 0.5])


def test_in_between_the_whole_discount_is_that_of_one_decision():
    before, after, best = tensors([0.3], [0.5], [2.0])
    wanted = concurrent_target(before, after, torch.tensor([0.25]), best, 0.8)
    assert wanted.item() == pytest.approx(0.3 + 0.8**0.25 * 0.5 + 0.8 * 2.0)


def test_the_best_next_is_the_targets_word_on_the_networks_picks_over_branches():
    online = torch.tensor([[1.0, 5.0, 0.0, 2.0, 9.0]])  # picks 1 of two, and 2 of three
    target = torch.tensor([[7.0, 0.5, 8.0, 8.0, 1.5]])
    assert best_value(online, target, (2, 3)).item() == pytest.approx((0.5 + 1.5) / 2)


def test_a_step_of_learning_by_hand():
    """One linear layer, two branches of two: the gradient is 2 (Q - y) x / (B D) where picked."""
    net = make_net(2, (), 4)
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 0.0], [0.0, 2.0]]))
        net[0].bias.zero_()
    x, picked, wanted = torch.tensor([[3.0, 5.0]]), torch.tensor([[1, 0]]), torch.tensor([4.0])
    loss = loss_of(net(x), picked, wanted, (2, 2))
    assert loss.item() == pytest.approx(((5 - 4) ** 2 + (6 - 4) ** 2) / 2)  # Q = 3, 5 | 6, 10
    loss.backward()
    expected = np.zeros((4, 2))
    expected[1] = 2 * (5 - 4) * np.array([3, 5]) / 2
    expected[2] = 2 * (6 - 4) * np.array([3, 5]) / 2
    assert net[0].weight.grad.numpy() == pytest.approx(expected)


def test_nothing_is_learnt_through_the_target():
    wanted = torch.tensor([1.0], requires_grad=True)
    values = torch.zeros((1, 2), requires_grad=True)
    loss_of(values, torch.tensor([[0]]), wanted, (2,)).backward()
    assert wanted.grad is None
    assert values.grad[0].tolist() == [-2.0, 0.0]


class Delayed:
    """A light goes round three places; a decision holds one step later, and should be its place.

    Args:
        sees: whether a state contains the decision that holds next.
    """

    def __init__(self, sees: bool) -> None:
        self._sees = sees

    def reset(self, seed: int) -> np.ndarray:
        self._rng, self._steps = np.random.default_rng(seed), 0
        self._light, self._holds = int(self._rng.integers(3)), int(self._rng.integers(3))
        return self._state()

    def step(self, picked: tuple[int, ...]) -> Transition:
        reward = float(self._holds == self._light)
        self._holds = picked[0]
        self._light = (self._light + 1 + int(self._rng.random() < 0.1)) % 3
        self._steps += 1
        return Transition(reward, 0.0, 1.0, self._state(), self._steps >= 50)

    def _state(self) -> np.ndarray:
        light, holds = np.eye(3, dtype=np.float32)[[self._light, self._holds]]
        return np.concatenate([light, holds * self._sees])


def score(net: PolicyNet, sees: bool) -> float:
    """Share of steps in which the decision that held was right; 0.9 is the most."""
    world, found = Delayed(sees), []
    for seed in range(20):
        state, over = world.reset(seed), False
        while not over:
            came = world.step(net.choose(state))
            state, over = came.state, came.over
            found.append(came.before)
    return float(np.mean(found))


def test_decisions_that_hold_late_are_learnt_where_the_state_says_what_holds():
    """Plain DQN, whose state lacks the decision before, sees rewards that are not of its picks."""
    settings = Settings(layers=(16,), frames=900, batch=32, every=1, target=25, rate=1e-2)
    concurrent = train(Delayed(True), (3,), settings)
    plain = train(Delayed(False), (3,), settings)
    assert score(concurrent, True) > 0.85
    assert score(plain, False) < 0.7


def test_the_same_seed_learns_the_same():
    settings = Settings(layers=(8,), frames=300, batch=16)
    one, same = (train(Delayed(True), (3,), settings, seed=5, of='here') for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(one.weights, same.weights, strict=True))
    assert one.of == 'here'
    assert one.frames == 300


def test_a_robot_computes_what_torch_does(tmp_path: Path):
    net = make_net(4, (8, 6), 5)
    exported(net, (2, 3), 7, 'here').save(tmp_path / 'net.npz')
    policy, state = PolicyNet.load(tmp_path / 'net.npz'), np.array([0.1, -1, 2, 0.5], np.float32)
    with torch.no_grad():
        wanted = net(torch.from_numpy(state)[None])[0].numpy()
    assert np.concatenate(policy.values(state)) == pytest.approx(wanted, abs=1e-5)
    assert (policy.branches, policy.frames, policy.of) == ((2, 3), 7, 'here')
