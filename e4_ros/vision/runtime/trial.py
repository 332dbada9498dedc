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

"""A network small enough to try a device on before any model is loaded."""

from __future__ import annotations

from collections.abc import Mapping

from e4_ros import paths
from e4_ros.vision.runtime.devices import Device
from e4_ros.vision.runtime.onnx_runtime import OnnxRuntime


class TrialProgram:
    """One convolution of a picture, rectified; `test_trial.py` says how its file is made."""

    name = 'the trial network'
    inputs: Mapping[str, tuple[int, ...]] = {'x': (1, 3, 32, 32)}
    outputs = ('map', 'mean')

    def onnx(self) -> bytes:
        """The program as an ONNX file."""
        return (paths.weights_dir() / 'device_trial.onnx').read_bytes()


def try_device(device: Device) -> None:
    """Run the trial network on a device.

    Raises:
        DeviceError: the device does not start, fails, or computes something else than the CPU.
    """
    runtime, program = OnnxRuntime(1, device), TrialProgram()
    buffers = {name: runtime.buffer(shape) for name, shape in program.inputs.items()}
    runtime.compile(program, buffers).run()
