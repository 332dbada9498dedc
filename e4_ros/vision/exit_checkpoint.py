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

"""What fitting leaves behind: exits for one network, in one safetensors file."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save
from torch import nn

from e4_ros.vision.inference.exit_thresholds import TEMPORAL
from e4_ros.vision.nets.exit_gate import ExitGate
from e4_ros.vision.nets.heads import ClassHead, GridHead, Head
from e4_ros.vision.nets.temporal_net import TemporalNet
from e4_ros.vision.networks.trainable import TrainableModel

_FORMAT = 'e4_ros.exits/4'
_HEADS: dict[str, type[Head]] = {'detect': GridHead, 'classify': ClassHead}


class CheckpointError(ValueError):
    """A checkpoint cannot be read, or belongs to another network."""


@dataclass
class Exit:
    """An exit between two stages.

    Attributes:
        name: unique; neither ``temporal`` nor ``full``.
        cut: name of the traced node after which the network is cut.
        head: `GridHead` or `ClassHead` in eval mode.
        gate: likewise; None for an exit that scores by how sure its answer is of itself.
    """

    name: str
    cut: str
    head: Head
    gate: ExitGate | None = None


@dataclass
class Checkpoint:
    """Exits of a network and the thresholds of their gates.

    Attributes:
        model: the network's name in the zoo.
        network: hash of its weights, as `Network.fingerprint`.
        exits: exits in order of depth; may be empty.
        temporal: the temporal exit's network; None without one.
        thresholds: gate threshold by exit name, ``temporal`` included.
        notes: whatever says where it comes from.
    """

    model: str
    network: str
    exits: list[Exit] = field(default_factory=list)
    temporal: TemporalNet | None = None
    thresholds: dict[str, float] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write the file whole or not at all."""
        scratch = path.with_name(f'.{path.name}.{os.getpid()}')
        scratch.write_bytes(self.to_bytes())
        scratch.replace(path)

    def to_bytes(self) -> bytes:
        """The content of a file of it."""
        about = {
            'model': self.model,
            'network': self.network,
            'exits': [_about(e) for e in self.exits],
            'temporal': self.temporal.settings if self.temporal else None,
            'thresholds': self.thresholds,
            'notes': self.notes,
        }
        nets: dict[str, nn.Module] = {e.name: e.head for e in self.exits}
        nets |= {f'{e.name}_gate': e.gate for e in self.exits if e.gate is not None}
        if self.temporal is not None:
            nets[TEMPORAL] = self.temporal
        tensors = {
            f'{name}.{key}': value.contiguous()
            for name, net in nets.items()
            for key, value in net.state_dict().items()
        }
        return save(tensors, {'format': _FORMAT, 'about': json.dumps(about)})


def load(path: Path, model: TrainableModel) -> Checkpoint:
    """Read a checkpoint made for exactly this network.

    Raises:
        CheckpointError: the file is missing, damaged, of another kind, or for other weights.
    """
    try:
        return load_bytes(path.read_bytes(), str(path), model)
    except OSError as error:
        raise CheckpointError(f'{path} cannot be read as a checkpoint: {error}') from error


def load_bytes(content: bytes, path: str, model: TrainableModel) -> Checkpoint:
    """Take a checkpoint from a file's content; see `load`.

    Args:
        content: content of the file.
        path: path of the file, for error messages.
        model: the network that it must have been made for.
    """
    try:
        tensors = load_tensors(content)
        metadata = json.loads(content[8 : 8 + int.from_bytes(content[:8], 'little')])
        metadata = metadata.get('__metadata__', {})
    except (SafetensorError, ValueError) as error:
        raise CheckpointError(f'{path} cannot be read as a checkpoint: {error}') from error
    if metadata.get('format') != _FORMAT:
        raise CheckpointError(
            f'{path} holds no exits of this version of e4_ros ({_FORMAT}); make them with `e4 fit`'
        )
    try:
        about = json.loads(metadata['about'])
        exits = [_exit(entry, tensors) for entry in about.pop('exits')]
        settings = about.pop('temporal')
        temporal = None if settings is None else TemporalNet(**settings)
        if temporal is not None:
            _fill(temporal, TEMPORAL, tensors)
        checkpoint = Checkpoint(exits=exits, temporal=temporal, **about)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f'{path} is damaged: {error}') from error
    _check_owner(checkpoint, model, path)
    return checkpoint


def _about(found: Exit) -> dict[str, Any]:
    return {
        'name': found.name,
        'cut': found.cut,
        'task': found.head.task,
        'settings': found.head.settings,
        'gate': found.gate.settings if found.gate is not None else None,
    }


def _exit(entry: dict[str, Any], tensors: dict[str, Any]) -> Exit:
    head: Head = _HEADS[entry['task']](**entry['settings'])
    _fill(head, entry['name'], tensors)
    gate = None
    if entry.get('gate') is not None:
        gate = ExitGate(**entry['gate'])
        _fill(gate, f'{entry["name"]}_gate', tensors)
    return Exit(entry['name'], entry['cut'], head, gate)


def _fill(net: nn.Module, name: str, tensors: dict[str, Any]) -> None:
    prefix = f'{name}.'
    own = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    net.load_state_dict(own)
    net.eval().requires_grad_(False)


def _check_owner(checkpoint: Checkpoint, model: TrainableModel, path: str) -> None:
    if checkpoint.model != model.name:
        raise CheckpointError(f'{path} was fitted for {checkpoint.model!r}, not {model.name!r}')
    tasks = {e.head.task for e in checkpoint.exits}
    if tasks - {model.task}:
        raise CheckpointError(
            f'{path} holds heads to {tasks}, but {model.name!r} is to {model.task}'
        )
    if checkpoint.network != model.network.fingerprint:
        raise CheckpointError(
            f'{path} was fitted for other weights of {model.name!r}; fit it again with `e4 fit`'
        )
