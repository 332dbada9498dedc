"""Eager PyTorch as a runtime: what the others are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from e4_ros.vision.runtime.onnx_runtime import Buffer


class TorchRuntime:
    """Eager PyTorch on the CPU: slow, and what the others are compared with."""

    name = 'torch'

    def buffer(self, shape: tuple[int, ...]) -> TorchBuffer:
        """See `Runtime`."""
        return TorchBuffer(torch.zeros(shape))

    def compile(
        self, module: nn.Module, inputs: Sequence[Buffer], stage: bool = False
    ) -> TorchPiece:
        """See `Runtime`."""
        return TorchPiece(module, inputs)


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

    def __init__(self, module: nn.Module, inputs: Sequence[Buffer]):
        self._module = module
        self._inputs = [b.tensor for b in inputs if isinstance(b, TorchBuffer)]
        assert len(self._inputs) == len(inputs), 'buffers come from the same runtime'
        self.outputs: list[Buffer] = [TorchBuffer(t.clone()) for t in self._compute()]

    def run(self) -> None:
        """See `Piece`."""
        for buffer, result in zip(self.outputs, self._compute(), strict=True):
            buffer.tensor.copy_(result)  # type: ignore[attr-defined]

    def _compute(self) -> tuple[Tensor, ...]:
        with torch.no_grad():
            result = self._module(*self._inputs)
        return (result,) if isinstance(result, Tensor) else tuple(result)
