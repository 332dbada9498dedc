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

"""The energy counters of discrete NVIDIA GPUs (Volta and later), through NVML."""

from __future__ import annotations

from functools import partial
from typing import Any

from e4_ros.energy.errors import DomainError
from e4_ros.energy.meters.rapl import EnergyZone
from e4_ros.energy.nvml import explain, handles, library

_J_PER_MJ = 1e-3
_COUNTER_RANGE_J = 2**64 * _J_PER_MJ


def find_zones(nvml: Any | None = None) -> list[EnergyZone]:
    """The energy counters of the GPUs that have one (Volta and later)."""
    nvml = nvml or library()
    zones = []
    for index, handle in enumerate(handles(nvml)):
        joules = partial(_joules, nvml, handle)
        try:
            joules()
        except DomainError:
            continue
        zones.append(EnergyZone(f'gpu{index or ""}', joules, _COUNTER_RANGE_J, counted=True))
    return zones


def _joules(nvml: Any, handle: Any) -> float:
    try:
        return nvml.nvmlDeviceGetTotalEnergyConsumption(handle) * _J_PER_MJ
    except nvml.NVMLError as error:
        raise explain(nvml, error, 'reading the energy counter') from error
