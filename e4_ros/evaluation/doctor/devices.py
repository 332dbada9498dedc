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

"""Which devices this machine can run networks on, each tried on a small network."""

from __future__ import annotations

from collections.abc import Iterator

from e4_ros.evaluation.doctor.check import Check


def devices() -> Iterator[Check]:
    """One check for each device that this ONNX Runtime offers, and one for those it lacks."""
    from e4_ros.vision.runtime.devices import DEVICES, DeviceError, offered
    from e4_ros.vision.runtime.trial import try_device

    here = offered()
    for device in here:
        name = f'device {device.name}'
        try:
            try_device(device)
        except DeviceError as error:
            yield Check(
                'software', name, 'optional', str(error),
                '`device: auto` passes it over; see docs/devices.md',
            )  # fmt: skip
            continue
        same = '' if device.name == 'cpu' else ', computes a small network as the CPU does'
        yield Check('software', name, 'ok', f'{device.provider}{same}')
    if missing := [d for d in DEVICES.values() if d not in here]:
        names = ', '.join(f'{d.name} ({d.package})' for d in missing)
        yield Check(
            'software', 'other devices', 'optional', f'not in this onnxruntime: {names}',
            'the package in brackets brings it, in place of onnxruntime; see docs/devices.md',
        )  # fmt: skip
