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

"""The parts of `e4 bench frame`; what needs ROS runs in processes of its own."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from e4_ros.benchmarks.dvfs.latency import memory_tree, serving
from e4_ros.benchmarks.node_processes import StartError
from e4_ros.benchmarks.start.measure import run_perception
from e4_ros.bringup.supervisor import private_environment
from e4_ros.vision.boxes import nms

_ROUNDS, _REPEATS = 31, 20


def timed_frames(frames: int) -> list[dict[str, Any]]:
    """The rows of `nodes.bench_frame`, with a daemon that steps the clocks of plain files.

    Args:
        frames: frames of each kind that are timed.

    Raises:
        StartError: the process failed.
    """
    command = [sys.executable, '-m', 'e4_ros.nodes.bench_frame', '--frames', str(frames)]
    environment, lock = private_environment()
    # These files have no meter: joules are modelled, which takes longer than reading one.
    with (
        lock,
        tempfile.TemporaryDirectory(prefix='e4') as folder,
        memory_tree() as root,
        serving(root, Path(folder)) as socket,
    ):
        done = subprocess.run(
            command,
            env={**environment, 'E4_SOCKET': str(socket)},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise StartError(f'timing frames failed: {done.stderr[-2000:]}')
    return json.loads(done.stdout.splitlines()[-1])


def nms_us() -> dict[str, float]:
    """Microseconds of suppression among so many people of one picture; median of many runs."""
    return {str(count): _median_us(_people(count)) for count in (5, 20, 100)}


def around_engine_ms(seconds: float) -> dict[str, float]:
    """Milliseconds from an image's receipt to its last message, less what the engine took."""
    times_ms = sorted(1e3 * s for s in run_perception(seconds).around_engine_s)
    if not times_ms:
        raise StartError('perception answered no image')
    return {
        'p50': round(statistics.median(times_ms), 3),
        'p99': round(times_ms[int(0.99 * (len(times_ms) - 1))], 3),
        'images': len(times_ms),
    }


def _people(count: int) -> Callable[[], object]:
    rng = np.random.default_rng(count)
    low, width = rng.uniform(0, (600, 400), (count, 2)), rng.uniform(20, 60, (count, 1))
    boxes = np.concatenate([low, low + width * (1, 2)], 1).astype(np.float32)
    scores, labels = rng.random(count).astype(np.float32), np.zeros(count, np.int64)
    return lambda: nms(boxes, scores, 0.6, labels)


def _median_us(work: Callable[[], object]) -> float:
    took_s = []
    for _ in range(_ROUNDS):
        began_s = time.perf_counter()
        for _ in range(_REPEATS):
            work()
        took_s.append((time.perf_counter() - began_s) / _REPEATS)
    return round(1e6 * statistics.median(took_s), 1)
