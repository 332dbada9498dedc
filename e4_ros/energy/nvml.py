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

"""Access to NVML for domains and meters; needs the optional package `nvidia-ml-py`.

Source: NVIDIA's NVML API reference.
"""

from __future__ import annotations

import errno
from typing import Any

from e4_ros.energy.errors import DeviceGone, DomainError, NotPermitted, WriteRefused


def library() -> Any | None:
    """The initialised `pynvml` module, or None without the package, driver or GPU."""
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    return pynvml


def handles(nvml: Any | None) -> list[Any]:
    """NVML's handle of each GPU, in NVML's order; none without NVML."""
    if nvml is None:
        return []
    return [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]


def explain(nvml: Any, error: Exception, doing: str) -> DomainError:
    """The `DomainError` for an error of NVML.

    Args:
        nvml: the `pynvml` module.
        error: the error that NVML raised.
        doing: what failed, for the message.
    """
    number = getattr(error, 'value', None)
    if number == nvml.NVML_ERROR_NO_PERMISSION:
        return NotPermitted(errno.EPERM, f'{doing} failed: {error}; NVML asks for root')
    if number in (nvml.NVML_ERROR_GPU_IS_LOST, nvml.NVML_ERROR_NOT_FOUND):
        return DeviceGone(errno.ENODEV, f'{doing} failed: {error}')
    return WriteRefused(errno.EIO, f'{doing} failed: {error}')
