"""Run modules piece by piece, the pieces joined by buffers that nobody copies.

A runtime makes buffers and compiles a module onto them; a piece reads its input buffers and leaves
its result in its own output buffers, which may be the input buffers of the next piece.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import onnxruntime as ort
import torch
from torch import nn

from e4_ros.vision.runtime.onnx_export import export, input_name
from e4_ros.vision.runtime.precision import FP32, check_precision, stage_file
from e4_ros.vision.runtime.torch_runtime import TorchRuntime

RUNTIMES = ('onnxruntime', 'torch')


class RuntimeUnavailableError(ValueError):
    """There is no runtime of that name, or it lacks what was asked for."""


class Buffer(Protocol):
    """A float32 tensor of fixed shape at a fixed place."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the tensor."""
        ...

    def write(self, values: np.ndarray, index: tuple[int, ...] = ()) -> None:
        """Copy values in, broadcast to the buffer's shape or to that of the part at an index."""
        ...

    def read(self) -> np.ndarray:
        """The values; on a CPU a view that the next run overwrites."""
        ...


class Piece(Protocol):
    """A compiled module on its buffers."""

    outputs: list[Buffer]

    def run(self) -> None:
        """Compute the output buffers from the input buffers."""
        ...


class Runtime(Protocol):
    """Makes buffers, and pieces that work on them."""

    name: str

    def buffer(self, shape: tuple[int, ...]) -> Buffer:
        """A new buffer of zeros."""
        ...

    def compile(self, module: nn.Module, inputs: Sequence[Buffer], stage: bool = False) -> Piece:
        """Make a piece out of an eval-mode module that takes tensors of the buffers' shapes.

        Args:
            module: what it computes.
            inputs: what it reads.
            stage: whether it is a stage of a network, which may run in another precision.
        """
        ...


def make_runtime(name: str, threads: int | None = None, precision: str = FP32) -> Runtime:
    """A runtime by its name.

    Args:
        name: ``onnxruntime`` (deployment) or ``torch`` (the reference).
        threads: threads within one operation; None leaves the choice to the runtime.
        precision: of a network's stages, one of `reduced_stages.PRECISIONS`; exits and what is
            between two pieces stay float32.

    Raises:
        RuntimeUnavailableError: unknown name, or it lacks the precision.
        PrecisionError: unknown precision.
    """
    check_precision(precision)
    if name == 'onnxruntime':
        return OnnxRuntime(threads, stage_file=lambda path: stage_file(path, precision))
    if name == 'torch':
        if precision != FP32:
            raise RuntimeUnavailableError(f'the runtime torch has no {precision}, only {FP32}')
        return TorchRuntime()
    raise RuntimeUnavailableError(f'there is no runtime {name!r}; choose one of {RUNTIMES}')


class OnnxRuntime:
    """ONNX Runtime: one session for each piece, inputs and outputs bound once.

    Args:
        threads: threads within one operation; None for one per core.
        providers: execution providers, best first; by default ONNX Runtime's CPU provider.
        arena: keep what sessions need besides the buffers from run to run. More memory in each
            session, but none of it lies scattered when a long job keeps small results in between
            (measured: 12 MB lost with each).
        stage_file: from the exported file of a stage to the one it runs from; by default the same.

    Raises:
        RuntimeUnavailableError: a provider is not in this build of ONNX Runtime.
    """

    name = 'onnxruntime'

    def __init__(
        self,
        threads: int | None = None,
        providers: Sequence[str] = (),
        arena: bool = False,
        stage_file: Callable[[Path], Path] = lambda path: path,
    ):
        self._stage_file = stage_file
        self.providers = list(providers) or ['CPUExecutionProvider']
        missing = set(self.providers) - set(ort.get_available_providers())
        if missing:
            raise RuntimeUnavailableError(
                f'this onnxruntime has no {sorted(missing)}; it has {ort.get_available_providers()}'
            )
        on_gpu = {'CUDAExecutionProvider', 'TensorrtExecutionProvider'} & set(self.providers)
        self._device = 'cuda' if on_gpu else 'cpu'
        self._options = _session_options(threads, arena)

    def buffer(self, shape: tuple[int, ...]) -> OnnxBuffer:
        """See `Runtime`."""
        return OnnxBuffer(shape, self._device)

    def compile(
        self, module: nn.Module, inputs: Sequence[Buffer], stage: bool = False
    ) -> OnnxPiece:
        """See `Runtime`."""
        path = export(module, [torch.zeros(b.shape) for b in inputs])
        path = self._stage_file(path) if stage else path
        session = ort.InferenceSession(path, self._options, providers=self.providers)
        return OnnxPiece(session, inputs, self)


class OnnxBuffer:
    """A tensor that ONNX Runtime reads and writes in place."""

    def __init__(self, shape: tuple[int, ...], device: str):
        self.shape = tuple(shape)
        self._on_host = device == 'cpu'
        self._host = np.zeros(shape, np.float32)
        # On a CPU the OrtValue lies on the array's own memory.
        self.value = ort.OrtValue.ortvalue_from_numpy(self._host, device)

    def write(self, values: np.ndarray, index: tuple[int, ...] = ()) -> None:
        """See `Buffer`."""
        self._host[index] = values
        if not self._on_host:
            self.value.update_inplace(self._host)

    def read(self) -> np.ndarray:
        """See `Buffer`."""
        return self._host if self._on_host else self.value.numpy()


class OnnxPiece:
    """One session with its inputs and outputs bound to buffers."""

    def __init__(
        self, session: ort.InferenceSession, inputs: Sequence[Buffer], runtime: OnnxRuntime
    ):
        self._session = session
        self._binding = session.io_binding()
        used = {slot.name for slot in session.get_inputs()}
        for index, buffer in enumerate(inputs):
            assert isinstance(buffer, OnnxBuffer), 'buffers come from the same runtime'
            if input_name(index) in used:  # the export drops inputs that nothing reads
                self._binding.bind_ortvalue_input(input_name(index), buffer.value)
        self.outputs: list[Buffer] = []
        for slot in session.get_outputs():
            made = runtime.buffer(tuple(slot.shape))
            self._binding.bind_ortvalue_output(slot.name, made.value)
            self.outputs.append(made)

    def run(self) -> None:
        """See `Piece`."""
        self._session.run_with_iobinding(self._binding)


def _session_options(threads: int | None, arena: bool) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Every session has threads of its own: those of the last stage must not spin while the next
    # stage runs.
    options.add_session_config_entry('session.force_spinning_stop', '1')
    # The buffers between pieces are ours; what a session needs besides is planned once and small.
    options.enable_cpu_mem_arena = arena
    return options
