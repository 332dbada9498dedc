"""A network compiled stage by stage, its exits between them, and what each segment of it costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from e4_ros.vision.exit_checkpoint import Exit
from e4_ros.vision.export.graph_split import split
from e4_ros.vision.export.onnx_export import stage_programs
from e4_ros.vision.inference.intermediate_exit import ExitStep
from e4_ros.vision.inference.learned_temporal_exit import LearnedTemporalExit
from e4_ros.vision.inference.temporal_exit import TemporalExit
from e4_ros.vision.model import VisionModel
from e4_ros.vision.runtime.interfaces import Buffer, Piece, Runtime
from e4_ros.vision.runtime.precision import FP32

# What the pedestrian detector's resizing and decoding took on one EPYC core (0.28 ms and 0.07 ms
# for a 768x576 frame), at an assumed 3.5 GHz.
_PREPARE_CYCLES = 1_000_000
_DECODE_CYCLES = 250_000


@dataclass(frozen=True)
class Segment:
    """A run of layers that shares one operating point.

    Attributes:
        name: unique within the engine.
        macs: multiply-accumulates for one frame.
        bytes_moved: bytes read and written for one frame.
        layers: operations that are started one by one.
        host_cycles: cycles of one core for what is no layer: resizing, tracks, boxes.
        device: device that the session of the segment runs on, as the runtime says it; ``cpu``
            where the segment has none.
    """

    name: str
    macs: int
    bytes_moved: int
    layers: int
    host_cycles: int
    device: str = 'cpu'


@dataclass(frozen=True)
class ChainStep:
    """A stage at run time, with the exit after it if it has one."""

    stage: Piece
    exit: ExitStep | None


@dataclass(frozen=True)
class Chain:
    """The whole network in stages.

    Attributes:
        input: where a prepared frame goes.
        steps: in order; the last has no exit, and its stage gives the network's own outputs.
        segments: first what runs before any stage, then one for each step.
    """

    input: Buffer
    steps: list[ChainStep]
    segments: list[Segment]


def compile_chain(
    model: VisionModel,
    exits: Sequence[Exit],
    temporal: TemporalExit,
    runtime: Runtime,
    temporal_asked: bool,
    precision: str = FP32,
) -> Chain:
    """Cut a network at its exits and compile the pieces onto joint buffers.

    Args:
        model: the network.
        exits: exits between stages, in order of depth.
        temporal: what looks at a frame before any stage.
        runtime: what runs the pieces.
        temporal_asked: whether it looks at all; if not, it costs nothing.
        precision: precision of the stages, one of `PRECISIONS`.

    Raises:
        StageError: the network cannot be traced, or not be cut where an exit needs it.
    """
    example = torch.zeros(1, 3, *model.input_size)
    stages = split(model.network, example, [e.cut for e in exits])
    programs = stage_programs(stages, tuple(example.shape), model.output_names, precision)
    entry = runtime.buffer(tuple(example.shape))
    steps: list[ChainStep] = []
    segments = [_prepare(example, temporal, temporal_asked)]
    boundary, carried = entry, temporal.state
    for index, stage in enumerate(stages):
        piece = runtime.compile(programs[index], {'x': boundary})
        boundary = next(iter(piece.outputs.values()))
        macs, bytes_moved, layers = stage.macs, stage.bytes_moved, stage.layers
        step = None
        if index < len(exits):
            step = ExitStep(exits[index], boundary, temporal, model, runtime, carried)
            carried = step.state or carried
            macs, layers = macs + step.cost.macs, layers + step.cost.layers
            bytes_moved += step.cost.bytes_moved
        steps.append(ChainStep(piece, step))
        decodes = step is not None or index == len(stages) - 1
        cycles = _DECODE_CYCLES if decodes else 0
        segments.append(Segment(stage.name, macs, bytes_moved, layers, cycles, piece.device))
    return Chain(entry, steps, segments)


def _prepare(example: torch.Tensor, temporal: TemporalExit, asked: bool) -> Segment:
    """Preparing moves the frame's pixels in and the network's input out; then somebody looks."""
    macs, bytes_moved, layers, device = 0, 5 * example.numel(), 0, 'cpu'
    if asked and isinstance(temporal, LearnedTemporalExit):
        macs, layers = temporal.macs, temporal.layers
        bytes_moved += temporal.bytes_moved
        device = temporal.device
    return Segment('prepare', macs, bytes_moved, layers, _PREPARE_CYCLES, device)
