"""What a trained clip model needs at run time: two programs, and what they ask of a machine."""

from __future__ import annotations

import torch

from e4_ros.vision.clips.backbone import ClipBackbone
from e4_ros.vision.clips.checkpoint import ClipModel
from e4_ros.vision.clips.gates import CascadeGate
from e4_ros.vision.clips.step import OUTPUTS, ClipStep
from e4_ros.vision.export.node_costs import module_cost
from e4_ros.vision.export.onnx_export import ModuleProgram
from e4_ros.vision.inference.clip_engine import SEGMENTS
from e4_ros.vision.inference.compiled_network import Segment

# What is no layer: choosing the frames to look at, preparing one, moving a window's state.
_TASKS = ('clip_window', 'clip_prepare', 'clip_state')


def clip_programs(backbone: ClipBackbone, model: ClipModel) -> dict[str, ModuleProgram]:
    """The programs ``backbone`` and ``step`` of a `ClipEngine`.

    Args:
        backbone: the frozen network that the model learned from.
        model: trained.
    """
    step = _step(model)
    return {
        'backbone': backbone.program(),
        'step': ModuleProgram('step', step, step.inputs(backbone.early), OUTPUTS),
    }


def clip_segments(backbone: ClipBackbone, model: ClipModel) -> list[Segment]:
    """What each segment of a `ClipEngine` asks of a machine; arguments as for `clip_programs`."""
    step = _step(model)
    cost = module_cost(step, *map(torch.zeros, step.inputs(backbone.early).values()))
    image_bytes = 5 * 3 * backbone.model.input_size[0] * backbone.model.input_size[1]
    rows = (
        (0, 0, 0),
        (backbone.macs, backbone.bytes_moved + image_bytes, backbone.layers),
        (cost.macs, cost.bytes_moved, cost.layers),
    )
    named = zip(SEGMENTS, rows, _TASKS, strict=True)
    return [Segment(name, *row, host_task=task) for name, row, task in named]


def _step(model: ClipModel) -> ClipStep:
    assert isinstance(model.gate, CascadeGate), 'max pooling is trained for comparison, never kept'
    return ClipStep(model.net, model.gate)
