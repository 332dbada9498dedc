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

"""Eager PyTorch as a runtime: what the others are compared with, and what many Jetsons have."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from e4_ros.vision.runtime.devices import CPU, DeviceError
from e4_ros.vision.runtime.interfaces import (
    Buffer,
    Program,
    RuntimeUnavailableError,
    check_inputs,
)


def has_cuda() -> bool:
    """Whether this PyTorch finds a CUDA GPU."""
    return torch.cuda.is_available()


class TorchRuntime:
    """Eager PyTorch on one device: on the CPU slow, and what the others are compared with.

    Args:
        device: ``cpu`` or ``cuda``.

    Raises:
        DeviceError: PyTorch has no such device, or it is not here.
    """

    name = 'torch'

    def __init__(self, device: str = CPU):
        if device not in (CPU, 'cuda'):
            raise DeviceError(
                f'the runtime torch runs on cpu or cuda, not on {device!r}; that is a device of '
                'the runtime onnxruntime'
            )
        if device != CPU and not has_cuda():
            raise DeviceError(
                f'device {device!r}: this torch {torch.__version__} finds no CUDA; a Jetson needs '
                "NVIDIA's build of torch for its JetPack"
            )
        self._device = torch.device(device)

    @cached_property
    def host(self) -> TorchRuntime:
        """The runtime itself on the CPU, else one on the CPU."""
        return self if self._device.type == CPU else TorchRuntime(CPU)

    def buffer(self, shape: tuple[int, ...]) -> TorchBuffer:
        """A new buffer of zeros on the device."""
        return TorchBuffer(torch.zeros(shape, device=self._device))

    def compile(self, program: Program, inputs: Mapping[str, Buffer]) -> CompiledTorch:
        """Compile a program, which must hold the torch module that it was written from."""
        check_inputs(program, inputs)
        module = getattr(program, 'module', None)
        if not isinstance(module, nn.Module):
            raise RuntimeUnavailableError(
                f'{program.name} has no torch module; the runtime torch runs programs that hold one'
            )
        return CompiledTorch(module.to(self._device), program, inputs, self._device)


class TorchBuffer:
    """A tensor at a fixed place."""

    def __init__(self, tensor: Tensor):
        self.tensor = tensor

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the buffer."""
        return tuple(self.tensor.shape)

    def write(self, values: np.ndarray, index: tuple[int, ...] = ()) -> None:
        """Write the whole buffer, or a part of it."""
        self.tensor[index] = torch.from_numpy(np.asarray(values, np.float32)).to(self.tensor)

    def read(self) -> np.ndarray:
        """The buffer's values; the next run overwrites them."""
        return self.tensor.cpu().numpy()  # on the CPU no copy


class CompiledTorch:
    """A module that leaves its result in fixed tensors."""

    def __init__(
        self,
        module: nn.Module,
        program: Program,
        inputs: Mapping[str, Buffer],
        device: torch.device,
    ):
        self._module, self._program, self.device = module, program, device.type
        self._device = device
        self._inputs: list[Tensor] = []
        for name in program.inputs:
            buffer = inputs[name]
            assert isinstance(buffer, TorchBuffer), 'buffers come from the same runtime'
            self._inputs.append(buffer.tensor)
        self._results = [TorchBuffer(result.clone()) for result in self._compute()]
        self.outputs: dict[str, Buffer] = dict(zip(program.outputs, self._results, strict=True))

    def run(self) -> None:
        """Compute the output buffers from the input buffers."""
        for buffer, result in zip(self._results, self._compute(), strict=True):
            buffer.tensor.copy_(result)

    def bound_to(self, inputs: Mapping[str, Buffer]) -> CompiledTorch:
        """The same module on other buffers."""
        return CompiledTorch(self._module, self._program, inputs, self._device)

    def _compute(self) -> tuple[Tensor, ...]:
        with torch.no_grad():
            result = self._module(*self._inputs)
        return (result,) if isinstance(result, Tensor) else tuple(result)
