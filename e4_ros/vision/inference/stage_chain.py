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

"""The stages of a network run whole, one after the other, with the tensors between laid open."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from e4_ros.vision.detections import Detections
from e4_ros.vision.model import VisionModel
from e4_ros.vision.runtime.interfaces import Buffer, CompiledProgram, Program, Runtime
from e4_ros.vision.staged_network import Part


class Boundaries:
    """Buffers between the stages of a network, by name.

    Args:
        image: the network's input, ``x``.
    """

    def __init__(self, image: Buffer):
        self._named = {'x': image}

    def inputs(self, program: Program) -> dict[str, Buffer]:
        """What the next stage reads, by name."""
        return {name: self._named[name] for name in program.inputs}

    def compile(self, program: Program, runtime: Runtime) -> CompiledProgram:
        """Compile the next stage onto what the stages before it leave."""
        compiled = runtime.compile(program, self.inputs(program))
        self._named |= compiled.outputs
        # Stages that were exported before cuts had names read what is before them as x.
        self._named['x'] = first_output(compiled)
        return compiled


def first_output(compiled: CompiledProgram) -> Buffer:
    """The output of a stage that an exit behind it reads."""
    return next(iter(compiled.outputs.values()))


class StageChain:
    """Runs the whole network on a frame, without exits.

    Args:
        model: preprocessing and decoding of the network.
        stages: stages of the network, in order.
        runtime: runtime of the stages.

    Attributes:
        boundaries: the network's input, then the tensor behind each stage but the last that an
            exit there reads.
        inputs: all that each stage reads, by name.
    """

    def __init__(self, model: VisionModel, stages: Sequence[Part], runtime: Runtime):
        self._model = model
        image = runtime.buffer(tuple(stages[0].program.inputs['x']))
        between = Boundaries(image)
        self._compiled: list[CompiledProgram] = []
        self.inputs: list[dict[str, Buffer]] = []
        for stage in stages:
            self.inputs.append(between.inputs(stage.program))
            self._compiled.append(between.compile(stage.program, runtime))
        self.boundaries: list[Buffer] = [image, *map(first_output, self._compiled[:-1])]

    def see(self, frame: np.ndarray) -> None:
        """Run every stage on an ``(H, W, 3)`` uint8 RGB frame."""
        self.boundaries[0].write(self._model.preprocess(frame))
        self.run()

    def run(self) -> None:
        """Run every stage on what the network's input holds."""
        for compiled in self._compiled:
            compiled.run()

    def outputs(self) -> dict[str, np.ndarray]:
        """The network's own outputs by name; the next `see` overwrites them."""
        return {name: buffer.read() for name, buffer in self._compiled[-1].outputs.items()}

    def detections(self, frame_shape: tuple[int, ...], min_score: float = 0.2) -> Detections:
        """The network's answer to the frame seen last.

        Args:
            frame_shape: ``(H, W, ...)`` of that frame.
            min_score: score below which detections are left out, 0 to 1.
        """
        return self._model.decode(self.outputs(), frame_shape, min_score)
