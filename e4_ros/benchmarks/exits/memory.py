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

"""Peak memory of a process that runs the full network, and of one that exits early.

``python -m e4_ros.benchmarks.exits.memory THREADS full|exits`` is one such process: it
prints the kilobytes of its peak. Both import the same, and read the same video frame by frame.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path

from e4_ros.benchmarks.exits.footage import SOURCE

MODEL = 'pedestrian_ssdlite'
_FRAMES = 60
_ROUNDS = 3


def peak_memory_mb(threads: int, progress: Callable[[int, int], None]) -> dict[str, float]:
    """Median peak of a few fresh processes each, in turns, in megabytes (10⁶ bytes)."""
    commands = {'full': 'full', 'ladder': 'exits'}
    peaks: dict[str, list[float]] = {name: [] for name in commands}
    # What the first process may have to export, and the others find in the cache, is an outlier.
    for number in range(_ROUNDS):
        for done, (name, depth) in enumerate(commands.items(), 1):
            peaks[name].append(child_peak_mb(threads, depth))
            progress(number * len(commands) + done, _ROUNDS * len(commands))
    return {name: statistics.median(values) for name, values in peaks.items()}


def child_peak_mb(threads: int, depth: str) -> float:
    """Peak of one fresh process that runs the `full` network with the tracker, or its `exits`."""
    process = subprocess.run(
        [sys.executable, '-m', __name__, str(threads), depth],
        capture_output=True,
        text=True,
        check=True,
    )
    return float(process.stdout.split()[-1]) * 1024 / 1e6


def _main(threads: str, depth: str) -> None:
    from e4_ros.evaluation.sources import open_source
    from e4_ros.perception.setup import EngineOptions, set_up

    engine = set_up(EngineOptions(MODEL, depth == 'exits', threads=int(threads))).engine
    for stamp_s, frame in islice(open_source(SOURCE), _FRAMES):
        engine.process(frame, stamp_s)
    status = Path('/proc/self/status').read_text()
    print(next(line.split()[1] for line in status.splitlines() if line.startswith('VmHWM')))


if __name__ == '__main__':
    _main(*sys.argv[1:])
