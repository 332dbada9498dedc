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
