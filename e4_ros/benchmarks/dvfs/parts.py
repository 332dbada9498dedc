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

"""The parts of the benchmark in their order, and the file that grows with each of them.

Latencies come first, while nothing that another part leaves behind can disturb them.
"""

from __future__ import annotations

import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from e4_ros import console
from e4_ros.benchmarks.figures import save_figures
from e4_ros.perception.records import machine_name

FUSE_BOARD = 'jetson_orin_nano'

Result = dict[str, Any]
Told = Callable[[float], None]
"""Takes the share of a part that was done since the last call; they add up to 1."""


class Size(NamedTuple):
    """How much is tried."""

    steps: int
    ros_steps: int
    kills: int
    boards: int | None
    datagrams: int
    requests: int
    meter_s: float


FULL = Size(5000, 1000, 1000, None, 100_000, 1000, 20.0)
QUICK = Size(300, 100, 24, 1, 5000, 100, 4.0)


def run(size: Size, out: Path) -> Result:
    """Everything; what this machine cannot measure is None, and ``not_measured`` says why."""
    result: Result = {'complete': False, 'machine': machine(), 'not_measured': {}, 'seconds': {}}
    # No thread of its own: the kills fork this process.
    with console.Phases(thread=False) as phases:
        for part in PARTS:
            done = 0.0

            def told(more: float, title: str = part.title) -> None:
                nonlocal done
                done += more
                phases(title, round(100 * done), 100)

            told(0)
            began = time.monotonic()
            part.measure(size, result, told)
            result['seconds'][part.title] = round(time.monotonic() - began, 1)
            result['complete'] = part is PARTS[-1]
            save_figures(result, out)
    return result


def machine() -> Result:
    """What it was measured on, and what else ran there."""
    return {
        'name': machine_name(),
        'kernel': platform.release(),
        'python': platform.python_version(),
        'load_before': [round(load, 2) for load in os.getloadavg()],
    }


def _steps(size: Size, result: Result, told: Told) -> None:
    from e4_ros.benchmarks.dvfs import latency
    from e4_ros.benchmarks.dvfs.bare import bare_steps

    in_brief = latency.percentiles
    with latency.memory_tree() as root, latency.stepping(root) as client:
        result['plan'] = {**latency.plan_facts(client, root), 'tree': 'plain files on a tmpfs'}
        result['machine']['step_thread'] = latency.scheduling(client)
        idle = latency.measure(client, size.steps)
        told(0.3)
        bare_idle = bare_steps(size.steps // 2)
        told(0.1)
        with latency.all_cores_inferring():
            busy = latency.measure(client, size.steps)
            told(0.4)
            bare_busy = bare_steps(size.steps // 2)
    result['step_client_us'] = in_brief(busy.client_us)
    result['step_to_write_us'] = in_brief(busy.write_us)
    result['step_client_idle_us'] = in_brief(idle.client_us)
    result['step_to_write_idle_us'] = in_brief(idle.write_us)
    result['bare'] = {
        'client_us': in_brief(bare_busy.client_us),
        'to_write_us': in_brief(bare_busy.write_us),
        'client_idle_us': in_brief(bare_idle.client_us),
        'to_write_idle_us': in_brief(bare_idle.write_us),
    }
    told(0.2)


def _fuse(size: Size, result: Result, told: Told) -> None:
    from e4_ros.benchmarks.dvfs import latency
    from e4_ros.energy.virtual.mount import mount_problem, mounted

    result['fuse_to_write_us'] = None
    if reason := mount_problem():
        result['not_measured']['fuse_to_write_us'] = reason
    else:
        with (
            tempfile.TemporaryDirectory(prefix='e4') as name,
            mounted(FUSE_BOARD, name) as root,
            latency.stepping(root) as client,
        ):
            steps = latency.measure(client, size.steps // 5, gap_s=0.02)
        result['fuse_to_write_us'] = latency.percentiles(steps.write_us)
    told(1)


def _ros(size: Size, result: Result, told: Told) -> None:
    from e4_ros.benchmarks.dvfs import ros_steps

    result |= {'service_us': None, 'topic_us': None}
    if reason := ros_steps.why_no_ros():
        result['not_measured'] |= {'service_us': reason, 'topic_us': reason}
    else:
        result |= ros_steps.measure_steps(size.ros_steps)
    told(1)


def _meters(size: Size, result: Result, told: Told) -> None:
    from e4_ros.benchmarks.dvfs.waveforms import measure_meters

    result['meters'] = [meter._asdict() for meter in measure_meters(size.meter_s)]
    told(1)


def _kills(size: Size, result: Result, told: Told) -> None:
    from e4_ros.benchmarks.dvfs.kills import run_kills

    kills = run_kills(size.kills, boards=size.boards, told=lambda: told(1 / size.kills))
    result['kills'] = kills.summary()


def _fuzz(size: Size, result: Result, told: Told) -> None:
    from e4_ros.benchmarks.dvfs import ros_steps
    from e4_ros.benchmarks.dvfs.fuzz import run_fuzz

    fuzz = run_fuzz(size.datagrams, told=lambda sent: told(0.9 * sent / size.datagrams))
    requests = {'tried': 0, 'stolen': 0, 'crashes': 0}
    if reason := ros_steps.why_no_ros():
        result['not_measured']['service_requests'] = reason
    else:
        requests = ros_steps.fuzz_services(size.requests)
    result['fuzz'] = {
        'tried': fuzz.tried + requests['tried'],
        'crashes': fuzz.crashes + requests['crashes'],
        'bad_writes': fuzz.bad_writes,
        'leases_stolen': fuzz.stolen + requests['stolen'],
        'service_requests': requests['tried'],
    }
    result['machine']['load_after'] = [round(load, 2) for load in os.getloadavg()]
    told(0.1)


class Part(NamedTuple):
    """One part of the benchmark."""

    title: str
    measure: Callable[[Size, Result, Told], None]


PARTS = (
    Part('steps over the socket', _steps),
    Part('steps on a virtual board', _fuse),
    Part('steps over ROS', _ros),
    Part('meters', _meters),
    Part('kills', _kills),
    Part('hostile input', _fuzz),
)
