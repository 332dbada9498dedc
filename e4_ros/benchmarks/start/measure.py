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

"""Start perception again and again, in turns with a bare process, and look at both from outside."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from e4_ros.benchmarks.dvfs.latency import memory_tree
from e4_ros.benchmarks.node_processes import (
    RATE_HZ,
    StartError,
    camera,
    node,
    peak_mb,
    ros_domain,
)

FORBIDDEN = ('torch', 'torchvision', 'av', 'rosbags')
"""Modules that a robot's perception must do without."""

_PATIENCE_S = 120.0


@dataclass(frozen=True)
class Start:
    """Seconds from the start of perception's process until something was seen from outside."""

    visible_s: float
    first_detection_s: float


@dataclass(frozen=True)
class Run:
    """What a longer run of perception came to.

    Attributes:
        rss_mb: peak resident memory, megabytes of 10⁶ bytes.
        modules: names of all modules that it had imported.
        around_engine_s: for each image, seconds from receipt to publication less the engine's.
        answered: camera of each image that was answered, in their order.
        counts: by camera, the images that were received and that were processed.
    """

    rss_mb: float
    modules: Sequence[str]
    around_engine_s: Sequence[float]
    answered: Sequence[str]
    counts: Mapping[str, tuple[int, int]]


def onnx_files(folder: Path) -> list[Path]:
    """The ONNX files of a bundle that perception loads at full precision."""
    return [f for f in sorted(folder.glob('*.onnx')) if not f.stem.endswith(('.fp16', '.int8'))]


def start_bare(files: Sequence[Path]) -> float:
    """Seconds from a bare process's start until its networks have run once."""
    return _time_bare(map(str, files), None)


def start_bare_node(files: Sequence[Path]) -> float:
    """The same of a bare node, whose networks run once it has received a camera's first image."""
    with ros_domain() as env, camera(env):
        return _time_bare(['--node', *map(str, files)], env)


def _time_bare(words: Iterable[str], env: dict[str, str] | None) -> float:
    script = importlib.util.find_spec('e4_ros.nodes.bench_bare')
    assert script is not None
    command = [sys.executable, str(script.origin), *words]
    began_s = time.monotonic()
    with subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        took_s = time.monotonic() - began_s
        _, error = process.communicate(timeout=_PATIENCE_S)
    if b'done' not in line:
        raise StartError(f'the bare process failed: {error.decode(errors="replace")[-2000:]}')
    return took_s


def start_perception() -> Start:
    """Start perception beside a camera that runs already; stop it after its first answer."""
    with ros_domain() as env, camera(env) as eye, node('perception', env, []) as process:
        visible_s = eye.wait_for('visible', process) - process.began_s
        first_s = eye.wait_for('first_detection', process) - process.began_s
        return Start(visible_s, first_s)


def run_perception(
    seconds: float,
    size: tuple[int, int] = (640, 480),
    cameras: Sequence[str] = (),
    rate_hz: float = RATE_HZ,
    parameters: Sequence[str] = (),
) -> Run:
    """Let perception answer a camera, or several, for a while.

    Args:
        seconds: how long, from its first answers on.
        size: width and height of the images, pixels.
        cameras: names of several cameras; none for one without a name.
        rate_hz: images a second of each.
        parameters: further parameters of the node, as ``name:=value``.
    """
    given = [*parameters]
    given += [f'cameras:=[{",".join(cameras)}]'] if cameras else []
    with contextlib.ExitStack() as stack:
        out = Path(stack.enter_context(tempfile.TemporaryDirectory())) / 'seen.json'
        env = stack.enter_context(ros_domain())
        eyes = [stack.enter_context(camera(env, size, rate_hz, name)) for name in cameras or ['']]
        with node('bench_perception', {**env, 'E4_BENCH_OUT': str(out)}, given) as process:
            for eye in eyes:
                eye.wait_for('first_detection', process)
            time.sleep(seconds)
            rss_mb = peak_mb(process.pid)
        seen = json.loads(out.read_text())
    counts = {name: (received, done) for name, (received, done) in seen['counts'].items()}
    return Run(rss_mb, seen['modules'], seen['around_engine_s'], seen['answered'], counts)


def run_daemon(seconds: float) -> float:
    """Peak memory of the daemon's node after a while, megabytes of 10⁶ bytes."""
    with tempfile.TemporaryDirectory() as folder, ros_domain() as env, memory_tree() as root:
        # Files that look like a board's, so that this machine's clocks are left alone.
        places = [f'sysfs_root:={root}', f'state_dir:={folder}/state', f'socket_path:={folder}/s']
        with node('dvfs_helper', env, places) as process:
            time.sleep(seconds)
            if process.poll() is not None:
                raise StartError(f'the daemon ended with {process.returncode}: {process.words()}')
            return peak_mb(process.pid)


def median(values: Sequence[float]) -> float:
    """Median, because a busy machine makes single starts slow and none too fast."""
    return float(statistics.median(values))
