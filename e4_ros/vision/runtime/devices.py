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

"""Devices by the names that users give, and the ONNX Runtime provider and options of each.

`auto` takes the first of :data:`DEVICES` that this ONNX Runtime offers and that runs the network
like the CPU does; what fails, or answers differently, is passed over with a reason. A device that
is asked for by name fails with that reason instead.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from e4_ros import paths

AUTO = 'auto'
CPU = 'cpu'
ALLOW_SPINNING, SPIN_US = True, 50
"""Whether, and for how many microseconds, threads wait for work by spinning unless told otherwise;
docs/devices.md has the figures."""

T = TypeVar('T')
Options = dict[str, str]

_log = logging.getLogger(__name__)


class DeviceError(ValueError):
    """A device is not here, fails, or computes something else; the message says what to do."""


@dataclass(frozen=True)
class Device:
    """Where a network can run.

    Attributes:
        name: name of the device in options and parameters.
        provider: name of the ONNX Runtime provider.
        package: Python package of ONNX Runtime that brings the provider.
        memory: where the tensors between two stages lie, as `OrtValue` names it.
        tolerance: largest error of an output against the CPU, as a share of the output's largest
            value, that still counts as the same answer.
        fallback: providers for operators that this one lacks, before the CPU's.
        options: fixed options of the provider.
        automatic: whether `auto` tries it.
    """

    name: str
    provider: str
    package: str
    memory: str = 'cpu'
    tolerance: float = 1e-3
    fallback: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    automatic: bool = True

    def providers(
        self, model_hash: str, threads: int | None = None, fp16: bool = False
    ) -> list[tuple[str, Options]]:
        """Providers of a session, best first, each with its options.

        Args:
            model_hash: hex digits that no other model has; compiled engines are kept under it.
            threads: threads of a provider that computes on the CPU; None leaves it the choice.
            fp16: whether TensorRT may compute in half precision.
        """
        options = dict(self.options)
        if self.name == 'tensorrt':
            options |= _tensorrt_options(model_hash, fp16)
        elif self.name == 'openvino' and threads:
            options['num_of_threads'] = str(threads)
        rest = [(name, dict(_CUDA_OPTIONS)) for name in self.fallback]
        return [(self.provider, options), *rest]


# Engines are made for fixed shapes once, so the exhaustive search for convolutions pays; the arena
# grows by what is asked for, because a Jetson's GPU shares its memory with everything else.
_CUDA_OPTIONS = {
    'device_id': '0',
    'cudnn_conv_algo_search': 'EXHAUSTIVE',
    'arena_extend_strategy': 'kSameAsRequested',
}

# Half precision has 11 bits, and TF32 (a GPU's float32 convolutions since Ampere) as many.
_HALF_TOLERANCE = 5e-2
_TF32_TOLERANCE = 1e-2

DEVICES: dict[str, Device] = {
    device.name: device
    for device in (
        Device(
            'tensorrt',
            'TensorrtExecutionProvider',
            'onnxruntime-gpu',
            memory='cuda',
            tolerance=_HALF_TOLERANCE,
            fallback=('CUDAExecutionProvider',),
        ),
        Device(
            'cuda',
            'CUDAExecutionProvider',
            'onnxruntime-gpu',
            memory='cuda',
            tolerance=_TF32_TOLERANCE,
            options=_CUDA_OPTIONS,
        ),
        # On CPUs with bfloat16 OpenVINO would compute in it unless told not to.
        Device(
            'openvino',
            'OpenVINOExecutionProvider',
            'onnxruntime-openvino',
            options={'device_type': 'CPU', 'precision': 'FP32', 'num_streams': '1'},
        ),
        Device(CPU, 'CPUExecutionProvider', 'onnxruntime'),
    )
}
"""Every device, the one that `auto` prefers first; the CPU, which always works, last."""

NAMES = (AUTO, *DEVICES)


def find(name: str) -> Device:
    """A device that this ONNX Runtime has, by its name.

    Raises:
        DeviceError: there is no such device, or this ONNX Runtime lacks its provider.
    """
    import onnxruntime as ort

    device = check_name(name)
    has = ort.get_available_providers()
    if device.provider not in has:
        raise DeviceError(
            f'device {name!r} needs the {device.provider}, which this onnxruntime '
            f'{ort.__version__} lacks (it has {", ".join(has)}); install {device.package} in place '
            'of onnxruntime. docs/devices.md says which one each JetPack takes'
        )
    return device


def check_name(name: str) -> Device:
    """A device of the table, whether or not it is here.

    Raises:
        DeviceError: there is no such device.
    """
    if not isinstance(name, str):
        raise DeviceError(f'a device is a name, one of {", ".join(NAMES)}, not {name!r}')
    if name not in DEVICES:
        raise DeviceError(f'there is no device {name!r}; choose one of {", ".join(NAMES)}')
    return DEVICES[name]


def offered() -> list[Device]:
    """Devices whose provider this ONNX Runtime has, the best first; whether they work is open."""
    import onnxruntime as ort

    has = set(ort.get_available_providers())
    return [device for device in DEVICES.values() if device.provider in has]


def on_device(name: str, attempt: Callable[[str], T], candidates: Sequence[str]) -> T:
    """Do something on a device, or on the best one that can.

    Args:
        name: a device, or ``auto``.
        attempt: does it on the device whose name it is given; raises `DeviceError` where the
            device fails or computes something else than the CPU.
        candidates: devices that ``auto`` tries before the CPU, the best first.

    Raises:
        DeviceError: there is no such device, it is not here, or it fails.
    """
    if name != AUTO:
        check_name(name)
        return attempt(name)
    for candidate in candidates:
        try:
            return attempt(candidate)
        except DeviceError as error:
            _log.warning('device %s is passed over: %s', candidate, error)
    return attempt(CPU)


def _tensorrt_options(model_hash: str, fp16: bool) -> Options:
    # TensorRT names an engine after the graph, not after its weights: one folder for each model,
    # or a network that was trained again would run with its old weights.
    folder = paths.cache_dir() / 'tensorrt' / model_hash[:32]
    folder.mkdir(parents=True, exist_ok=True)
    return {
        'device_id': '0',
        'trt_fp16_enable': str(fp16),
        'trt_engine_cache_enable': 'True',
        'trt_engine_cache_path': str(folder),
        'trt_timing_cache_enable': 'True',
        'trt_timing_cache_path': str(Path(folder).parent),
    }
