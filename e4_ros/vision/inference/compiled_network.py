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

"""A network compiled stage by stage, its exits between them, and what each segment of it costs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from e4_ros.vision.inference.intermediate_exit import ExitStep
from e4_ros.vision.inference.stage_chain import Boundaries, first_output
from e4_ros.vision.inference.temporal_exit import TemporalExit
from e4_ros.vision.runtime.interfaces import Buffer, CompiledProgram, Runtime
from e4_ros.vision.staged_network import StagedNetwork, Work

#: What a segment does on the host besides its layers.
TRACK, PREPARE, DECODE = 'track', 'prepare', 'decode'


@dataclass(frozen=True)
class Segment:
    """A run of layers that shares one operating point.

    Attributes:
        name: unique within the engine.
        macs: multiply-accumulates for one frame.
        bytes_moved: bytes read and written for one frame.
        layers: operations that are started one by one.
        host_task: what is done on the host and is no layer: ``track`` (optical flow), ``prepare``
            (resizing), ``decode`` (boxes), clip mode's tasks, or nothing.
        device: device that the session of the segment runs on, as the runtime says it; ``cpu``
            where the segment has none.
        host_values: values of the tensors that the host task makes (preparing) or reads (decoding).
    """

    name: str
    macs: int
    bytes_moved: int
    layers: int
    host_task: str = ''
    device: str = 'cpu'
    host_values: int = 0


TRACK_SEGMENT = Segment('track', 0, 0, 0, TRACK)
"""Following the tracks, before anything of the network runs."""


@dataclass(frozen=True)
class CompiledStage:
    """A compiled stage, with the exit after it if it has one.

    Attributes:
        cut: name of the tensor that it leaves behind, which is the name of the cut after it.
    """

    stage: CompiledProgram
    exit: ExitStep | None
    cut: str = ''


@dataclass(frozen=True)
class CompiledNetwork:
    """The whole network in stages.

    Attributes:
        input: buffer of the preprocessed frame.
        steps: stages in order; the last has no exit, and gives the network's own outputs.
        crossing: for each stage what all those behind it read, by the tensor's name.
    """

    input: Buffer
    steps: Sequence[CompiledStage]
    crossing: Sequence[Mapping[str, Buffer]] = ()


def compile_network(
    network: StagedNetwork, temporal: TemporalExit | None, runtime: Runtime
) -> CompiledNetwork:
    """Compile a network's stages and exits onto shared boundary buffers.

    Args:
        network: the network in stages.
        temporal: temporal exit, evaluated before any stage; None where there is none.
        runtime: runtime of the stages and exits.
    """
    entry = runtime.buffer(tuple(network.stages[0].program.inputs['x']))
    between, carried = Boundaries(entry), None if temporal is None else temporal.state
    steps: list[CompiledStage] = []
    exits, reads = network.exit_behind, []
    for index, part in enumerate(network.stages):
        reads.append(between.inputs(part.program))
        compiled = between.compile(part.program, runtime)
        found, behind = None, exits.get(index)
        if behind is not None:
            features = first_output(compiled)
            found = ExitStep(behind, features, temporal, network.model, runtime, carried)
            carried = found.state or carried
        steps.append(CompiledStage(compiled, found, part.program.outputs[0]))
    return CompiledNetwork(entry, steps, _crossing(network, reads))


def _crossing(
    network: StagedNetwork, reads: Sequence[Mapping[str, Buffer]]
) -> list[dict[str, Buffer]]:
    """For each stage what all stages behind it read, by name: what a tail elsewhere needs."""
    needed: dict[str, Buffer] = {}
    crossing = []
    for part, read in zip(reversed(network.stages), reversed(reads), strict=True):
        crossing.append(needed)
        made = set(part.program.outputs)
        needed = {name: buffer for name, buffer in needed.items() if name not in made} | dict(read)
    return crossing[::-1]


def segments_of(
    network: StagedNetwork, chain: CompiledNetwork, asked: TemporalExit | None
) -> list[Segment]:
    """What each segment asks of the machine: first what runs before any stage, then each stage.

    Args:
        network: the network in stages.
        chain: the same, compiled.
        asked: the temporal exit; None where it is not asked, and costs nothing.
    """
    # Preparing moves the frame's pixels in (uint8) and the network's input out (float32).
    values = math.prod(network.stages[0].program.inputs['x'])
    work, device = Work(0, 5 * values, 0), 'cpu'
    if asked is not None:
        work, device = work + asked.cost, asked.device
    segments = [_segment('prepare', work, PREPARE, device, values)]
    last, exits = len(network.stages) - 1, network.exit_behind
    for index, (part, step) in enumerate(zip(network.stages, chain.steps, strict=True)):
        work = part.work
        read = list(step.stage.outputs.values()) if index == last else []
        if step.exit is not None:
            work, read = work + exits[index].work, step.exit.answered
        values = sum(math.prod(buffer.shape) for buffer in read)
        task = DECODE if read else ''
        segments.append(_segment(part.name, work, task, step.stage.device, values))
    return segments


def _segment(name: str, work: Work, host_task: str, device: str, values: int) -> Segment:
    return Segment(name, work.macs, work.bytes_moved, work.layers, host_task, device, values)
