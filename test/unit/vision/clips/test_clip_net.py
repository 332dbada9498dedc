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

from __future__ import annotations

import pytest
import torch

from e4_ros.vision.clips.gates import make_gate, run_gate, stop_labels, train_gate
from e4_ros.vision.clips.net import ClipNet, NetSettings

_SWITCHES = [
    {},
    {'attend': False},
    {'memory': False},
    {'aggregation': 'max'},
]


def _settings(**switches) -> NetSettings:
    return NetSettings(deep_size=20, classes=3, frames=4, width=16, **switches)


def _clips(count: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    deep = torch.randn(count, 4, 20, generator=generator)
    return deep, torch.randn(count, 4, 4, 12, 12, generator=generator)


@pytest.mark.parametrize('switches', _SWITCHES)
def test_frame_by_frame_equals_all_at_once(switches):
    torch.manual_seed(0)
    settings = _settings(**switches)
    net, gate = ClipNet(settings).eval(), make_gate(settings).eval()
    deep, motion = _clips()
    with torch.no_grad():
        whole, states = net(deep, motion)
        scores = run_gate(gate, whole, states)
        state, memory, logits, seen = net.start(len(deep)), None, [], []
        for t in range(4):
            out, state = net.step(state, deep[:, t], motion[:, t])
            logits.append(out)
            seen.append(state)
            score, memory = gate.step(logits, seen, memory)
            torch.testing.assert_close(out, whole[:, t])
            torch.testing.assert_close(score, scores[:, t])


@pytest.mark.parametrize('switches', _SWITCHES)
def test_an_answer_knows_nothing_of_later_frames(switches):
    torch.manual_seed(0)
    net = ClipNet(_settings(**switches)).eval()
    deep, motion = _clips()
    changed = motion.clone()
    changed[:, 2:] = 0
    with torch.no_grad():
        a, b = net(deep, motion)[0], net(deep, changed)[0]
    torch.testing.assert_close(a[:, :2], b[:, :2])
    assert not torch.allclose(a[:, 2:], b[:, 2:])


def test_memory_is_looked_at():
    torch.manual_seed(0)
    net = ClipNet(_settings()).eval()
    deep, motion = _clips()
    with torch.no_grad():
        _, states = net(deep, motion)
        same = net(deep[:, :1].expand(-1, 4, -1), motion[:, :1].expand(-1, 4, -1, -1, -1))[1]
    assert (states[3].diversity > same[3].diversity + 1e-3).all()
    assert same[3].diversity.abs().max() < 1e-3, 'the same frame again is nothing new'


def test_one_clip_alone_trains():
    """No layer's statistics need more than one."""
    net = ClipNet(_settings()).train()
    deep, motion = _clips(1)
    net(deep, motion)[0].sum().backward()


def test_stop_labels_follow_frame_exits_rule():
    losses = torch.tensor([[0.016, 0.1, 0.04], [0.017, 0.02, 0.05]])
    assert stop_labels(losses, 0.01).tolist() == [[1, 0, 1], [0, 1, 0]]


@pytest.mark.parametrize('aggregation', ['recurrent', 'max'])
def test_a_gate_learns_to_stop_where_the_answer_is_right(aggregation):
    torch.manual_seed(0)
    settings = _settings(aggregation=aggregation)
    deep, motion = _clips(64)
    labels = torch.arange(64) % 3
    with torch.no_grad():
        _, states = ClipNet(settings).eval()(deep, motion)
    early = torch.arange(64) % 2 == 0  # half of the clips are clear from the second frame on
    logits = torch.zeros(64, 4, 3)
    for t in range(1, 4):
        clear = early if t < 3 else torch.ones(64, dtype=torch.bool)
        logits[clear, t] = 9 * torch.nn.functional.one_hot(labels, 3).float()[clear]
    for state, now in zip(states, logits.unbind(1), strict=True):
        state.gathered[:, :3] = now  # what the perceptron of FrameExit's gate sees
    gate = make_gate(settings)
    train_gate(gate, logits, states, labels, beta=0.01)
    with torch.no_grad():
        scores = run_gate(gate, logits, states).sigmoid()
    assert scores[early, 1].min() > 0.5
    assert scores[~early, 1].max() < 0.5
    assert scores[:, 0].max() < 0.5
    assert scores[:, 3].min() > 0.5
