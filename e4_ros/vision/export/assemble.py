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

"""A network and its fitted exits, put together."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from e4_ros.vision.exit_checkpoint import Checkpoint, Exit
from e4_ros.vision.inference.exit_thresholds import TEMPORAL
from e4_ros.vision.nets.exit_gate import SLOTS, STATE
from e4_ros.vision.nets.heads import Answering, AnsweringAndJudging
from e4_ros.vision.nets.temporal_net import TemporalAtRunTime, TemporalNet
from e4_ros.vision.networks.torch_costs import module_cost
from e4_ros.vision.networks.torch_export import ModuleProgram
from e4_ros.vision.networks.trainable import TrainableModel
from e4_ros.vision.staged_network import Part, StagedNetwork, Work


def assemble(model: TrainableModel, checkpoint: Checkpoint | None = None) -> StagedNetwork:
    """A network in stages, with fitted exits or without any.

    The exits' programs, and those of a torch network, hold their torch modules and are written as
    ONNX when ONNX Runtime asks for them, so that every runtime can run them.

    Args:
        model: the network.
        checkpoint: fitted exits; None without any.

    Raises:
        StageError: the network cannot be read, or not be cut where an exit needs it.
    """
    if checkpoint is None:
        return model.staged()
    network = model.network
    notes, cuts = checkpoint.notes, [fitted.cut for fitted in checkpoint.exits]
    stages, shapes = network.stages(cuts), {cut.node: cut.shape for cut in network.cuts()}
    temporal = checkpoint.temporal
    return StagedNetwork(
        model,
        stages,
        [exit_part(fitted, shapes[fitted.cut]) for fitted in checkpoint.exits],
        None if temporal is None else temporal_part(temporal),
        checkpoint.thresholds,
        {name: found['bound'] for name, found in notes.get('audit', {}).items()},
        notes.get('confidence', 0.95),
        notes.get('rates'),
        network.fingerprint,
    )


def exit_part(fitted: Exit, shape: tuple[int, ...]) -> Part:
    """Head and gate of an exit as one program.

    Args:
        fitted: the fitted exit.
        shape: shape of the tensor that it reads.
    """
    inputs = {'features': shape}
    if fitted.gate is None:
        module: Answering | AnsweringAndJudging = Answering(fitted.head).eval()
    else:
        module = AnsweringAndJudging(fitted.head, fitted.gate).eval()
        inputs |= {
            'memory': (1, SLOTS, fitted.gate.channels),
            'filled': (1, SLOTS),
            'state': (1, STATE),
        }
    part = _part(fitted.name, module, inputs, module.output_names)
    return replace(part, classes=Answering(fitted.head).classes)


def temporal_part(net: TemporalNet, debug: bool = False) -> Part:
    """The temporal exit's network as a program.

    Args:
        net: the network, in eval mode.
        debug: whether it also gives what its gate is told; see `TemporalAtRunTime`.
    """
    module = TemporalAtRunTime(net, debug).eval()
    part = _part(TEMPORAL, module, module.input_shapes, module.output_names)
    return replace(part, classes=net.classes)


def _part(
    name: str, module: nn.Module, inputs: dict[str, tuple[int, ...]], outputs: tuple[str, ...]
) -> Part:
    cost = module_cost(module, *map(torch.zeros, inputs.values()))
    work = Work(cost.macs, cost.bytes_moved, cost.layers)
    return Part(ModuleProgram(name, module, inputs, outputs), work)
