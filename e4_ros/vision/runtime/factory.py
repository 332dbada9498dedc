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

"""A runtime by its name; only the one that is asked for is imported."""

from __future__ import annotations

from e4_ros import extras
from e4_ros.vision.runtime.devices import ALLOW_SPINNING, CPU, SPIN_US, offered
from e4_ros.vision.runtime.interfaces import RUNTIMES, Runtime, RuntimeUnavailableError


def make_runtime(
    name: str,
    threads: int | None = None,
    device: str = CPU,
    fp16: bool = False,
    allow_spinning: bool = ALLOW_SPINNING,
    spin_us: int = SPIN_US,
) -> Runtime:
    """A runtime by its name.

    Args:
        name: ``onnxruntime`` (deployment) or ``torch`` (the reference).
        threads: threads within one operation; None leaves the choice to the runtime.
        device: device that computes, a key of `devices.DEVICES`; the runtime torch has ``cpu`` and
            ``cuda``.
        fp16: whether TensorRT may compute in half precision.
        allow_spinning: whether threads wait for each other within a run by spinning.
        spin_us: for at most so many microseconds; 0 for no bound.

    Raises:
        DeviceError: there is no such device, or it is not here.
        RuntimeUnavailableError: there is no runtime of that name.
        MissingExtraError: torch is not installed.
    """
    if name == 'onnxruntime':
        from e4_ros.vision.runtime.onnx_runtime import OnnxRuntime

        return OnnxRuntime(
            threads, device, fp16=fp16, allow_spinning=allow_spinning, spin_us=spin_us
        )
    if name == 'torch':
        extras.require('train', 'the runtime torch')
        from e4_ros.vision.runtime.torch_runtime import TorchRuntime

        return TorchRuntime(device)
    raise RuntimeUnavailableError(f'there is no runtime {name!r}; choose one of {RUNTIMES}')


def candidates(name: str) -> list[str]:
    """Devices other than the CPU that `auto` tries with a runtime, the best first.

    Args:
        name: name of the runtime.
    """
    if name == 'torch':
        from e4_ros.vision.runtime.torch_runtime import has_cuda

        return ['cuda'] if has_cuda() else []
    return [device.name for device in offered() if device.automatic and device.name != CPU]
