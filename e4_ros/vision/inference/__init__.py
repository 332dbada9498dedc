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

"""What runs for each frame: numpy, OpenCV, ONNX Runtime; never torch.

>>> from e4_ros.vision.bundle import load_bundle, shipped_bundle
>>> from e4_ros.vision.inference import make_ladder
>>> from e4_ros.vision.runtime import make_runtime
>>> network = load_bundle(shipped_bundle('pedestrian_ssdlite')).network
>>> list(make_ladder(network, make_runtime('onnxruntime', threads=1)).paths)
['track', 'full']
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from e4_ros.vision.inference.audit import Audit, Auditor
    from e4_ros.vision.inference.engine import EarlyExitEngine
    from e4_ros.vision.inference.exit_thresholds import FULL, TEMPORAL, ExitThresholds
    from e4_ros.vision.inference.factory import make_engine, make_ladder
    from e4_ros.vision.inference.frame_result import FrameResult

_PLACES = {
    'Audit': 'audit',
    'Auditor': 'audit',
    'EarlyExitEngine': 'engine',
    'FULL': 'exit_thresholds',
    'FrameResult': 'frame_result',
    'TEMPORAL': 'exit_thresholds',
    'ExitThresholds': 'exit_thresholds',
    'make_engine': 'factory',
    'make_ladder': 'factory',
}

__all__ = [
    'FULL',
    'TEMPORAL',
    'Audit',
    'Auditor',
    'EarlyExitEngine',
    'ExitThresholds',
    'FrameResult',
    'make_engine',
    'make_ladder',
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: many need the names of exits alone."""
    if name not in _PLACES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    from importlib import import_module

    return getattr(import_module(f'{__name__}.{_PLACES[name]}'), name)
