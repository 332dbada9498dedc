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

"""Gates: whether, after a frame, the answer so far is good enough to stop.

A gate learns from pseudo-labels, FrameExit's rule: stop after frame t if the loss there is at most
β·exp(t/2). The tolerance grows, as what the next frame could still mend shrinks.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its usual name

from e4_ros.vision.clips.net import ClipState, NetSettings
from e4_ros.vision.nets.attention import Gate, class_statistics

_CONFIDENCE = 3
_STATE = 16


def stop_labels(losses: Tensor, beta: float) -> Tensor:
    """1 where a clip may stop: from the losses ``(N, T)`` after each of its frames."""
    steps = torch.arange(1, losses.shape[1] + 1, dtype=losses.dtype, device=losses.device)
    return (losses <= beta * torch.exp(steps / 2)).to(losses.dtype)


class CascadeGate(nn.Module):
    """E4's gate: what it made of the frames before goes into what it makes of this one.

    It sees the confidence of the answer (highest probability, margin, entropy, as in JEI-DNN), the
    diversity of the frame, how the answer changed, and the share of the clip that has passed.

    Args:
        settings: settings of the network that the gate judges.
    """

    def __init__(self, settings: NetSettings):
        super().__init__()
        self._frames = settings.frames
        self.state_size = _STATE
        self.gate = Gate(_CONFIDENCE + 3, _STATE)

    def step(
        self, logits: Sequence[Tensor], states: Sequence[ClipState], memory: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Logit ``(B,)`` after the last of the frames given, and what to remember."""
        now = logits[-1]
        before = logits[-2] if len(logits) > 1 else torch.zeros_like(now)
        if memory is None:
            memory = now.new_zeros(len(now), _STATE)
        state = states[-1]
        score, memory = self.judge(now, before, state.diversity, state.seen, memory)
        return score.squeeze(1), memory

    def judge(
        self, now: Tensor, before: Tensor, diversity: Tensor, seen: Tensor, memory: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Judge the answer after one frame.

        Args:
            now: class logits after this frame, ``(B, classes)``.
            before: logits after the previous frame; zeros at the first frame.
            diversity: diversity of this frame, ``(B, 1)``.
            seen: number of frames seen, this one included, ``(1, 1)``.
            memory: state after the previous frame, ``(B, S)``; zeros at the first.

        Returns:
            Logit ``(B, 1)`` of "good enough to stop" and what to remember, ``(B, S)``.
        """
        change = (now.softmax(1) - before.softmax(1)).abs().sum(1, keepdim=True) / 2
        passed = torch.zeros_like(change) + seen / self._frames
        found = torch.cat([class_statistics(now), diversity, change, passed], 1)
        return self.gate(found, memory)


class MaxPoolGate(nn.Module):
    """FrameExit's gate: a small perceptron for each step on what is gathered now and was before.

    Args:
        settings: settings of the network that the gate judges.
    """

    def __init__(self, settings: NetSettings):
        super().__init__()
        width = settings.width
        self.steps = nn.ModuleList(
            nn.Sequential(nn.Linear(2 * width, 32), nn.ReLU(), nn.Linear(32, 1))
            for _ in range(settings.frames)
        )

    def step(
        self, logits: Sequence[Tensor], states: Sequence[ClipState], memory: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """Logit ``(B,)`` after the last of the frames given; nothing else is remembered."""
        now = states[-1].gathered
        before = states[-2].gathered if len(states) > 1 else torch.zeros_like(now)
        return self.steps[len(states) - 1](torch.cat([now, before], 1)).squeeze(1), None


ClipGate = CascadeGate | MaxPoolGate


def make_gate(settings: NetSettings) -> ClipGate:
    """The gate that belongs to a network."""
    return CascadeGate(settings) if settings.aggregation == 'recurrent' else MaxPoolGate(settings)


def run_gate(gate: ClipGate, logits: Tensor, states: Sequence[ClipState]) -> Tensor:
    """Gate logits ``(B, T)`` for whole clips, from `ClipNet.forward`'s results."""
    each, memory, scores = list(logits.unbind(1)), None, []
    for index in range(len(each)):
        score, memory = gate.step(each[: index + 1], states[: index + 1], memory)
        scores.append(score)
    return torch.stack(scores, 1)


def train_gate(
    gate: ClipGate,
    logits: Tensor,
    states: Sequence[ClipState],
    labels: Tensor,
    beta: float,
    steps: int = 300,
) -> None:
    """Train a gate when to stop, on clips that its network was not trained on; in place.

    Args:
        gate: gate of a trained network.
        logits: logits of that network after each frame, ``(N, T, classes)``.
        states: likewise.
        labels: the clips' classes ``(N,)``.
        beta: exponent of FrameExit's rule.
        steps: number of Adam steps over all clips at once.
    """
    frames = logits.shape[1]
    losses = F.cross_entropy(
        logits.flatten(0, 1), labels.repeat_interleave(frames), reduction='none'
    )
    wanted = stop_labels(losses.view(-1, frames), beta)
    optimiser = torch.optim.AdamW(gate.parameters(), lr=1e-2, weight_decay=1e-2)
    gate.train()
    for _ in range(steps):
        optimiser.zero_grad()
        F.binary_cross_entropy_with_logits(run_gate(gate, logits, states), wanted).backward()
        optimiser.step()
    gate.eval()
