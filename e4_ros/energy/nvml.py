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
