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

"""What each segment of a bundle's network takes on a device of this machine."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from e4_ros.perception.setup import EngineOptions, set_up
from e4_ros.vision.bundle import Manifest
from e4_ros.vision.bundle.folder import save_changed
from e4_ros.vision.inference.segment_runner import SegmentRunner

_SECONDS = 0.3  # for each segment
_FRAMES = 4  # enough to fill the temporal exit's memory
_SIZE = (480, 640, 3)


def measure_costs(folder: Path, device: str) -> Manifest:
    """Measure every segment on grey noise of 640×480, and write the medians into the bundle.

    Args:
        folder: the bundle; changed in place.
        device: a device, or ``auto``; what ran is what is written down.

    Returns:
        The manifest with the costs.

    Raises:
        BundleError, DeviceError, OSError: see `set_up`.
    """
    found = set_up(EngineOptions(str(folder), device=device))
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 256, _SIZE, dtype=np.uint8) for _ in range(_FRAMES)]
    runner = SegmentRunner(found.engine, frames)
    costs = {
        name: float(np.median(runner.run(index, _SECONDS)))
        for index, name in enumerate(found.segments)
    }
    costs_s = {**found.manifest.costs_s, found.engine.device: costs}
    manifest = found.manifest.model_copy(update={'costs_s': costs_s})
    save_changed(folder, manifest, {})
    return manifest
