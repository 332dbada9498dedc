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
"""`e4 bench siblings --part cameras`: cameras under service levels, after BCEdge."""

from __future__ import annotations

import multiprocessing
import os
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from e4_ros import console
from e4_ros.benchmarks.siblings.regret import Timed
from e4_ros.evaluation.camera_run import (
    FIFO,
    LEVELS,
    RULES,
    SLO_S,
    Video,
    four_videos,
    rates_for,
    run_cameras,
)
from e4_ros.evaluation.simulation.camera_bound import most_value
from e4_ros.evaluation.simulation.camera_world import (
    ARRIVALS,
    RIVALS,
    CameraWorld,
    Play,
    make_world,
    play_levels,
)
from e4_ros.evaluation.simulation.interference import fit_net, judge, measure_times
from e4_ros.perception.camera_costs import CameraCosts
from e4_ros.perception.controller import Controller
from e4_ros.perception.controllers.bcedge import BCEdgeExact, BCEdgeGreedy, BCEdgeLearned
from e4_ros.perception.controllers.policy_net import PolicyNet
from e4_ros.perception.setup import EngineOptions, Setup, set_up
from e4_ros.vision.bundle.bundle import load_bundle, shipped_bundle
from e4_ros.vision.inference.batch_times import BatchTable, batch_times
from e4_ros.vision.inference.batched import BatchedNetwork
from e4_ros.vision.inference.exit_thresholds import TRACK
from e4_ros.vision.runtime.onnx_runtime import OnnxRuntime

MODEL = 'pedestrian_ssdlite'
LOADS = (0.5, 1.0, 1.5)
BARS = {'miss_percent': 5.0, 'starvation': 2.0, 'predictor': 10.0, 'memory': 1.3}
LARGEST = 8
_BATCHES = (1, 2, 4)


def measure(quick: bool = False) -> dict[str, Any]:
    """Measure what frames take here, play policies over it, and run four videos.

    Args:
        quick: shorter runs, fewer worlds, less to learn from.
    """
    videos = four_videos()
    setup = set_up(EngineOptions(MODEL, streams=len(videos)))
    console.note('cameras: what frames take')
    costs, tables = _costs(videos[1].frames[0], _track_s(setup, videos), 0.3 if quick else 1.5)
    wanted = _wanted(setup, videos)
    console.note('cameras: what others cost (interference)')
    predictor = _predictor(videos[1].frames[0], 0.1 if quick else 0.4)
    seeds = range(1 if quick else 2)
    nets = _learn(costs, wanted, 1500 if quick else 8000)
    policies, detail = _play(costs, wanted, nets, seeds, 5.0 if quick else 10.0)
    runs = _run(setup, videos, (1.0,) if quick else LOADS, 3.0 if quick else 10.0)
    return {
        'policies': policies,
        'predictor_error_percent': predictor['net_percent'],
        'memory_ratio': _memory_ratio(),
        'predictor': predictor,
        'run': runs,
        'costs': {
            'device': costs.device,
            'track_ms': 1e3 * costs.track_s,
            'network_ms': 1e3 * costs.full_s,
            'wanted': wanted,
            'batches_pay': costs.pays,
            'tables': [table.to_json() for table in tables],
        },
        'by_arrivals': detail,
        'learnt_on_turns': {name: net.frames for name, net in nets.items()},
        'bars': BARS,
    }


def _track_s(setup: Setup, videos: list[Video]) -> float:
    """Median seconds of a frame that the tracks answer."""
    took = []
    for engine, video in zip(setup.engines, videos, strict=True):
        engine.reset()
        results = [engine.process(video.at(index), index / 20) for index in range(30)]
        took += [result.latency_s for result in results if result.exit == TRACK]
    return float(np.median(took))


def _wanted(setup: Setup, videos: list[Video]) -> float:
    """Share of frames on which the network runs where there is time, at 20 images a second."""
    exits = []
    for engine, video in zip(setup.engines, videos, strict=True):
        engine.reset()
        results = [engine.process(video.at(index), index / 20) for index in range(48)]
        exits += [result.exit for result in results[8:]]
    return 1 - exits.count(TRACK) / len(exits)


def _costs(
    frame: np.ndarray, track_s: float, seconds: float
) -> tuple[CameraCosts, list[BatchTable]]:
    network = load_bundle(shipped_bundle(MODEL)).network
    cores = len(os.sched_getaffinity(0))
    tables = [
        batch_times(network, frame, _BATCHES, (count,), seconds, threads=max(cores // count, 1))
        for count in (1, 2)
    ]
    return CameraCosts.of(tables, track_s), tables


def _predictor(frame: np.ndarray, seconds: float) -> dict[str, Any]:
    """Fit the predictors to measured runs, and judge them on conditions left out."""
    network = load_bundle(shipped_bundle(MODEL)).network
    cores, runtime = len(os.sched_getaffinity(0)), OnnxRuntime(1, 'cpu')

    def batch_of(size: int) -> Callable[[], object]:
        copy = BatchedNetwork(network.model, network.stages, runtime, size)
        return partial(copy.answers, [frame] * size)

    runs = {size: [batch_of(size), batch_of(size)] for size in _BATCHES}
    other = batch_of(1)
    for each in (*(run for pair in runs.values() for run in pair), other):
        each()
    with console.Phases() as phases:
        times = measure_times(
            runs, other, seconds, lambda done, total: phases('conditions', done, total)
        )
    verdict = judge(times, cores)
    return {
        'net_percent': verdict.net_percent,
        'linear_percent': verdict.linear_percent,
        'conditions': verdict.measured,
        'idle_alone_predicted': fit_net(times, cores).times(times[0][0]),
        'times': [
            {
                'batch': c.batch,
                'instances': c.instances,
                'cores_busy': c.cores_busy,
                'other_share': c.other_share,
                'ms': 1e3 * seconds,
            }
            for c, seconds in times
        ],
    }


def _learn(costs: CameraCosts, wanted: float, turns: int) -> dict[str, PolicyNet]:
    from e4_ros.evaluation.simulation.camera_learning import train_branching, train_sac

    def world(seed: int) -> CameraWorld:
        load = float(np.random.default_rng(seed).uniform(0.4, 1.6))
        return make_world(costs, load, SLO_S, ARRIVALS[seed % 3], 4.0, wanted, seed + 1000)

    with console.Phases() as phases:
        return {
            name: train(world, turns, 0, lambda turn, name=name: phases(name, turn, turns))  # type: ignore[misc]
            for name, train in (('learned', train_sac), ('branching', train_branching))
        }


def _play(
    costs: CameraCosts, wanted: float, nets: dict[str, PolicyNet], seeds: range, seconds: float
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    makers: dict[str, Callable[[], Controller]] = {
        'bcedge:exact': lambda: BCEdgeExact(costs, largest=LARGEST),
        'bcedge:greedy': lambda: BCEdgeGreedy(LARGEST),
        **{f'bcedge:{n}': partial(BCEdgeLearned, net, LARGEST) for n, net in nets.items()},
    }
    names = [*RIVALS, *makers]
    rows, detail = [], []
    with console.Phases() as phases:
        total = len(LOADS) * len(ARRIVALS)
        for place, load in enumerate(LOADS):
            plays: dict[str, list[Play]] = {name: [] for name in names}
            took: dict[str, list[float]] = {name: [] for name in makers}
            bounds = []
            for step, arrivals in enumerate(ARRIVALS):
                phases('worlds', place * len(ARRIVALS) + step, total)
                for seed in seeds:
                    world = make_world(costs, load, SLO_S, arrivals, seconds, wanted, seed)
                    bounds.append(most_value(world))
                    for name, rival in RIVALS.items():
                        plays[name].append(rival(world))
                    for name, make in makers.items():
                        timed = Timed(make())
                        plays[name].append(play_levels(world, timed))
                        took[name].append(timed.decision_us)
                detail += [
                    {'arrivals': arrivals, 'load': load, **_row(name, found[-len(seeds) :])}
                    for name, found in plays.items()
                ]
            for name, found in plays.items():
                row = {'load': load, **_row(name, found)}
                row['value_of_bound'] = row['value'] / float(np.mean(bounds))
                row['decision_us'] = float(np.median(took[name])) if name in took else None
                rows.append(row)
    return rows, detail


def _row(name: str, plays: list[Play]) -> dict[str, Any]:
    """Means over worlds; starvation is the worst."""
    return {
        'policy': name,
        'miss_percent': float(np.mean([play.miss_percent for play in plays])),
        'starvation': max(play.starvation for play in plays),
        'utility': float(np.mean([play.utility for play in plays])),
        'throughput_hz': float(np.mean([play.throughput_hz for play in plays])),
        'latency_ms': 1e3 * float(np.mean([play.latency_s for play in plays])),
        'held_percent': float(np.mean([play.held_percent for play in plays])),
        'value': float(np.mean([play.value for play in plays])),
    }


def _run(
    setup: Setup, videos: list[Video], loads: tuple[float, ...], seconds: float
) -> list[dict[str, Any]]:
    """Four videos in one process, in real time."""
    rows = []
    with console.Phases() as phases:
        for step, load in enumerate(loads):
            rates_hz = rates_for(setup.engines, videos, load)
            for place, rule in enumerate(RULES):
                phases('seconds of video', (2 * step + place) * seconds, 2 * len(loads) * seconds)
                found = run_cameras(setup, videos, rates_hz, seconds, rule, load)
                rows.append(
                    {
                        'rule': rule,
                        'load': load,
                        'rate_hz': rates_hz[0],
                        'images': len(found.answers),
                        'miss_percent': found.miss_percent,
                        'starvation': found.starvation,
                        'utility': found.utility,
                        'held_percent': found.held_percent,
                        'missed_percent_of': {
                            f'{video.name}, {1e3 * video.slo_s:.0f} ms': 100 * found.missed(camera)
                            for camera, video in enumerate(videos)
                        },
                    }
                )
    return rows


def _memory_ratio() -> float:
    """Resident memory of a process with four cameras by that of one with one."""
    context = multiprocessing.get_context('spawn')
    found = []
    for cameras in (1, 4):
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_resident, args=(cameras, theirs))
        process.start()
        theirs.close()
        try:
            found.append(float(ours.recv()))
        finally:
            process.join(60)
            ours.close()
    return found[1] / found[0]


def _resident(cameras: int, told: Any) -> None:
    setup = set_up(EngineOptions(MODEL, streams=cameras))
    frame = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)
    for index in range(12):
        for engine in setup.engines:
            engine.process(frame, index / 20)
    match = re.search(r'VmRSS:\s+(\d+)', Path('/proc/self/status').read_text())
    assert match is not None, 'Linux says so'
    told.send(int(match[1]))


def show(found: dict[str, Any]) -> None:
    """Print the tables."""
    from rich.table import Table

    costs = found['costs']
    out = console.stdout()
    pays = 'a batch pays' if costs['batches_pay'] else 'a batch never pays'
    out.print(
        f'{costs["device"]}: tracks {costs["track_ms"]:.1f} ms, network {costs["network_ms"]:.1f} '
        f'ms, wanted on {costs["wanted"]:.0%} of the frames; {pays}'
    )
    heads = ('missed %', 'max/min', 'U', 'answers/s', 'age ms', 'held %', 'of the bound')
    for load in LOADS:
        table = Table(title=f'simulated, load {load:g}: all arrivals')
        for head in ('policy', *heads):
            table.add_column(head, justify='left' if head == 'policy' else 'right')
        for row in found['policies']:
            if row['load'] == load:
                table.add_row(
                    row['policy'],
                    f'{row["miss_percent"]:.1f}',
                    f'{row["starvation"]:.2f}',
                    f'{row["utility"]:.2f}',
                    f'{row["throughput_hz"]:.0f}',
                    f'{row["latency_ms"]:.0f}',
                    f'{row["held_percent"]:.1f}',
                    f'{row["value_of_bound"]:.3f}',
                )
        out.print(table)
    table = Table(title='four videos in one process, as they ran')
    for head in ('rule', 'load', 'images/s', *heads[:3], 'held %'):
        table.add_column(head, justify='left' if head == 'rule' else 'right')
    for row in found['run']:
        table.add_row(
            row['rule'],
            f'{row["load"]:g}',
            f'{4 * row["rate_hz"]:.0f}',
            f'{row["miss_percent"]:.1f}',
            f'{row["starvation"]:.2f}',
            f'{row["utility"]:.2f}',
            f'{row["held_percent"]:.1f}',
        )
    out.print(table)
    predictor = found['predictor']
    out.print(
        f'interference, {predictor["conditions"]} conditions left out in turn: error '
        f'{predictor["net_percent"]:.1f} % (bar {BARS["predictor"]:g}), linear '
        f'{predictor["linear_percent"]:.1f} %'
    )
    out.print(
        f'memory of four cameras by one: {found["memory_ratio"]:.2f} (bar {BARS["memory"]:g}). '
        'No GPU was measured.'
    )
    _verdicts(found, out.print)


def _verdicts(found: dict[str, Any], say: Callable[[str], None]) -> None:
    at_one = {row['policy']: row for row in found['policies'] if row['load'] == 1.0}
    ours, fifo = at_one['bcedge:exact'], at_one['fifo']
    kept = ours['miss_percent'] <= BARS['miss_percent'] and ours['starvation'] <= BARS['starvation']
    say(
        f'bar at load 1, simulated: bcedge misses {ours["miss_percent"]:.1f} % (5), max/min '
        f'{ours["starvation"]:.2f} (2), FIFO misses {fifo["miss_percent"]:.1f} %: '
        f'{"kept" if kept else "NOT kept"}'
    )
    run = {row['rule']: row for row in found['run'] if row['load'] == 1.0}
    if run:
        say(
            f'as it ran: {run[LEVELS]["miss_percent"]:.1f} %, max/min '
            f'{run[LEVELS]["starvation"]:.2f}, FIFO {run[FIFO]["miss_percent"]:.1f} %'
        )
