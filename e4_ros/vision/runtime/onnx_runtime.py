"""ONNX Runtime as a runtime: one session for each piece, inputs and outputs bound once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnxruntime as ort

from e4_ros.vision.runtime.interfaces import (
    Buffer,
    Program,
    RuntimeUnavailableError,
    check_inputs,
)


class OnnxRuntime:
    """ONNX Runtime: one session for each piece, inputs and outputs bound once.

    Args:
        threads: threads within one operation; None for one per core.
        providers: execution providers, best first; by default ONNX Runtime's CPU provider.
        arena: keep what sessions need besides the buffers from run to run. More memory in each
            session, but none of it lies scattered when a long job keeps small results in between
            (measured: 12 MB lost with each).

    Raises:
        RuntimeUnavailableError: a provider is not in this build of ONNX Runtime.
    """

    name = 'onnxruntime'

    def __init__(
        self, threads: int | None = None, providers: Sequence[str] = (), arena: bool = False
    ):
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

    def compile(self, program: Program, inputs: Mapping[str, Buffer]) -> OnnxPiece:
        """See `Runtime`."""
        check_inputs(program, inputs)
        return OnnxPiece(self._session(program), inputs, self)

    def _session(self, program: Program) -> ort.InferenceSession:
        return ort.InferenceSession(program.onnx(), self._options, providers=self.providers)


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
        self, session: ort.InferenceSession, inputs: Mapping[str, Buffer], runtime: OnnxRuntime
    ):
        self._session = session
        self._binding = session.io_binding()
        for slot in session.get_inputs():  # the export drops inputs that nothing reads
            buffer = inputs[slot.name]
            assert isinstance(buffer, OnnxBuffer), 'buffers come from the same runtime'
            self._binding.bind_ortvalue_input(slot.name, buffer.value)
        self.outputs: dict[str, Buffer] = {}
        for slot in session.get_outputs():
            made = runtime.buffer(tuple(slot.shape))
            self._binding.bind_ortvalue_output(slot.name, made.value)
            self.outputs[slot.name] = made

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
