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

"""Train clip mode: the network over the frames, then its gate, then its threshold."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its usual name
from torch.utils.data import DataLoader, Dataset, DistributedSampler, Subset

from e4_ros.vision.clips.distributed import Group
from e4_ros.vision.clips.features import FeatureSet
from e4_ros.vision.clips.gates import ClipGate, make_gate, run_gate, train_gate
from e4_ros.vision.clips.net import ClipNet, ClipState, NetSettings

_SHIFT = 3  # cells that motion maps are moved by, at most, as augmentation


class TrainError(ValueError):
    """Training cannot begin or go on; says why."""


@dataclass(frozen=True)
class TrainSettings:
    """What can be turned.

    Attributes:
        epochs: passes over the clips.
        batch: clips in a step, over all processes.
        rate: the highest learning rate.
        seed: seed of everything that is random.
        held_out: share of the training clips that only the gate learns from.
        beta: exponent of FrameExit's rule.
    """

    epochs: int = 20
    batch: int = 32
    rate: float = 2e-3
    seed: int = 0
    held_out: float = 0.2
    beta: float = 0.01


@dataclass(frozen=True)
class Traces:
    """What a trained network and its gate say after each frame of some clips.

    Attributes:
        probabilities: ``(N, T, classes)``.
        scores: gate scores after each frame, 0 to 1, ``(N, T)``.
        labels: ``(N,)``.
    """

    probabilities: np.ndarray
    scores: np.ndarray
    labels: np.ndarray


Progress = Callable[[str, int, int, float], None]


def train(
    net_settings: NetSettings,
    settings: TrainSettings,
    clips: FeatureSet,
    work: Path,
    group: Group,
    progress: Progress = lambda phase, done, total, loss: None,
) -> tuple[ClipNet, ClipGate, Traces]:
    """Train a network and its gate; goes on where an interrupted training with `work` stopped.

    Args:
        net_settings: the network's shape.
        settings: settings of the training.
        clips: training clips.
        work: folder for what is needed to go on.
        group: the processes that work together.
        progress: function that receives the phase, the steps done, their number, and the loss.

    Returns:
        The network, its gate, and what both say of the held-out clips; the same in every process.

    Raises:
        TrainError: there are too few clips to hold some out.
    """
    learn, held = _split(len(clips), settings)
    kept = work / f'{_digest(net_settings, settings, clips, group)}.pt'
    net = _train_net(net_settings, settings, Subset(clips, learn), kept, group, progress)
    logits, states, labels = look_at(net, Subset(clips, held))
    torch.manual_seed(settings.seed)
    gate = make_gate(net_settings)
    train_gate(gate, logits, states, labels, settings.beta)
    return net, gate, traces(gate, logits, states, labels)


def look_at(net: ClipNet, clips: Dataset[Any]) -> tuple[Tensor, list[ClipState], Tensor]:
    """Logits, states and labels of clips, in their order."""
    parts, device = [], next(net.parameters()).device
    net.eval()
    with torch.no_grad():
        for deep, motion, labels in DataLoader(clips, batch_size=64):
            logits, states = net(deep.to(device), motion.to(device))
            parts.append((logits.cpu(), [_slim(state) for state in states], labels))
    logits = torch.cat([part[0] for part in parts])
    states = [_joined([part[1][t] for part in parts]) for t in range(logits.shape[1])]
    return logits, states, torch.cat([part[2] for part in parts])


def traces(gate: ClipGate, logits: Tensor, states: list[ClipState], labels: Tensor) -> Traces:
    """What the gate says of clips that the network has looked at."""
    with torch.no_grad():
        scores = torch.sigmoid(run_gate(gate, logits, states))
    return Traces(logits.softmax(2).numpy(), scores.numpy(), labels.numpy())


def _train_net(
    shape: NetSettings,
    settings: TrainSettings,
    clips: Dataset[Any],
    kept: Path,
    group: Group,
    progress: Progress,
) -> ClipNet:
    torch.manual_seed(settings.seed)
    net = ClipNet(shape).to(group.device)
    parallel = group.parallel(net)
    share = max(settings.batch // group.size, 1)
    sampler: DistributedSampler[Any] = DistributedSampler(
        clips, group.size, group.rank, seed=settings.seed
    )
    loader = DataLoader(clips, share, sampler=sampler)
    optimiser = torch.optim.AdamW(net.parameters(), lr=settings.rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, settings.rate, epochs=settings.epochs, steps_per_epoch=len(loader)
    )
    parts = {'net': net, 'optimiser': optimiser, 'schedule': schedule}
    name = f'{shape.aggregation} network'
    for epoch in range(_resume(kept, parts), settings.epochs):
        torch.manual_seed(settings.seed + (epoch * group.size + group.rank + 1) * 100_003)
        sampler.set_epoch(epoch)
        loss = _epoch(parallel, loader, optimiser, schedule, group)
        if group.is_first:
            _keep(kept, parts, epoch + 1)
        progress(name, epoch + 1, settings.epochs, loss)
    group.wait()
    return net.cpu().eval()


def _epoch(
    net: nn.Module, loader: DataLoader[Any], optimiser: Any, schedule: Any, group: Group
) -> float:
    """One pass; returns the mean loss of this process's clips."""
    net.train()
    total = 0.0
    for deep, motion, labels in loader:
        deep, motion, labels = (x.to(group.device) for x in (deep, motion, labels))
        logits, _ = net(deep, _moved(motion))
        frames = logits.shape[1]
        # Smoothed labels would keep the loss above what FrameExit's rule asks of the gate.
        loss = F.cross_entropy(logits.flatten(0, 1), labels.repeat_interleave(frames))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        total += loss.item()
    return total / len(loader)


def _moved(motion: Tensor) -> Tensor:
    """Motion maps moved by a few cells: what moves can do so anywhere."""
    dy, dx = (int(i) for i in torch.randint(-_SHIFT, _SHIFT + 1, (2,)))
    return motion.roll((dy, dx), (3, 4))


def _split(count: int, settings: TrainSettings) -> tuple[list[int], list[int]]:
    held = round(count * settings.held_out)
    if held < 2 or count - held < 2:
        raise TrainError(f'{count} training clips are too few to hold some out for the gate')
    order = np.random.default_rng(settings.seed).permutation(count).tolist()
    return sorted(order[held:]), sorted(order[:held])


def _digest(shape: NetSettings, settings: TrainSettings, clips: FeatureSet, group: Group) -> str:
    """Identity of a training: one with other settings or clips is not resumed."""
    parts = [shape.as_dict(), asdict(settings), clips.key, group.size]
    text = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _keep(path: Path, parts: dict[str, Any], epoch: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix('.part')
    torch.save({'epoch': epoch, **{k: v.state_dict() for k, v in parts.items()}}, part)
    part.replace(path)


def _resume(path: Path, parts: dict[str, Any]) -> int:
    """The epoch to go on with; every process reads what the first one kept."""
    if not path.is_file():
        return 0
    kept = torch.load(path, weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(kept[name])
    return kept['epoch']


def _slim(state: ClipState) -> ClipState:
    """Without the tokens, which no gate needs."""
    return ClipState(
        state.seen.cpu(), state.gathered.cpu(), state.tokens[:, :0].cpu(), state.diversity.cpu()
    )


def _joined(states: list[ClipState]) -> ClipState:
    return ClipState(
        states[0].seen,
        torch.cat([state.gathered for state in states]),
        torch.cat([state.tokens for state in states]),
        torch.cat([state.diversity for state in states]),
    )
