"""A network of the zoo and its fitted exits, put together from torch modules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import nn

from e4_ros.vision.exit_checkpoint import Checkpoint, Exit, network_hash
from e4_ros.vision.export.graph_split import split
from e4_ros.vision.export.node_costs import module_cost
from e4_ros.vision.export.onnx_export import ModuleProgram, stage_programs
from e4_ros.vision.inference.exit_thresholds import TEMPORAL
from e4_ros.vision.models.trainable import TrainableModel
from e4_ros.vision.nets.exit_gate import SLOTS, STATE
from e4_ros.vision.nets.heads import Answering, AnsweringAndJudging
from e4_ros.vision.nets.temporal_net import TemporalAtRunTime, TemporalNet
from e4_ros.vision.staged_network import Part, StagedNetwork, Work

_HELD = 0.75  # threshold of a classifier's last answer, which is held where nothing was fitted


def assemble(model: TrainableModel, checkpoint: Checkpoint | None = None) -> StagedNetwork:
    """A network in stages, with fitted exits or without any.

    Its programs hold their torch modules and are written as ONNX when ONNX Runtime asks for them,
    so that every runtime can run it.

    Args:
        model: the network.
        checkpoint: fitted exits; None without any.

    Raises:
        StageError: the network cannot be traced, or not be cut where an exit needs it.
    """
    weights = network_hash(model.network)
    if checkpoint is None:
        held = {TEMPORAL: _HELD} if model.task == 'classify' else {}
        return StagedNetwork(model, stages_of(model), thresholds=held, weights=weights)
    notes, stages = checkpoint.notes, stages_of(model, [e.cut for e in checkpoint.exits])
    shapes = [stage.program.inputs['x'] for stage in stages[1:]]
    temporal = checkpoint.temporal
    return StagedNetwork(
        model,
        stages,
        [exit_part(e, shape) for e, shape in zip(checkpoint.exits, shapes, strict=True)],
        None if temporal is None else temporal_part(temporal),
        checkpoint.thresholds,
        {name: found['bound'] for name, found in notes.get('audit', {}).items()},
        notes.get('confidence', 0.95),
        notes.get('rates'),
        weights,
    )


def stages_of(model: TrainableModel, cuts: Sequence[str] = ()) -> list[Part]:
    """A network's stages as programs.

    Args:
        model: the network.
        cuts: names of the traced nodes after which it is cut, in order of execution.

    Raises:
        StageError: the network cannot be traced, or not be cut there.
    """
    shape = (1, 3, *model.input_size)
    stages = split(model.network, torch.zeros(shape), cuts)
    programs = stage_programs(stages, shape, model.output_names)
    return [
        Part(program, Work(stage.macs, stage.bytes_moved, stage.layers))
        for program, stage in zip(programs, stages, strict=True)
    ]


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
