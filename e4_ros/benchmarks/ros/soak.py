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

"""Perception for half an hour, while the daemon is killed and perception is switched off and on."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from e4_ros.benchmarks.dvfs.latency import memory_tree
from e4_ros.benchmarks.node_processes import (
    Camera,
    NodeProcess,
    StartError,
    camera,
    node,
    resident_mb,
    ros_domain,
)

RATE_HZ = 15.0
SLOPE_BAR_MB = 1.0
_KILL_S, _CYCLE_S, _LOOK_S = 30.0, 60.0, 5.0
_SETTLED = 1 / 6  # share of the time after which memory counts


class Look(NamedTuple):
    """Memory and open files of a process at one moment."""

    at_s: float
    rss_mb: float
    fds: int


def measure(
    minutes: float,
    kill_s: float = _KILL_S,
    cycle_s: float = _CYCLE_S,
    tell: Callable[[float], None] = lambda _: None,
) -> dict[str, Any]:
    """Figures for `e4 bench ros`.

    Args:
        minutes: how long.
        kill_s: seconds between two kills (SIGKILL) of the daemon, which is started again.
        cycle_s: seconds between two deactivations of perception, which is activated again.
        tell: told the minutes that have passed.

    Raises:
        StartError: perception ended, or did not answer at first.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        memory_tree() as root,
        ros_domain() as environment,
    ):
        out = Path(folder) / 'seen.json'
        socket = f'{folder}/s'
        environment |= {'E4_BENCH_OUT': str(out), 'E4_SOCKET': socket}
        places = [f'sysfs_root:={root}', f'state_dir:={folder}/state', f'socket_path:={socket}']
        with node('bench_perception', environment, ['helper_retry_s:=1.0']) as perception:
            with camera(environment, rate_hz=RATE_HZ, cycle_s=cycle_s) as eye:
                eye.wait_for('first_detection', perception)
                looks, kills = _watch(perception, environment, places, minutes * 60, kill_s, tell)
            time.sleep(1.0)
        seen = json.loads(out.read_text())
    return _figures(minutes, looks, kills, eye, seen)


def _watch(
    perception: NodeProcess,
    environment: dict[str, str],
    places: list[str],
    seconds: float,
    kill_s: float,
    tell: Callable[[float], None],
) -> tuple[list[Look], int]:
    began_s, looks, kills = time.monotonic(), [], 0
    while (elapsed_s := time.monotonic() - began_s) < seconds:
        with node('dvfs_helper', environment, places) as daemon:
            until_s = min(elapsed_s + kill_s, seconds)
            while (elapsed_s := time.monotonic() - began_s) < until_s:
                if perception.poll() is not None:
                    raise StartError(f'perception ended: {perception.words()}')
                looks.append(_look(perception.pid, elapsed_s))
                tell(round(elapsed_s / 60, 1))
                time.sleep(min(_LOOK_S, max(until_s - elapsed_s, 0.01)))
            daemon.kill()
            kills += 1
    return looks, kills


def _look(pid: int, at_s: float) -> Look:
    return Look(at_s, resident_mb(pid), len(list(Path(f'/proc/{pid}/fd').iterdir())))


def _figures(
    minutes: float, looks: list[Look], kills: int, eye: Camera, seen: dict[str, Any]
) -> dict[str, Any]:
    settled = [look for look in looks if look.at_s >= minutes * 60 * _SETTLED]
    at_s, rss_mb = [look.at_s for look in settled], [look.rss_mb for look in settled]
    slope = float(np.polyfit(at_s, rss_mb, 1)[0]) * 600
    # Open files go up and down by one or two with the connection to the daemon.
    half = len(settled) // 2
    fds = [max(look.fds for look in part) for part in (settled[:half], settled[half:])]
    return {
        'minutes': minutes,
        'sent': eye.sent,
        'received': seen['came'],
        'processed': seen['fates']['processed'],
        'dropped': seen['fates']['dropped'],
        'lost_counted': seen['lost'],
        'rss_mb_per_10min': round(slope, 3),
        'rss_mb': [round(rss_mb[0], 1), round(rss_mb[-1], 1)],
        'fds': fds,
        'kills': kills,
        'cycles': eye.cycles,
    }
