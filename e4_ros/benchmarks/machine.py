"""What a figure was measured on and with, for the JSON of a benchmark; no path, no host name."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from typing import Any

from e4_ros.perception.records import machine_name

_LIBRARIES = ('numpy', 'opencv-python-headless', 'onnxruntime', 'e4_ros')


def machine() -> dict[str, Any]:
    """The processor, the load when this is called, and the versions of what matters."""
    return {
        'cpu': machine_name(),
        'cores': len(os.sched_getaffinity(0)),
        'load_1min': round(os.getloadavg()[0], 2),
        'kernel': platform.release(),
        'versions': {'python': platform.python_version()}
        | {name: found for name in _LIBRARIES if (found := _version(name))},
        'ros': os.environ.get('ROS_DISTRO', 'wheels'),
    }


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ''
