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

"""Keeps one core busy inferring until it is ended: `python -m e4_ros.benchmarks.dvfs.infer`."""

from __future__ import annotations

import numpy as np

from e4_ros.perception.setup import EngineOptions, set_up


def main() -> None:
    """Run the full pedestrian detector on noise, again and again, in one thread."""
    engine = set_up(EngineOptions(exits=False, threads=1)).engine
    frame = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    engine.process_full(frame)
    print('inferring', flush=True)
    while True:
        engine.process_full(frame)


if __name__ == '__main__':
    main()
