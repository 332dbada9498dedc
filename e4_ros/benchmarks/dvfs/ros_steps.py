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

"""The same step by ROS: a topic and a service; and hostile requests to the real node.

Both sides are processes of their own (`e4_ros.nodes.bench_steps`).
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from e4_ros.benchmarks.dvfs.latency import memory_tree


def why_no_ros() -> str:
    """Why nothing can be measured over ROS here; empty when it can."""
    for module in ('rclpy', 'std_srvs', 'e4_ros.srv'):
        if importlib.util.find_spec(module) is None:
            return f'{module} is not here'
    return ''


def measure_steps(steps: int) -> dict[str, Any]:
    """Time steps by topic and by service."""
    with tempfile.TemporaryDirectory(prefix='e4') as name, memory_tree() as root:
        places = [str(root), str(Path(name) / 'state'), str(Path(name) / 's')]
        with _process('bench_steps', 'serve', *places):
            return _ask('measure', places[2], str(steps))


def fuzz_services(requests: int) -> dict[str, int]:
    """Send hostile requests to the real node; how many, what was stolen, whether it crashed."""
    with tempfile.TemporaryDirectory(prefix='e4') as name, memory_tree() as root:
        places = {'sysfs_root': root, 'state_dir': Path(name) / 'state'}
        places['socket_path'] = Path(name) / 's'
        words = [w for option, place in places.items() for w in ('-p', f'{option}:={place}')]
        with _process('dvfs_helper', '--ros-args', '--log-level', 'warn', *words) as node:
            result = _ask('fuzz', str(places['socket_path']), str(requests))
            return {**result, 'crashes': int(node.poll() is not None)}


@contextlib.contextmanager
def _process(node: str, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(_command(node, *words), env=_environment())
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


def _ask(*words: str) -> dict[str, Any]:
    done = subprocess.run(
        _command('bench_steps', *words),
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f'{words[0]} over ROS failed: {done.stderr.strip()}')
    return json.loads(done.stdout.splitlines()[-1])


def _command(node: str, *words: str) -> list[str]:
    return [sys.executable, '-m', f'e4_ros.nodes.{node}', *words]


def _environment() -> dict[str, str]:
    own = {'ROS_DOMAIN_ID': str(1 + os.getpid() % 99), 'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST'}
    return {**os.environ, **own}
