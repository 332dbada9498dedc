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

"""Train gates on the samples of a rollout, each with the state of the exits before it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from e4_ros.vision.nets.exit_gate import SLOTS, STATE, ExitGate
from e4_ros.vision.nets.in_distribution import fit_in_distribution, measure_reliability
from e4_ros.vision.nets.temporal_net import TemporalNet
from e4_ros.vision.training.gate_samples import GateSamples

_BATCH = 64


class GateTraining:
    """The gates of a cascade, learned together.

    Args:
        temporal: network whose pooling and gate are trained; None without one.
        temporal_notes: samples of its gate.
        gates: gates of the exits between stages, in order.
        notes: one for each of them.
        seed: seed of everything that is random.
    """

    def __init__(
        self,
        temporal: TemporalNet | None,
        temporal_notes: GateSamples | None,
        gates: Sequence[ExitGate],
        notes: Sequence[GateSamples],
        seed: int,
    ):
        self._temporal, self._temporal_notes = temporal, temporal_notes
        self._gates, self._notes = list(gates), list(notes)
        self._seed = seed
        self._every = [*([temporal_notes] if temporal_notes else []), *notes]
        self._tokens: list[Tensor] = []

    def train(
        self, epochs: int = 12, progress: Callable[[int, int], None] = lambda a, b: None
    ) -> None:
        """Fit all gates (AdamW, one cosine); the heads stay as they are."""
        generator = torch.Generator().manual_seed(self._seed)
        count = len(self._every[0].right)
        optimiser = torch.optim.AdamW(self._parameters(), 4e-3, weight_decay=0.02)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
        for epoch in range(epochs):
            self._remember()
            for rows in torch.randperm(count, generator=generator).split(_BATCH):
                loss = torch.stack(
                    [
                        F.binary_cross_entropy_with_logits(logits, self._wanted(notes, rows))
                        for logits, notes in zip(self._judge(rows), self._every, strict=True)
                    ]
                ).sum()
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
            schedule.step()
            progress(epoch + 1, epochs)

    @torch.no_grad()
    def right_shares(self) -> list[float]:
        """For each exit, the share of the rollout's frames that its gate judges right at 0.5."""
        self._remember()
        rows = torch.arange(len(self._every[0].right))
        judged = [self._judge(part) for part in rows.split(_BATCH)]
        logits = [torch.cat(parts) for parts in zip(*judged, strict=True)]
        return [
            float(((found > 0) == (self._wanted(notes, rows) > 0.5)).float().mean())
            for found, notes in zip(logits, self._every, strict=True)
        ]

    def _parameters(self) -> list[torch.nn.Parameter]:
        learnt: list[torch.nn.Module] = list(self._gates)
        if self._temporal is not None:
            learnt += [self._temporal.pool, self._temporal.gate]
        return [parameter for module in learnt for parameter in module.parameters()]

    def _judge(self, rows: Tensor) -> list[Tensor]:
        """Logits ``(B,)`` of every exit in turn, the state carried along."""
        picked = rows.tolist()
        state, logits = torch.zeros(len(picked), STATE), []
        if self._temporal is not None and self._temporal_notes is not None:
            features, described = _rows(self._temporal_notes, picked)
            logit, state = self._temporal.judge(features, described[:, :1], described[:, 1:])
            logits.append(logit[:, 0])
        for gate, notes, tokens in zip(self._gates, self._notes, self._tokens, strict=True):
            features, described = _rows(notes, picked)
            memory, filled = _past(notes, picked, tokens)
            judged = gate(features, described, memory, filled, state)
            logits.append(judged['gate'][:, 0])
            state = judged['state']
        return logits

    @torch.no_grad()
    def _remember(self) -> None:
        """The tokens of all frames, which memories are made of: those of the epoch before."""
        self._tokens = [
            torch.cat(
                [
                    gate.token(torch.stack(notes.features[i : i + _BATCH]).float())
                    for i in range(0, len(notes.features), _BATCH)
                ]
            )
            for gate, notes in zip(self._gates, self._notes, strict=True)
        ]

    @staticmethod
    def _wanted(notes: GateSamples, rows: Tensor) -> Tensor:
        return torch.tensor(notes.right)[rows]


def reliability_where_correct(temporal: TemporalNet | None, notes: GateSamples | None) -> None:
    """Measure the temporal exit's reliability by scene, on uncorrupted frames."""
    if temporal is not None and notes is not None:
        measure_reliability(temporal.in_distribution, *_clear(notes))


def fit_scenes(
    gate: ExitGate, learnt: Sequence[Tensor], held_out: Sequence[Tensor], notes: GateSamples
) -> None:
    """Tell a gate what its camera's scenes look like, and where its exit was right.

    Args:
        gate: changed in place.
        learnt: for each source ``(n, 2·C)`` statistics of its features, in order of time.
        held_out: likewise, of held-out frames.
        notes: samples of a gate rollout.
    """
    fit_in_distribution(gate.in_distribution, learnt, held_out)
    measure_reliability(gate.in_distribution, *_clear(notes))


def _clear(notes: GateSamples) -> tuple[Tensor, Tensor]:
    rows = [i for i, clear in enumerate(notes.clear) if clear]
    return torch.stack([notes.scene[i] for i in rows]), torch.tensor([notes.right[i] for i in rows])


def _rows(notes: GateSamples, rows: Sequence[int]) -> tuple[Tensor, Tensor]:
    features = torch.stack([notes.features[i] for i in rows]).float()
    return features, torch.stack([notes.described[i] for i in rows])


def _past(notes: GateSamples, rows: Sequence[int], tokens: Tensor) -> tuple[Tensor, Tensor]:
    memory, filled = torch.zeros(len(rows), SLOTS, tokens.shape[1]), torch.zeros(len(rows), SLOTS)
    for index, row in enumerate(rows):
        past = notes.past[row]
        memory[index, : len(past)] = tokens[past]
        filled[index, : len(past)] = 1
    return memory, filled
