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

"""Whether a device computes what the CPU computes, and whether it computes at all.

ONNX Runtime hands operators that a provider lacks to the CPU without a word, and drivers return
wrong numbers without an error; both are found out on a network's first run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime as ort

from e4_ros.vision.runtime.devices import CPU, DEVICES, Device, DeviceError
from e4_ros.vision.runtime.interfaces import Buffer, CompiledProgram

_COARSE = 8  # blobs along each side of the example picture


def check_compiled(
    name: str, model: bytes, compiled: CompiledProgram, inputs: Mapping[str, Buffer], device: Device
) -> None:
    """Run a compiled program for the first time, and compare its outputs with the CPU's.

    Inputs that already hold something keep it: the stages of a network are compiled in order, so a
    later stage is checked on what the stage before it made of the example. The others hold an
    example meanwhile, and zeros again afterwards.

    Args:
        name: name of the program, for messages.
        model: the program as an ONNX model.
        compiled: the program, compiled for the device.
        inputs: input buffers of the program by name.
        device: device that runs the program; its tolerance counts.

    Raises:
        DeviceError: the run fails, or an output differs by more than the tolerance.
    """
    reference = ort.InferenceSession(model, providers=[DEVICES[CPU].provider])
    empty = [buffer for buffer in inputs.values() if not buffer.read().any()]
    for buffer in empty:
        buffer.write(example(buffer.shape))
    used = {slot.name for slot in reference.get_inputs()}
    given = {name: buffer.read().copy() for name, buffer in inputs.items() if name in used}
    try:
        compiled.run()
        found = {name: buffer.read().copy() for name, buffer in compiled.outputs.items()}
    except Exception as error:  # providers raise whatever their libraries do
        raise DeviceError(
            f'device {device.name!r} fails at the first run of {name}: {error}'
        ) from error
    finally:
        for buffer in empty:
            buffer.write(np.zeros(()))
    wanted = reference.run(list(found), given)
    for output, expected in zip(found, wanted, strict=True):
        off = difference(found[output], np.asarray(expected))
        if not off <= device.tolerance:
            raise DeviceError(
                f'device {device.name!r} answers differently from the CPU: output {output!r} of '
                f'{name} is off by {off:.2g} of its largest value, where {device.tolerance:g} '
                'is allowed; update its driver and libraries, or use another device'
            )


def check_placement(name: str, profile: Path, device: Device) -> list[str]:
    """Look up which provider ran the operators of a session's first run.

    Args:
        name: name of the session's program, for messages.
        profile: file that the session's profiling left.
        device: device that was to run them.

    Returns:
        Sentences a user should read: which operators stayed on the CPU.

    Raises:
        DeviceError: all of them did.
    """
    ran: dict[str, list[str]] = {}
    for event in json.loads(profile.read_text()):
        arguments = event.get('args', {})
        if event.get('cat') == 'Node' and 'provider' in arguments:
            ran.setdefault(arguments['provider'], []).append(arguments.get('op_name', '?'))
    ours = {device.provider, *device.fallback}
    elsewhere = sorted(op for who, ops in ran.items() if who not in ours for op in ops)
    here = sum(len(ops) for who, ops in ran.items() if who in ours)
    if not here:
        raise DeviceError(
            f'device {device.name!r} leaves all {len(elsewhere)} operators of {name} to the CPU'
        )
    if not elsewhere:
        return []
    kinds = ', '.join(sorted(set(elsewhere)))
    total = here + len(elsewhere)
    return [f'{name}: {len(elsewhere)} of {total} operators stay on the CPU ({kinds})']


def difference(found: np.ndarray, expected: np.ndarray) -> float:
    """Largest error of an output, as a share of its largest value; NaN where one is not a number.

    Args:
        found: output of the device.
        expected: output of the CPU, of the same shape.
    """
    if not found.size:
        return 0.0
    scale = float(np.abs(expected).max())
    return float(np.abs(found - expected).max()) / (scale or 1.0)


def example(shape: tuple[int, ...]) -> np.ndarray:
    """Something like a prepared picture: soft blobs between -1 and 1, the same every time.

    Args:
        shape: shape of the tensor; its last two axes are height and width if it has four.
    """
    rng = np.random.default_rng(0)
    if len(shape) != 4 or min(shape[2:]) < _COARSE:
        return rng.uniform(-1, 1, shape).astype(np.float32)
    coarse = rng.uniform(-1, 1, (*shape[:2], _COARSE + 1, _COARSE + 1))
    for axis, length in ((2, shape[2]), (3, shape[3])):
        coarse = _stretched(coarse, axis, length)
    return coarse.astype(np.float32)


def _stretched(values: np.ndarray, axis: int, length: int) -> np.ndarray:
    """Linear interpolation along an axis."""
    place = np.linspace(0, _COARSE, length)
    low = np.minimum(place.astype(int), _COARSE - 1)
    weight = (place - low).reshape([-1 if i == axis else 1 for i in range(values.ndim)])
    return values.take(low, axis) * (1 - weight) + values.take(low + 1, axis) * weight
