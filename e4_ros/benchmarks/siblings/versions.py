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

"""Part `versions`: real versions of the shipped detector, and the policies that choose among them.

The detector is built in other input sizes and, where that pays on this machine, in int8. `e4
versions` measures them on footage. Then every policy plays simulated worlds of these versions on a
modelled board (`evaluation.simulation.version_world`); regret is against the clairvoyant one.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from e4_ros import extras
from e4_ros.benchmarks.siblings.regret import Run, Timed, regret_rows
from e4_ros.evaluation.simulation.version_world import Setting, World, hypervolume
from e4_ros.evaluation.sources import open_source
from e4_ros.evaluation.versions import VersionRun, VersionTrial, try_versions
from e4_ros.paths import cache_dir
from e4_ros.perception.controller import Controller, OperatingPoint
from e4_ros.perception.controllers import make_controller
from e4_ros.perception.controllers.context import Context
from e4_ros.perception.controllers.policy_net import PolicyNet
from e4_ros.perception.controllers.version_table import VersionTable
from e4_ros.perception.live_versions import LiveVersions
from e4_ros.perception.perceiver import Perceiver
from e4_ros.perception.versions import Version, VersionSpec
from e4_ros.perception.weights import Weights

MODEL, BOARD = 'pedestrian_ssdlite', 'jetson_orin_nano'
SIZES = (156, 220)
FRAMES_A_SECOND = 10
POLICIES = ('infer_edge', 'infer_edge:exact', 'infer_edge:greedy', 'infer_edge:learned')
CLAIRVOYANT, _ALL = 'clairvoyant', 'all choices'
_FIRST_SEED = 100  # those before were looked at while the controllers were made
NOT_RECOMMENDED_PERCENT = 10.0
"""A learner whose regret is larger is labelled so."""


def measure(quick: bool) -> dict[str, Any]:
    """Build, measure on footage, train, play."""
    extras.require('train', '`e4 bench siblings --part versions`')
    extras.require('learn', '`e4 bench siblings --part versions`')
    from e4_ros.evaluation.simulation.version_learning import train_policy

    specs = bundles(quick)
    trials = footage_trials(specs, 60 if quick else 240)
    runs = trials[0].runs
    versions = different([run.version for run in runs])
    f1 = np.array([version.f1 for version in versions])
    setting = Setting(versions, f1, BOARD, runs[0].exits, 1 / FRAMES_A_SECOND)
    policy = train_policy(versions, BOARD, 10_000 if quick else 300_000)
    seeds, frames = (2, 240) if quick else (8, 600)
    played, reactions = play(setting, policy, seeds, frames), react(setting, policy)
    volumes = volumes_of(setting, policy)
    rows = regret_rows(played, against=CLAIRVOYANT)
    for row in rows:
        name = row['policy']
        row['hypervolume_ratio'] = volumes.get(name)
        row['reaction_frames'] = reactions.get(name)
        if name == 'infer_edge:learned':
            row['recommended'] = row['regret_percent'] <= NOT_RECOMMENDED_PERCENT
    return {
        'footage': [as_dict(trial) for trial in trials],
        'switch_ms': switch_ms(runs),
        'board': BOARD,
        'versions': [version.name for version in versions],
        'seeds': seeds,
        'frames': frames,
        'policies': rows,
    }


def show(found: Mapping[str, Any]) -> None:
    """Print the versions and the policies."""
    from rich.table import Table

    from e4_ros import console
    from e4_ros.benchmarks.siblings.regret import show as show_rows

    for trial in found['footage']:
        table = Table(title=f'{trial["footage"]}, F1 by {trial["judged_by"]}')
        for head in ('version', 'F1', 'ms', 'J, modelled', ''):
            table.add_column(head, justify='right' if head not in ('version', '') else 'left')
        for row in trial['versions']:
            beaten = row['dominated_by']
            table.add_row(
                row['version'], f'{row["f1"]:.3f}', f'{row["ms"]:.2f}', f'{row["j"]:.4f}',
                f'dominated by {beaten}' if beaten else '',
            )  # fmt: skip
        console.stdout().print(table)
    show_rows(found['policies'], f'{found["seeds"]} worlds of {found["frames"]} frames')
    for row in found['policies']:
        if row.get('recommended') is False:
            console.note(f'{row["policy"]} is not recommended: it costs too much here')


def bundles(quick: bool) -> list[VersionSpec]:
    """The shipped detector, in other input sizes, and in int8 where `e4 precision` keeps it."""
    from e4_ros.vision.networks.to_bundle import build_plain
    from e4_ros.vision.zoo import load_model

    folder = cache_dir() / 'bench-versions'
    folder.mkdir(parents=True, exist_ok=True)
    found = [VersionSpec('300', MODEL)]
    for size in SIZES:
        out = folder / str(size)
        if not (out / 'bundle.json').is_file():
            build_plain(load_model(MODEL, input_size=(size, size)), out)
        found.append(VersionSpec(str(size), str(out)))
    return found if quick else [*found, *int8_of(MODEL, folder / 'int8')]


def int8_of(model: str, out: Path) -> list[VersionSpec]:
    """The model in int8, if it is faster here and says the same; else nothing."""
    from e4_ros.evaluation.precision import try_precision
    from e4_ros.perception.bundle_cache import open_bundle

    frames = [frame for _, frame in islice(open_source('vtest'), 400, 520)]
    trial = try_precision(open_bundle(model), 'int8', frames, out=out)
    return [] if trial.refused else [VersionSpec('300-int8', str(out), 'int8')]


def different(versions: Sequence[Version]) -> list[Version]:
    """The versions that the board's model tells apart, the better one of two that are alike.

    It counts multiply-adds and bytes, and so knows nothing of what int8 saves.
    """
    found: dict[tuple[float, ...], Version] = {}
    for version in versions:
        key = tuple(work.macs for work in version.stream.works)
        if key not in found or found[key].f1 < version.f1:
            found[key] = version
    return list(found.values())


def footage_trials(specs: Sequence[VersionSpec], frames: int) -> list[VersionTrial]:
    """The versions on videos that packages ship, and on labelled ones where they are."""
    folder = Path(os.environ.get('E4_FOOTAGE') or '/nowhere')
    labels = folder / 'vtest_labels_0_449.txt'
    wanted: list[tuple[str, Path | None]] = [('vtest', labels if labels.is_file() else None)]
    wanted.append(('bikes', None))
    stadtmitte = folder / 'TUD-Stadtmitte'
    if stadtmitte.is_dir():
        video = next(iter(sorted(stadtmitte.glob('*.mp4'))), None)
        if video is not None:
            wanted.append((str(video), stadtmitte / 'gt.txt'))
    found = []
    for source, judge in wanted:
        stream = open_source(source)
        limit = min(frames, stream.frame_count or frames)
        found.append(
            try_versions(
                specs, stream, [stream.name], limit=limit, labels=judge, board=BOARD, threads=1,
                device='cpu',
            )
        )  # fmt: skip
    return found


def as_dict(trial: VersionTrial) -> dict[str, Any]:
    """Plain values of a trial."""
    return {
        'footage': ', '.join(trial.file.footage),
        'frames': trial.file.frames,
        'judged_by': trial.file.judged_by,
        'versions': [
            {
                'version': m.name, 'input': list(m.input), 'precision': m.precision, 'f1': m.f1,
                'ms': m.mean_ms, 'ms_full': m.ms.get('full'), 'j': m.mean_j,
                'key_frames': 1 - m.shares.get('track', 0.0), 'dominated_by': m.dominated_by,
            }
            for m in (run.measured for run in trial.runs)
        ],
    }  # fmt: skip


def switch_ms(runs: Sequence[VersionRun]) -> dict[str, float]:
    """What a change of version takes: until another one can answer, and its first frame more."""
    versions = LiveVersions({run.version.name: [Perceiver(run.setup.engine)] for run in runs})
    took = []
    for name in versions.names[1:] * 10:
        began = time.perf_counter()
        versions.switch(name)
        took.append(1e3 * (time.perf_counter() - began))
    first = 1e3 * max(run.version.switch_s for run in runs)
    return {'change': statistics.median(took), 'first_frame_more': first}


def play(setting: Setting, policy: PolicyNet, seeds: int, frames: int) -> dict[str, list[Run]]:
    """Every policy, every version alone, and the clairvoyant, on the same worlds."""
    minutes = frames / FRAMES_A_SECOND / 60
    names = [version.name for version in setting.versions]
    found: dict[str, list[Run]] = {CLAIRVOYANT: []}
    for seed in range(seeds):
        world = World(setting, frames, _FIRST_SEED + seed)
        cost, path = world.least()
        changes = int(np.count_nonzero(np.diff(world.table.version[path])))
        found[CLAIRVOYANT].append(Run(cost, measures={'switches_a_minute': changes / minutes}))
        for name in POLICIES:
            timed = Timed(controller_of(name, setting, policy))
            played = world.play(timed)
            found.setdefault(name, []).append(
                Run(
                    float(played.cost.mean()),
                    timed.decision_us,
                    policy.frames if name == 'infer_edge:learned' else 0,
                    {'switches_a_minute': played.switches / minutes},
                )
            )
        for row, name in enumerate(names):
            alone = world.cost[:, world.table.version == row].mean(0)
            found.setdefault(f'always {name}', []).append(
                Run(float(alone.min()), measures={'switches_a_minute': 0.0})
            )
    return found


def react(setting: Setting, policy: PolicyNet) -> dict[str, float]:
    """Most frames from a change of what is weighed until the version that it leads to answers."""
    found = {}
    corners = (Weights(1, 0, 0), Weights(0, 0, 1)) * 3
    for name in POLICIES:
        controller, most = controller_of(name, setting, policy), 0
        versions = [
            World(setting, 40, 0, calm=True, weights=w).play(controller).version for w in corners
        ]
        for answered in versions[1:]:
            settled = np.flatnonzero(answered != answered[-1])
            most = max(most, int(settled[-1]) + 1 if len(settled) else 0)
        found[name] = float(most)
    return found


def volumes_of(setting: Setting, policy: PolicyNet) -> dict[str, float]:
    """How much of what is possible in (F1, ms, J) each policy reaches over the simplex of weights.

    The whole is the front of all choices that there are.
    """
    steps = 6
    grid = [Weights(a, b, steps - a - b) for a in range(steps + 1) for b in range(steps + 1 - a)]
    worlds = [World(setting, 30, 0, calm=True, weights=weights) for weights in grid]
    table, last = worlds[0].table, len(worlds[0]) - 1

    def figures(version: int, point: OperatingPoint | None) -> tuple[float, ...]:
        assert point is not None
        return -float(setting.f1[version]), *worlds[0].spent(last, version, point)

    best = [int(np.argmin(world.cost[last])) for world in worlds]
    every = range(len(table.version))
    reached = {
        key: [figures(int(table.version[k]), table.points[k]) for k in chosen]
        for key, chosen in ((_ALL, every), (CLAIRVOYANT, best))
    }
    for name in POLICIES:
        controller = controller_of(name, setting, policy)
        played = [world.play(controller) for world in worlds]
        reached[name] = [figures(int(p.version[-1]), p.points[-1]) for p in played]
    low, high = (np.array(edge) for edge in zip(*_edges(table), strict=True))
    worst = np.full(3, 1.1)
    volumes = {
        name: hypervolume((np.array(rows) - low) / (high - low), worst)
        for name, rows in reached.items()
    }
    return {name: volume / volumes[_ALL] for name, volume in volumes.items()}


def controller_of(name: str, setting: Setting, policy: PolicyNet) -> Controller:
    """A controller that knows the versions as they were measured."""
    stream = setting.versions[0].stream
    policies = {'infer_edge:learned': policy}
    return make_controller(name, Context(stream, policies=policies, versions=setting.versions))


def _edges(table: VersionTable) -> list[tuple[float, float]]:
    """Best and worst of sensible choices: minus F1, seconds, joules."""
    scale = table.scale
    return [(-scale.f1[1], -scale.f1[0]), scale.latency_s, scale.energy_j]
