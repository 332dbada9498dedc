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

"""Each device against the CPU, and what threads and spinning are worth, quiet and under load.

What is compared runs frame by frame in turn in one process, so that whatever else the machine does
meets all of it alike; the ratios count, not the milliseconds.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from e4_ros import console
from e4_ros.benchmarks.figures import save_figures

if TYPE_CHECKING:
    from e4_ros.vision.inference.engine import EarlyExitEngine

MODEL = 'pedestrian_ssdlite'
FRAMES, QUICK_FRAMES = 200, 10
_WARM_UP = 5
_BURN = 'while True: pass'

Figures = dict[str, float]
Frames = Annotated[int, typer.Option(min=2, help='Frames of each, in turn.')]


def register(group: typer.Typer) -> None:
    """Add the benchmarks."""
    group.command('devices')(devices)
    group.command('threads')(threads)


def devices(
    out: Annotated[Path, typer.Option('--json', help='File for the figures.')] = Path(
        'out/bench/devices.json'
    ),
    frames: Frames = FRAMES,
    threads: Annotated[
        int | None, typer.Option(min=1, help="The network's threads; default: one per core.")
    ] = None,
) -> None:
    """The whole shipped detector on every device that this ONNX Runtime has, in turn.

    \b
        e4 bench devices --frames 100 --threads 1
    """  # noqa: D301
    count = threads or len(os.sched_getaffinity(0))
    engines, failed = _engines_by_device(count)
    found = in_turn({name: _whole(engine) for name, engine in engines.items()}, frames)
    rows = [{'device': n, **f, 'ratio': f['ms'] / found['cpu']['ms']} for n, f in found.items()]
    _write(out, {'devices': rows, 'failed': failed}, count, frames)


def threads(
    out: Annotated[Path, typer.Option('--json', help='File for the figures.')] = Path(
        'out/bench/threads.json'
    ),
    frames: Frames = FRAMES,
    burners: Annotated[
        int | None,
        typer.Option(min=0, help='Busy processes that are the load; default: one per core.'),
    ] = None,
) -> None:
    """Threads with and without spinning on the CPU, alone and beside busy processes.

    \b
        e4 bench threads --burners 2
    """  # noqa: D301
    from e4_ros.vision.runtime.devices import SPIN_US

    cores = len(os.sched_getaffinity(0))
    spins: dict[str, dict[str, Any]] = {
        'none': {'allow_spinning': False},
        'bounded': {'spin_us': SPIN_US},
        'unbounded': {'spin_us': 0},
    }
    ways = [(1, 'none'), *((cores, spin) for spin in spins)]
    runs = {f'{n} {spin}': _whole(_engine('cpu', n, **spins[spin])) for n, spin in ways}
    rows: list[dict[str, Any]] = []
    for busy in sorted({0, cores if burners is None else burners}):
        with burning(busy):
            found = in_turn(runs, frames)
        usual_ms = found[f'{cores} unbounded']['ms']  # what ONNX Runtime does by itself
        for count, spin in ways:
            one = found[f'{count} {spin}']
            row = {'burners': busy, 'threads': count, 'spinning': spin}
            rows.append({**row, **one, 'ratio': one['ms'] / usual_ms})
    _write(out, {'threads': rows}, cores, frames)


def in_turn(runs: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, Figures]:
    """Time several things in turn, each round in another order.

    Args:
        runs: what to time, by name.
        rounds: how often each is run.

    Returns:
        By name: median and 95th percentile of the time (ms), and the processor time of all threads
        (ms) of a run.
    """
    names = list(runs)
    took_s = {name: np.empty((rounds, 2)) for name in names}
    for name in names:
        for _ in range(_WARM_UP):
            runs[name]()
    for index in range(rounds):
        turn = index % len(names)
        for name in (*names[turn:], *names[:turn]):
            began_s, cpu_s = time.perf_counter(), time.process_time()
            runs[name]()
            took_s[name][index] = time.perf_counter() - began_s, time.process_time() - cpu_s
    return {
        name: {
            'ms': float(np.median(took[:, 0]) * 1e3),
            'p95_ms': float(np.percentile(took[:, 0], 95) * 1e3),
            'cpu_ms': float(took[:, 1].mean() * 1e3),
        }
        for name, took in took_s.items()
    }


@contextmanager
def burning(count: int) -> Iterator[None]:
    """Keep so many cores busy with processes that do nothing else."""
    with ExitStack() as stack:
        for _ in range(count):
            process = subprocess.Popen([sys.executable, '-c', _BURN])
            stack.callback(process.wait)
            stack.callback(process.kill)
        yield


def _engines_by_device(count: int) -> tuple[dict[str, EarlyExitEngine], dict[str, str]]:
    """An engine for each device that works, and why the others do not."""
    from e4_ros.vision.runtime.devices import DeviceError, offered

    engines: dict[str, EarlyExitEngine] = {}
    failed: dict[str, str] = {}
    for device in offered():
        try:
            engines[device.name] = _engine(device.name, count)
        except DeviceError as error:
            failed[device.name] = str(error)
    return engines, failed


def _engine(device: str, count: int, **spinning: Any) -> EarlyExitEngine:
    from e4_ros.perception.setup import EngineOptions, set_up
    from e4_ros.vision.inference.engine import EarlyExitEngine

    engine = set_up(EngineOptions(MODEL, threads=count, device=device, **spinning)).engine
    assert isinstance(engine, EarlyExitEngine)
    return engine


def _whole(engine: EarlyExitEngine) -> Callable[[], object]:
    frame = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    return lambda: engine.process_full(frame)


def _write(out: Path, figures: dict[str, Any], count: int, frames: int) -> None:
    import onnxruntime

    from e4_ros.perception.records import machine_name

    about = {'machine': machine_name(), 'onnxruntime': onnxruntime.__version__}
    save_figures(about | {'threads_of': count, 'frames': frames} | figures, out)
    rows: Sequence[dict[str, Any]] = next(v for v in figures.values() if isinstance(v, list))
    for row in rows:
        console.note(
            '  '.join(
                f'{k} {v:.3g}' if isinstance(v, float) else f'{k} {v}' for k, v in row.items()
            )
        )
