"""Eager PyTorch as a runtime: what the others are compared with."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from e4_ros.vision.runtime.interfaces import (
    Buffer,
    Program,
    RuntimeUnavailableError,
    check_inputs,
)


class TorchRuntime:
    """Eager PyTorch on the CPU: slow, and what the others are compared with."""

    name = 'torch'

    def buffer(self, shape: tuple[int, ...]) -> TorchBuffer:
        """See `Runtime`."""
        return TorchBuffer(torch.zeros(shape))

    def compile(self, program: Program, inputs: Mapping[str, Buffer]) -> TorchPiece:
        """See `Runtime`; the program must hold the torch module that it was written from."""
        check_inputs(program, inputs)
        module = getattr(program, 'module', None)
        if not isinstance(module, nn.Module):
            raise RuntimeUnavailableError(
                f'{program.name} has no torch module; the runtime torch runs programs that hold one'
            )
        return TorchPiece(module, program, inputs)


class TorchBuffer:
    """A tensor at a fixed place."""

    def __init__(self, tensor: Tensor):
        self.tensor = tensor

    @property
    def shape(self) -> tuple[int, ...]:
        """See `Buffer`."""
        return tuple(self.tensor.shape)

    def write(self, values: np.ndarray, index: tuple[int, ...] = ()) -> None:
        """See `Buffer`."""
        self.tensor.numpy()[index] = values

    def read(self) -> np.ndarray:
        """See `Buffer`."""
        return self.tensor.numpy()


class TorchPiece:
    """A module that leaves its result in fixed tensors."""

    def __init__(self, module: nn.Module, program: Program, inputs: Mapping[str, Buffer]):
        self._module = module
        self._inputs: list[Tensor] = []
        for name in program.inputs:
            buffer = inputs[name]
            assert isinstance(buffer, TorchBuffer), 'buffers come from the same runtime'
            self._inputs.append(buffer.tensor)
        self._results = [TorchBuffer(result.clone()) for result in self._compute()]
        self.outputs: dict[str, Buffer] = dict(zip(program.outputs, self._results, strict=True))

    def run(self) -> None:
        """See `Piece`."""
        for buffer, result in zip(self._results, self._compute(), strict=True):
            buffer.tensor.copy_(result)

    def _compute(self) -> tuple[Tensor, ...]:
        with torch.no_grad():
            result = self._module(*self._inputs)
        return (result,) if isinstance(result, Tensor) else tuple(result)
