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

# Measured on one EPYC core and taken as at 3.5 GHz: 12 µs for a frame that is not looked at;
# resizing and normalising one of 640x480 to 224x224; copying a window's state in and out.
_WINDOW_CYCLES = 40_000
_PREPARE_CYCLES = 1_500_000
_STATE_CYCLES = 250_000


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
        (0, 0, 0, _WINDOW_CYCLES),
        (backbone.macs, backbone.bytes_moved + image_bytes, backbone.layers, _PREPARE_CYCLES),
        (cost.macs, cost.bytes_moved, cost.layers, _STATE_CYCLES),
    )
    return [Segment(name, *row) for name, row in zip(SEGMENTS, rows, strict=True)]


def _step(model: ClipModel) -> ClipStep:
    assert isinstance(model.gate, CascadeGate), 'max pooling is trained for comparison, never kept'
    return ClipStep(model.net, model.gate)
