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

"""ONNX Runtime as a runtime: one session for each program, inputs and outputs bound once.

On a GPU with memory of its own (``cuda``, ``tensorrt``) every buffer lies there: a stage reads what
the stage before it left, and only prepared frames and what heads and decoders read are copied.
"""

from __future__ import annotations

import hashlib
import logging
import tempfile
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from e4_ros.vision.runtime.device_check import check_compiled, check_placement
from e4_ros.vision.runtime.devices import (
    ALLOW_SPINNING,
    CPU,
    SPIN_US,
    Device,
    DeviceError,
    find,
)
from e4_ros.vision.runtime.interfaces import Buffer, Program, check_inputs

OpenSession = Callable[..., Any]

_BOUNDED_SPINNING = (1, 27)  # first version that knows spin_duration_us

_log = logging.getLogger(__name__)


class OnnxRuntime:
    """ONNX Runtime on one device.

    A program on another device than the CPU is compared with the CPU when it is compiled:
    a provider that fails, leaves the work to the CPU or computes something else is an error.

    Args:
        threads: threads within one operation; None for one per core.
        device: device that computes, or the name of one.
        arena: keep what sessions need besides the buffers from run to run. More memory in each
            session, but none of it lies scattered when a long job keeps small results in between
            (measured: 12 MB lost with each).
        fp16: whether TensorRT may compute in half precision.
        allow_spinning: whether threads wait for the next operator's work by spinning before they
            sleep; never between two runs.
        spin_us: for at most so many microseconds; 0 for no bound. Before 1.27 ONNX Runtime knows
            no bound, so there threads do not spin unless none is asked for.
        open_session: function that makes a session from a model, options and providers.

    Raises:
        DeviceError: there is no such device, or this ONNX Runtime lacks its provider.
    """

    name = 'onnxruntime'

    def __init__(
        self,
        threads: int | None = None,
        device: Device | str = CPU,
        arena: bool = False,
        fp16: bool = False,
        allow_spinning: bool = ALLOW_SPINNING,
        spin_us: int = SPIN_US,
        open_session: OpenSession = ort.InferenceSession,
    ):
        self.device = device if isinstance(device, Device) else find(device)
        self._threads, self._arena, self._fp16 = threads, arena, fp16
        self._spin, self._spin_us, self._open = allow_spinning, spin_us, open_session

    @cached_property
    def host(self) -> OnnxRuntime:
        """The runtime itself on the CPU, else one on the CPU."""
        if self.device.name == CPU:
            return self
        return OnnxRuntime(
            self._threads,
            CPU,
            self._arena,
            allow_spinning=self._spin,
            spin_us=self._spin_us,
        )

    def buffer(self, shape: tuple[int, ...]) -> OnnxBuffer:
        """A new buffer of zeros on the device."""
        return OnnxBuffer(shape, self.device.memory)

    def compile(self, program: Program, inputs: Mapping[str, Buffer]) -> CompiledOnnx:
        """Compile a program onto its input buffers.

        Raises:
            DeviceError: the device cannot run the program, or computes something else than the CPU.
        """
        check_inputs(program, inputs)
        model = program.onnx()
        if self.device.name == CPU:
            providers: list[Any] = [self.device.provider]
            return CompiledOnnx(
                self._open(model, self._options(), providers=providers), inputs, self
            )
        with tempfile.TemporaryDirectory(prefix='e4-device-') as folder:
            options = self._options()
            options.enable_profiling = True  # tells afterwards which provider ran which operator
            options.profile_file_prefix = str(Path(folder) / 'run')
            session = self._on_device(program.name, model, options)
            compiled = CompiledOnnx(session, inputs, self)
            check_compiled(program.name, model, compiled, inputs, self.device)
            profile = Path(session.end_profiling())
            for note in check_placement(program.name, profile, self.device):
                _log.warning(note)
        return compiled

    def _on_device(self, name: str, model: bytes, options: ort.SessionOptions) -> Any:
        wanted = self.device
        providers = wanted.providers(hashlib.sha256(model).hexdigest(), self._threads, self._fp16)
        try:
            # Without this, ONNX Runtime tries the CPU when a provider fails, and says so on stdout.
            session = self._open(model, options, providers=providers, enable_fallback=0)
        except Exception as error:  # providers raise whatever their libraries do
            raise DeviceError(f'device {wanted.name!r} cannot load {name}: {error}') from error
        if wanted.provider not in session.get_providers():
            raise DeviceError(
                f'device {wanted.name!r} is in this onnxruntime but does not start: '
                f'{wanted.provider} is missing from the session, which has '
                f'{", ".join(session.get_providers())}; its libraries (CUDA, cuDNN, TensorRT, '
                'drivers) are absent or of another version than it was built for'
            )
        return session

    def _options(self) -> ort.SessionOptions:
        options = ort.SessionOptions()
        options.intra_op_num_threads = self._threads or 0
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Every session has threads of its own: those of the last stage must not spin while the
        # next stage runs.
        options.add_session_config_entry('session.force_spinning_stop', '1')
        for key, value in spinning(self._spin, self._spin_us, ort.__version__).items():
            options.add_session_config_entry(f'session.intra_op.{key}', value)
        # The buffers between programs are ours; what a session needs besides is planned once and
        # small.
        options.enable_cpu_mem_arena = self._arena
        return options


class OnnxBuffer:
    """A tensor that ONNX Runtime reads and writes in place.

    Args:
        shape: shape of the tensor.
        memory: where it lies, as `OrtValue` names it: ``cpu`` or ``cuda``.
    """

    def __init__(self, shape: tuple[int, ...], memory: str):
        self.shape = tuple(shape)
        self._on_host = memory == 'cpu'
        self._host = np.zeros(shape, np.float32)
        # On a CPU the OrtValue lies on the array's own memory.
        self.value = ort.OrtValue.ortvalue_from_numpy(self._host, memory)

    def write(self, values: np.ndarray, index: tuple[int, ...] = ()) -> None:
        """Write a part of the buffer, which must be no program's output."""
        self._host[index] = values
        if not self._on_host:
            self.value.update_inplace(self._host)

    def read(self) -> np.ndarray:
        """The buffer's values; the next run overwrites them."""
        return self._host if self._on_host else self.value.numpy()


class CompiledOnnx:
    """One session with its inputs and outputs bound to buffers.

    Args:
        session: an ONNX Runtime session.
        inputs: buffers by the names of the program's inputs.
        runtime: runtime that makes the buffers of the outputs.
    """

    def __init__(self, session: Any, inputs: Mapping[str, Buffer], runtime: OnnxRuntime):
        self._session, self._runtime = session, runtime
        self.device = runtime.device.name
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
        """Compute the output buffers from the input buffers."""
        self._session.run_with_iobinding(self._binding)

    def bound_to(self, inputs: Mapping[str, Buffer]) -> CompiledOnnx:
        """The same session on other buffers."""
        return CompiledOnnx(self._session, inputs, self._runtime)


def spinning(allowed: bool, longest_us: int, version: str) -> dict[str, str]:
    """Session options (below ``session.intra_op``) that say how threads wait within a run.

    Args:
        allowed: whether they may spin.
        longest_us: for at most so many microseconds; 0 for no bound.
        version: version of ONNX Runtime; one that knows no bound does not spin under one.
    """
    bounded = tuple(int(part) for part in version.split('.')[:2]) >= _BOUNDED_SPINNING
    if not allowed or (longest_us and not bounded):
        return {'allow_spinning': '0'}
    bound = {'spin_duration_us': str(longest_us)} if longest_us else {}
    return {'allow_spinning': '1'} | bound
