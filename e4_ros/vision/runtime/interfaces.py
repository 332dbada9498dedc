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

"""What every runtime offers: buffers at a fixed place, and programs compiled onto them.

A program has named inputs and outputs of fixed shape. A runtime makes buffers and compiles a
program onto them; the compiled program reads its input buffers and leaves its result in its own
output buffers, which may be the input buffers of the next program: nothing is copied between two.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

RUNTIMES = ('onnxruntime', 'torch')


class RuntimeUnavailableError(ValueError):
    """There is no runtime of that name, or it lacks what was asked for."""


class Program(Protocol):
    """What a runtime can compile; its inputs and outputs are float32."""

    @property
    def name(self) -> str:
        """Name of the program, unique in its network."""
        ...

    @property
    def inputs(self) -> Mapping[str, tuple[int, ...]]:
        """Shape of each input by its name."""
        ...

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs, in the order of the ONNX graph."""
        ...

    def onnx(self) -> bytes:
        """The program as an ONNX model; an input that nothing reads may be missing in it."""
        ...


class Buffer(Protocol):
    """A float32 tensor of fixed shape at a fixed place."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the tensor."""
        ...

    def write(self, values: np.ndarray, index: tuple[int, ...] = ()) -> None:
        """Copy values in, broadcast to the buffer's shape or to that of the part at an index."""
        ...

    def read(self) -> np.ndarray:
        """The values; on a CPU a view that the next run overwrites."""
        ...


class CompiledProgram(Protocol):
    """A compiled program on its buffers.

    Attributes:
        outputs: the output buffers by name.
        device: device that computes them, as the runtime found out.
    """

    outputs: dict[str, Buffer]
    device: str

    def run(self) -> None:
        """Compute the output buffers from the input buffers."""
        ...

    def bound_to(self, inputs: Mapping[str, Buffer]) -> CompiledProgram:
        """The same program on other buffers, with outputs of its own; nothing is loaded again.

        Args:
            inputs: a buffer of the right shape for each of the program's inputs.
        """
        ...


class Runtime(Protocol):
    """Makes buffers, and compiles programs onto them.

    Attributes:
        name: name of the runtime, one of `RUNTIMES`.
    """

    name: str

    @property
    def host(self) -> Runtime:
        """A runtime on the CPU: this one, if that is where it computes."""
        ...

    def buffer(self, shape: tuple[int, ...]) -> Buffer:
        """A new buffer of zeros."""
        ...

    def compile(self, program: Program, inputs: Mapping[str, Buffer]) -> CompiledProgram:
        """Compile a program.

        Args:
            program: the program to compile.
            inputs: a buffer of the right shape for each of the program's inputs.

        Raises:
            ValueError: an input has no buffer, or one of another shape.
        """
        ...


def check_inputs(program: Program, inputs: Mapping[str, Buffer]) -> None:
    """Refuse buffers that do not fit a program's inputs.

    Raises:
        ValueError: says which input has none, or one of another shape.
    """
    for name, shape in program.inputs.items():
        if name not in inputs:
            raise ValueError(f'{program.name} needs a buffer for its input {name!r}')
        if tuple(inputs[name].shape) != tuple(shape):
            raise ValueError(
                f'input {name!r} of {program.name} has the shape {tuple(shape)}, its buffer '
                f'{tuple(inputs[name].shape)}'
            )
